"""A peer's turn: all pictures once through its loop, on the cores it was given."""

import multiprocessing
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.child import answer, memory_mb
from benchmarks.peers.picture_loops import Loop, make_loop, verdicts

WARM = 12

_loops: dict[int, Loop] = {}
"""Of this process's threads; a loop need not be safe to share."""


def turn(job: dict[str, Any]) -> dict[str, Any]:
    """Pictures a second, faces found, pictures with one, the median picture's milliseconds, memory; of one loop also
    the milliseconds that cores work on a picture, which stay the same on a machine that others use, too.

    The job's settings say how cores are kept busy: `by` one loop whose libraries have `threads`, by a thread a core,
    by a process a core, or, of Likeness's whole verdict, by itself.
    """
    pictures = [path.read_bytes() for path in sorted(Path(job["pictures"]).iterdir())][: job["count"]]
    settings, home = job["settings"], Path(job["home"])
    if settings["by"] == "one":
        _make(job["loop"], settings, home)
        return _time_one(pictures) | {"memory_mb": memory_mb()}
    if settings["by"] == "itself":
        screen = verdicts(home)
        screen(pictures[:WARM] * 4)
        started = time.perf_counter()
        found = screen(pictures)
        seconds = time.perf_counter() - started
        return _figures(seconds, found, [seconds / len(found)]) | {"memory_mb": memory_mb()}
    with _executor(job["loop"], settings, home, job["cores"]) as executor:
        list(executor.map(_look, pictures[:WARM] * job["cores"]))
        started = time.perf_counter()
        answers = list(executor.map(_look, pictures))
        seconds = time.perf_counter() - started
        figures = _figures(seconds, [faces for faces, _ in answers], [each for _, each in answers])
        return figures | {"memory_mb": memory_mb()}


def _time_one(pictures: list[bytes]) -> dict[str, Any]:
    for picture in pictures[:WARM]:
        _look(picture)
    started, used = time.perf_counter(), time.process_time()
    answers = [_look(picture) for picture in pictures]
    seconds, worked = time.perf_counter() - started, time.process_time() - used
    figures = _figures(seconds, [faces for faces, _ in answers], [each for _, each in answers])
    return figures | {"core_ms": 1e3 * worked / len(pictures)}


def _figures(seconds: float, found: list[int], each: list[float]) -> dict[str, Any]:
    return {
        "rate": len(found) / seconds,
        "faces": sum(found),
        "pictures_with_a_face": sum(faces > 0 for faces in found),
        "pictures": len(found),
        "milliseconds": 1e3 * float(np.median(each)),
    }


def _executor(name: str, settings: Mapping[str, Any], home: Path, cores: int) -> Executor:
    if settings["by"] == "threads":
        return ThreadPoolExecutor(cores, initializer=_make, initargs=(name, settings, home))
    spawn = multiprocessing.get_context("spawn")
    started = spawn.Value("i", 0)
    return ProcessPoolExecutor(
        cores, mp_context=spawn, initializer=_make_on_one_core, initargs=(started, name, settings, home)
    )


def _make_on_one_core(started: Any, name: str, settings: Mapping[str, Any], home: Path) -> None:
    with started.get_lock():
        os.sched_setaffinity(0, {started.value})
        started.value += 1
    _make(name, settings, home)


def _make(name: str, settings: Mapping[str, Any], home: Path) -> None:
    _loops[threading.get_ident()] = make_loop(name, settings, home)


def _look(picture: bytes) -> tuple[int, float]:
    """Faces, and seconds."""
    loop = _loops[threading.get_ident()]
    started = time.perf_counter()
    faces = loop(picture)
    return faces, time.perf_counter() - started


if __name__ == "__main__":
    answer(turn)
