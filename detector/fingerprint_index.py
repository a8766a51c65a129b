"""Finds the gallery's photos whose PDQ is near an avatar's; nothing near is missed.

A hash is 16 keys of 16 bits. Where two hashes differ by at most 31 bits, one of their keys differs by one bit at most
(Norouzi et al., "Fast Search in Hamming Space with Multi-Index Hashing", 2012). So rows are filed by each of their keys
and compared in full only where a key is near: of LFW's photos one in 110. Rows set since the last filing are all
compared. Rows are those that detector/index.py gives.
"""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from detector.fingerprint import Hash
from detector.identity import PICTURE_LIMIT

FIRST_CAPACITY = 1024
ROWS_AT_ONCE = 16_384
"""Bounds the memory of a search: a block takes some 2 MB."""
KEYS = 16
"""Keys of 16 bits that a hash has."""
FARTHEST = 2 * KEYS - 1
"""Bits within which the keys find everything; beyond it every row is compared."""
UNFILED_SHARE = 32
LEAST_UNFILED = 1_024
"""A search has the rows filed that were set since the last filing once they are more than this, and than a 32nd of
those that are: each costs every search, and filing costs as much as all rows."""
_NEAR_KEYS = np.concatenate([[0], 1 << np.arange(16)]).astype(np.uint16)
"""What a key is turned into by no change, and by each change of one bit."""


@dataclass(frozen=True, slots=True, eq=False)
class _Filed:
    """rows: (KEYS, N) uint32, sorted by each key; starts: (KEYS, 65,537) uint32, where the rows of a key begin."""

    rows: NDArray[np.uint32]
    starts: NDArray[np.uint32]

    @classmethod
    def of(cls, words: NDArray[np.uint64], rows: NDArray[np.int64]) -> Self:
        filed = np.empty((KEYS, len(rows)), np.uint32)
        starts = np.zeros((KEYS, 65_537), np.uint32)
        for number in range(KEYS):
            keys = words.view(np.uint16)[rows, number]
            filed[number] = rows[np.argsort(keys, kind="stable")]
            np.cumsum(np.bincount(keys, minlength=65_536), out=starts[number, 1:])
        return cls(filed, starts)

    def candidates(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint32]] | None:
        """How many rows share a near key with each of `hashes`, (T, 4) uint64, and these rows, hash by hash; None for
        more than there are rows, as a gallery of pictures all alike may have."""
        if not self.rows.shape[1]:
            return np.zeros(len(hashes), np.int64), self.rows[0]
        keys = np.ascontiguousarray(hashes).view(np.uint16)[:, :, None] ^ _NEAR_KEYS
        number = np.arange(KEYS)[None, :, None]
        begins = self.starts[number, keys].astype(np.int64)
        counts = self.starts[number, keys.astype(np.int64) + 1] - begins
        if (total := int(counts.sum())) > self.rows.shape[1]:
            return None
        begins += number * self.rows.shape[1]
        flat = counts.ravel()
        places = np.repeat(begins.ravel() - (np.cumsum(flat) - flat), flat) + np.arange(total)
        return counts.sum(axis=(1, 2)), self.rows.ravel()[places]


class FingerprintIndex:
    """Hashes by row; a row may hold none. One thread may write while others search: they may then miss what is written
    meanwhile, and nothing else."""

    def __init__(self) -> None:
        self._words = np.zeros((FIRST_CAPACITY, 4), np.uint64)
        self._held = np.zeros(FIRST_CAPACITY, bool)
        self._end = 0
        self._filed = _Filed(np.empty((KEYS, 0), np.uint32), np.zeros((KEYS, 65_537), np.uint32))
        self._unfiled: list[int] = []
        self._filing = threading.Lock()

    def __len__(self) -> int:
        """Rows that hold a hash."""
        return int(np.count_nonzero(self._held))

    def set(self, rows: Sequence[int], pictures: Hash) -> None:
        """Let each of `rows` hold its hash, (K, 4) uint64."""
        if not rows:
            return
        if (last := max(rows)) >= len(self._held):
            more = max(last + 1, len(self._held) + len(self._held) // 4) - len(self._held)
            self._words = np.pad(self._words, ((0, more), (0, 0)))
            self._held = np.pad(self._held, (0, more))
        self._words[rows] = pictures
        self._held[rows] = True
        self._end = max(self._end, last + 1)
        self._unfiled += rows

    def clear(self, rows: Sequence[int]) -> None:
        """Let `rows` hold none; those that never held any are no error."""
        held = [row for row in rows if row < len(self._held)]
        self._words[held] = 0
        self._held[held] = False

    def near(self, hashes: NDArray[np.uint64], limit: int = PICTURE_LIMIT) -> NDArray[np.int64]:
        """Every row within `limit` bits of any of an avatar's `hashes`, (T, 4) uint64, and some that are not."""
        if not len(hashes):
            return np.empty(0, np.int64)
        unfiled = self._unfiled[:]  # first: what is filed meanwhile is then in both
        if len(unfiled) > max(LEAST_UNFILED, self._filed.rows.shape[1] // UNFILED_SHARE):
            threading.Thread(target=self._file, name="filing", daemon=True).start()
        candidates = self._filed.candidates(hashes) if limit <= FARTHEST else None
        if candidates is None:
            return np.arange(self._end)
        counts, rows = candidates
        bits = np.bitwise_count(np.take(self._words, rows, axis=0) ^ np.repeat(hashes, counts, axis=0))
        distances = bits[:, 0].astype(np.uint16) + bits[:, 1] + bits[:, 2] + bits[:, 3]
        near = rows[distances <= limit]
        return np.unique(np.concatenate([near, np.asarray(unfiled, np.int64)]))

    def compare(
        self, hashes: NDArray[np.uint64], rows: NDArray[np.int64], limit: int = PICTURE_LIMIT
    ) -> list[tuple[int, int, int]]:
        """Those of `rows` within `limit` bits of any of an avatar's `hashes`, (T, 4) uint64, nearest first: row,
        distance and the number of the nearest hash, for fingerprint.hashes_to_search a place in TRANSFORMS."""
        found: list[tuple[int, int, int]] = []
        rows = rows[rows < len(self._held)]  # a face without a picture may have a row beyond
        for start in range(0, len(rows) if len(hashes) else 0, ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            distances = np.zeros((len(hashes), len(some)), np.uint16)
            for mine, theirs in zip(hashes.T, self._words[some].T, strict=True):
                distances += np.bitwise_count(mine[:, None] ^ theirs)
            near = np.flatnonzero((distances.min(axis=0) <= limit) & self._held[some])
            for place in near.tolist():
                nearest = int(distances[:, place].argmin())
                found.append((int(some[place]), int(distances[nearest, place]), nearest))
        return sorted(found, key=lambda hit: (hit[1], hit[0]))

    def search(self, hashes: NDArray[np.uint64], limit: int) -> list[tuple[int, int, int]]:
        """Of all rows, see `compare`. No hashes find nothing."""
        return self.compare(hashes, self.near(hashes, limit), limit)

    def _file(self) -> None:
        """Files every row as it is now; rows that are set meanwhile stay unfiled."""
        if not self._filing.acquire(blocking=False):
            return
        with contextlib.ExitStack() as done:
            done.callback(self._filing.release)
            count = len(self._unfiled)
            held = np.flatnonzero(self._held)  # before the words, which grow first
            self._filed = _Filed.of(self._words, held)
            del self._unfiled[:count]
