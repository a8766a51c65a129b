"""Pictures a second of what people use instead, each at the best of its settings, in turn with Likeness.

First every way of every peer runs a few pictures; the fastest that finds a face in as many as any other of its ways is
its best, and is remembered. Then all run all pictures, round by round.
"""

import hashlib
import itertools
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers.child import measure
from benchmarks.peers.rounds import Rounds
from likeness.console import err

PICTURES = 64
TRIED = 20
ROUNDS = 3
OURS = "Likeness: faces and embeddings, as the others"

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """`one`, `all`: settings to try on one core and on all of them; see benchmarks/peers/picture_round.py."""

    title: str
    loop: str
    one: tuple[Settings, ...]
    all: tuple[Settings, ...]
    packages: tuple[str, ...] = ()


def _each(*ways: str, **settings: Any) -> tuple[Settings, ...]:
    return tuple({"by": way, "threads": 1, **settings} for way in ways)


ONE = _each("one")
BOTH = _each("threads", "processes")
INSIDE = {"by": "one", "threads": os.cpu_count()}
"""One loop, and the library's own threads."""

PEERS = (
    Peer(OURS, "likeness", ONE, BOTH),
    Peer("Likeness: the whole verdict, 10,000 references", "verdict", ONE, _each("itself")),
    Peer("OpenCV Zoo's loop", "opencv", ONE, (*BOTH, INSIDE), ("opencv-python",)),
    Peer(
        "insightface FaceAnalysis, detector at 320",
        "insightface",
        _each("one", side=320),
        _each("threads", "processes", side=320),
        ("insightface", "onnxruntime"),
    ),
    Peer(
        "insightface FaceAnalysis as it ships, at 640",
        "insightface",
        _each("one", side=640),
        _each("threads", "processes", side=640),
        ("insightface", "onnxruntime"),
    ),
    Peer(
        "DeepFace.represent",
        "deepface",
        (*_each("one", own_session=True), *_each("one", own_session=False)),
        (*_each("processes", own_session=False), {**INSIDE, "own_session": True}),
        ("deepface", "onnxruntime", "opencv-python"),
    ),
    Peer(
        "face_recognition (dlib's ResNet)",
        "dlib",
        (*_each("one", upsample=0), *_each("one", upsample=1)),
        _each("processes", upsample=0),
        ("face-recognition", "dlib-bin"),
    ),
)


@dataclass(slots=True)
class _Way:
    """A peer on one core or on all of them, at its best settings, and its rounds."""

    peer: Peer
    cores: int
    settings: Settings
    rounds: list[dict[str, Any]] = field(default_factory=list)


def measure_pictures(home: Path, pictures: Path, ours: Path, theirs: Path, cores: int) -> list[dict[str, Any]]:
    """A row for each peer, on one core and on all: settings, rounds, medians, the median ratio to Likeness.
    Raises PeerFailed."""

    def turn(peer: Peer, settings: Settings, on: int, count: int) -> dict[str, Any]:
        python = theirs if peer.packages else ours
        job = {"loop": peer.loop, "settings": settings, "home": str(home), "pictures": str(pictures)}
        return measure(python, "picture_round", {**job, "count": count, "cores": on})

    def chosen(peer: Peer, choices: tuple[Settings, ...], on: int) -> Settings:
        known = home / f"best-{hashlib.sha256(json.dumps([peer.title, on, choices]).encode()).hexdigest()[:12]}.json"
        if not known.is_file():
            err.print(f"Trying {peer.title} on {on} of {cores} cores ...")
            tried = [(settings, turn(peer, settings, on, TRIED)) for settings in choices] if choices[1:] else []
            known.write_text(json.dumps(best(tried) if tried else choices[0]))
        told: Settings = json.loads(known.read_text())
        return told

    sides = [(peer, choices, on) for peer in PEERS for on, choices in ((1, peer.one), (cores, peer.all))]
    ways = [_Way(peer, on, chosen(peer, choices, on)) for peer, choices, on in sides]
    rounds = Rounds(home / "rounds.json")
    for number, way in itertools.product(range(ROUNDS), ways):
        name = f"Round {number + 1} of {ROUNDS}: {way.peer.title}, {way.cores} of {cores} cores"
        err.print(name)
        way.rounds.append(rounds.turn(name, partial(turn, way.peer, way.settings, way.cores, PICTURES)))
    rounds.close()
    return [_row(way, next(one for one in ways if one.peer.title == OURS and one.cores == way.cores)) for way in ways]


def best(tried: Sequence[tuple[Settings, Mapping[str, Any]]]) -> Settings:
    """The fastest settings of those that find a face in most pictures."""
    most = max(figures["pictures_with_a_face"] for _, figures in tried)
    finding = [(settings, figures) for settings, figures in tried if figures["pictures_with_a_face"] == most]
    return max(finding, key=lambda one: one[1]["rate"])[0]


def _row(way: _Way, ours: _Way) -> dict[str, Any]:
    ratios = [mine["rate"] / likeness["rate"] for mine, likeness in zip(way.rounds, ours.rounds, strict=True)]
    medians = {name: statistics.median(one[name] for one in way.rounds) for name in way.rounds[0]}
    return {
        "peer": way.peer.title,
        "packages": list(way.peer.packages),
        "cores": way.cores,
        "settings": way.settings,
        **medians,
        "rates": [one["rate"] for one in way.rounds],
        "ratio": statistics.median(ratios),
        **_work_ratio(way, ours),
    }


def _work_ratio(way: _Way, ours: _Way) -> dict[str, float]:
    """How many times as long cores work on a picture as for Likeness; told only where both are one loop."""
    if way.settings["by"] != "one" or ours.settings["by"] != "one":
        return {}
    pairs = zip(way.rounds, ours.rounds, strict=True)
    return {"work_ratio": statistics.median(mine["core_ms"] / likeness["core_ms"] for mine, likeness in pairs)}
