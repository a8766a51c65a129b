"""Whole numbers filed under texts, in 12 bytes each: for names by the million, which a dict would take 200 bytes for.

A text is known by its 64-bit hash, keyed by Python anew in every process. New entries wait in a dict and are then
sorted into arrays, each at least twice as long as the next (a log-structured merge).
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

WAITING = 16_384
"""Entries of the dict."""

Run = tuple[NDArray[np.int64], NDArray[np.uint32]]
"""Hashes, sorted, and their numbers."""


class KeyTable:
    """Not safe for several threads by itself. Two texts of one hash share their numbers: about one pair among five
    billion of texts."""

    def __init__(self, is_live: Callable[[NDArray[np.uint32]], NDArray[np.bool_]]) -> None:
        """`is_live`: which of these numbers are still wanted; entries of others are given up in time."""
        self._is_live = is_live
        self._waiting: dict[int, list[int]] = {}
        self._count = 0
        self._runs: list[Run] = []

    def __len__(self) -> int:
        """Entries that take memory, of numbers that are wanted or not."""
        return self._count + sum(len(hashes) for hashes, _ in self._runs)

    def add(self, text: str, number: int) -> None:
        self._waiting.setdefault(hash(text), []).append(number)
        self._count += 1
        if self._count >= WAITING:
            self.settle()

    def find(self, texts: Iterable[str]) -> list[int]:
        """The numbers filed under any of `texts`, wanted or not; a number may come twice."""
        keys = list(map(hash, texts))
        found = [number for key in keys for number in self._waiting.get(key, ())]
        wanted = np.array(keys, np.int64)
        for hashes, numbers in self._runs:
            begins, ends = np.searchsorted(hashes, wanted), np.searchsorted(hashes, wanted, "right")
            for place in np.flatnonzero(ends > begins).tolist():
                found += numbers[begins[place] : ends[place]].tolist()
        return found

    def settle(self) -> None:
        """Sorts what waits into the arrays, and gives up what is not wanted in those that it touches."""
        entries = [(key, number) for key, numbers in self._waiting.items() for number in numbers]
        keys, numbers = zip(*entries, strict=True) if entries else ((), ())
        self._runs.append(self._run(np.array(keys, np.int64), np.array(numbers, np.uint32)))
        self._waiting, self._count = {}, 0
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            self._runs[-2:] = [self._together(self._runs[-2:])]

    def renumber(self, new: NDArray[np.uint32]) -> None:
        """Gives every wanted number n its `new[n]`, and up all others."""
        self.settle()
        hashes, numbers = self._together(self._runs)
        self._runs = [(hashes, new[numbers])]

    def _together(self, runs: Sequence[Run]) -> Run:
        return self._run(np.concatenate([one for one, _ in runs]), np.concatenate([other for _, other in runs]))

    def _run(self, hashes: NDArray[np.int64], numbers: NDArray[np.uint32]) -> Run:
        live = self._is_live(numbers)
        hashes, numbers = hashes[live], numbers[live]
        order = np.argsort(hashes, kind="stable")
        return hashes[order], numbers[order]
