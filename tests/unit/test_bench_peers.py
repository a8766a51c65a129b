"""The comparison with other libraries is fair: the same answers are asked of all, and each runs at its best."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.child import PeerFailed, measure
from benchmarks.peers.picture_peers import best
from benchmarks.peers.vectors import make_vectors

OURS = Path(sys.executable)


def test_the_best_way_is_the_fastest_of_those_that_find_most_faces() -> None:
    blind = ({"upsample": 0}, {"rate": 90.0, "pictures_with_a_face": 20})
    slow = ({"upsample": 1}, {"rate": 10.0, "pictures_with_a_face": 24})
    fast = ({"upsample": 2}, {"rate": 12.0, "pictures_with_a_face": 24})
    assert best([blind, slow, fast]) == fast[0]


@pytest.mark.parametrize("index", ["likeness", "numpy"])
def test_an_exact_index_finds_everybody_in_a_process_of_its_own(index: str, tmp_path: Path) -> None:
    make_vectors(tmp_path, (2_000, 4_000))
    job: dict[str, Any] = {"index": index, "settings": {"threshold": 0.6}, "count": 4_000, "cores": 1}
    job |= {"file": str(tmp_path / "index"), "vectors": str(tmp_path)}
    assert measure(OURS, "search_round", {**job, "do": "build"})["build_core_seconds"] > 0
    tuned = measure(OURS, "search_round", {**job, "do": "tune"})
    assert tuned["recall"] == 1.0
    assert measure(OURS, "search_round", {**job, "do": "round", "effort": 0})["one_ms"] > 0


def test_half_of_the_probes_are_people_to_be_found(tmp_path: Path) -> None:
    make_vectors(tmp_path, (2_000, 4_000))
    nearest = np.load(tmp_path / "nearest-4000.npy")
    assert (nearest >= 0).mean() == pytest.approx(0.5, abs=0.01)
    assert nearest.max() < 2_000  # in the smaller gallery, so that both sizes look for the same people


def test_a_peer_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="no such loop"):
        measure(OURS, "picture_round", {"loop": "no such loop", "cores": 1, "pictures": str(tmp_path)} | _ROUND)


_ROUND = {"count": 1, "home": "/nowhere", "settings": {"by": "one", "threads": 1}}
