"""An index's turn: built once, or loaded and searched."""

import gc
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.child import answer, memory_mb
from benchmarks.peers.search_indexes import INDEXES, Index

MISSES = 0.001
"""The share of people overlooked that an approximate index may have; its effort is the least that keeps it."""
BATCH = 32
SINGLES = 30
BATCHES = 6


def turn(job: dict[str, Any]) -> dict[str, Any]:
    """What the job asks: `build` the index of the first `count` vectors, `tune` its effort, or time a `round`."""
    index = INDEXES[job["index"]](job["settings"], job.get("threads", job["cores"]))
    file, folder = Path(job["file"]), Path(job["vectors"])
    if job["do"] == "build":
        return _build(index, file, np.load(folder / "gallery.npy", mmap_mode="r")[: job["count"]])
    probes = np.load(folder / "probes.npy")
    if job["do"] == "tune":
        index.load(file)
        tuned = _tune(index, probes, np.load(folder / f"nearest-{job['count']}.npy"))
        return tuned | {"batch_ms": _milliseconds(index, probes, tuned["effort"], BATCH, BATCHES)}
    before = memory_mb()
    index.load(file)
    index.search(probes[:BATCH], job["effort"])
    gc.collect()
    memory = memory_mb() - before
    return {
        "one_ms": _milliseconds(index, probes, job["effort"], 1, SINGLES),
        "batch_ms": _milliseconds(index, probes, job["effort"], BATCH, BATCHES),
        "memory_mb": memory,
    }


def _build(index: Index, file: Path, vectors: NDArray[np.float32]) -> dict[str, Any]:
    """Seconds, and those that the cores worked, others on the machine left out."""
    started, used = time.perf_counter(), time.process_time()
    index.build(vectors, file)
    return {
        "build_seconds": time.perf_counter() - started,
        "build_core_seconds": time.process_time() - used,
    }


def _tune(index: Index, probes: NDArray[np.float32], nearest: NDArray[np.int64]) -> dict[str, Any]:
    """The effort to search with, and its recall: of the probes with somebody to be found, the share that finds them."""
    somebody = nearest >= 0
    for effort in index.efforts:
        found = [index.search(probes[start : start + BATCH], effort) for start in range(0, len(probes), BATCH)]
        recall = float((np.concatenate(found) == nearest)[somebody].mean())
        if recall >= 1 - MISSES:
            break
    return {"effort": effort, "recall": recall}


def _milliseconds(index: Index, probes: NDArray[np.float32], effort: int, size: int, times: int) -> float:
    """Of one probe, the median of `times` searches for `size` probes at once."""
    taken = []
    for number in range(times):
        asked = probes[number * size : (number + 1) * size]
        started = time.perf_counter()
        index.search(asked, effort)
        taken.append(1e3 * (time.perf_counter() - started) / size)
    return float(np.median(taken))


if __name__ == "__main__":
    answer(turn)
