"""Milliseconds a probe of the indexes that people use, at a hundred thousand and a million faces, in turn with ours.

An index is built once and kept beside its figures; whatever is approximate is searched with the least effort that
overlooks at most one person in a thousand, or with all it has. Then all are searched, round by round.
"""

import hashlib
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers.child import measure
from benchmarks.peers.rounds import Rounds
from benchmarks.peers.vectors import DIMENSION, SIZES, THRESHOLD, make_vectors
from likeness.console import err

ROUNDS = 3
BUILDING_SECONDS = 1200.0
ROUND_SECONDS = 120.0
OURS = "Likeness, exact"
EFFORTS = [16, 32, 64, 128, 256, 512, 1024]


@dataclass(frozen=True, slots=True)
class SearchPeer:
    """`exact`: it cannot overlook anybody, but for rounding."""

    title: str
    index: str
    package: str | None
    exact: bool
    settings: Mapping[int, Mapping[str, Any]]


def _same(**settings: Any) -> dict[int, Mapping[str, Any]]:
    return dict.fromkeys(SIZES, settings)


def _cells(factory: str) -> Mapping[str, Any]:
    return {"factory": factory, "effort": "nprobe", "efforts": EFFORTS}


def _graph(settings: Mapping[str, Any]) -> Mapping[int, Mapping[str, Any]]:
    """Of the smaller size only: of a million, each would take too long to build for a run of ten minutes."""
    return {SIZES[0]: settings}


def _usearch(dtype: str) -> Mapping[str, Any]:
    return {"dtype": dtype, "connectivity": LINKS, "expansion_add": CANDIDATES}


LINKS, CANDIDATES = 32, 100
"""Of a graph that is being built: neighbours kept of each row, and how many are looked at to choose them."""
HNSWLIB = {"M": LINKS, "ef_construction": CANDIDATES, "dimension": DIMENSION}
FAISS_GRAPH = {
    "factory": f"HNSW{LINKS}",
    "building": {"efConstruction": CANDIDATES},
    "effort": "efSearch",
    "efforts": EFFORTS,
}
PEERS = (
    SearchPeer(OURS, "likeness", None, True, _same(threshold=THRESHOLD)),
    SearchPeer("numpy matrix product", "numpy", "numpy", True, _same()),
    SearchPeer("FAISS Flat", "faiss", "faiss-cpu", True, _same(factory="Flat")),
    SearchPeer("FAISS SQ8", "faiss", "faiss-cpu", False, _same(factory="SQ8")),
    SearchPeer("USearch exact, f32", "usearch exact", "usearch", True, _same(dtype="f32")),
    SearchPeer("USearch exact, i8", "usearch exact", "usearch", False, _same(dtype="i8")),
    SearchPeer(
        "FAISS IVF", "faiss", "faiss-cpu", False, {SIZES[0]: _cells("IVF1024,Flat"), SIZES[1]: _cells("IVF4096,Flat")}
    ),
    SearchPeer("FAISS HNSW", "faiss", "faiss-cpu", False, _graph(FAISS_GRAPH)),
    SearchPeer("USearch HNSW, f32", "usearch", "usearch", False, _graph(_usearch("f32"))),
    SearchPeer("USearch HNSW, i8", "usearch", "usearch", False, _graph(_usearch("i8"))),
    SearchPeer("hnswlib", "hnswlib", "hnswlib", False, _graph(HNSWLIB)),
)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where vectors and indexes lie, and who measures them on how many cores."""

    folder: Path
    ours: Path
    theirs: Path
    cores: int

    def turn(self, peer: SearchPeer, size: int, do: str, seconds: float, **more: Any) -> dict[str, Any]:
        job = {"index": peer.index, "settings": peer.settings[size], "count": size, "do": do, "cores": self.cores}
        where = {"vectors": str(self.folder), "file": str(self._path(peer, size, "index"))}
        return measure(self.theirs if peer.package else self.ours, "search_round", {**job, **where, **more}, seconds)

    def built(self, peer: SearchPeer, size: int) -> dict[str, Any]:
        """What building the index took; effort, recall and number of threads of its fastest search in batches. Built
        and tried unless that is known."""
        known = self._path(peer, size, "json")
        figures: dict[str, Any] = json.loads(known.read_text()) if known.is_file() else {}
        if not figures:
            err.print(f"Building {peer.title} of {size:,} faces ...")
            figures = self.turn(peer, size, "build", BUILDING_SECONDS)
            known.write_text(json.dumps(figures))
        if "threads" not in figures:
            err.print(f"Trying {peer.title} with one thread and with {self.cores} ...")
            tried = [
                {"threads": threads, **self.turn(peer, size, "tune", BUILDING_SECONDS, threads=threads)}
                for threads in (1, self.cores)
            ]
            figures |= min(tried, key=lambda one: one["batch_ms"])
            known.write_text(json.dumps(figures))
        return figures

    def _path(self, peer: SearchPeer, size: int, suffix: str) -> Path:
        made_of = json.dumps([peer.title, size, peer.settings[size]])
        return self.folder / f"{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.{suffix}"


def measure_searches(folder: Path, ours: Path, theirs: Path, cores: int) -> list[dict[str, Any]]:
    """A row for each peer and size: what building took, effort and recall, medians of the rounds, the median ratio to
    ours. Raises PeerFailed."""
    make_vectors(folder)
    bench, known = _Bench(folder, ours, theirs, cores), Rounds(folder / "rounds.json")
    rows = []
    for size in SIZES:
        peers = [peer for peer in PEERS if size in peer.settings]
        built = {peer.title: bench.built(peer, size) for peer in peers}
        rounds: dict[str, list[dict[str, Any]]] = {peer.title: [] for peer in peers}
        for number, peer in itertools.product(range(ROUNDS), peers):
            name = f"Round {number + 1} of {ROUNDS}: {peer.title}, {size:,} faces"
            err.print(name)
            best = {setting: built[peer.title][setting] for setting in ("effort", "threads")}
            turn = partial(bench.turn, peer, size, "round", ROUND_SECONDS, **best)
            rounds[peer.title].append(known.turn(name, turn))
        rows += [_row(peer, size, built[peer.title], rounds) for peer in peers]
    known.close()
    return rows


def _row(
    peer: SearchPeer, size: int, figures: Mapping[str, Any], rounds: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    mine, ours = rounds[peer.title], rounds[OURS]
    return {
        "peer": peer.title,
        "packages": [peer.package] if peer.package else [],
        "exact": peer.exact,
        "faces": size,
        "settings": peer.settings[size],
        **figures,
        **{name: statistics.median(one[name] for one in mine) for name in mine[0]},
        "of_raw": statistics.median(one["memory_mb"] for one in mine) * 1e6 / (4 * size * DIMENSION),
        **{
            f"{name}_of_ours": statistics.median(a[name] / b[name] for a, b in zip(mine, ours, strict=True))
            for name in ("one_ms", "batch_ms")
        },
    }
