"""Finds the gallery's photos whose PDQ is near an avatar's: every row is compared, so nothing near is missed.

Rows are those of detector/index.py, whose lock guards this one too.
"""

import numpy as np
from numpy.typing import NDArray

from detector.fingerprint import Hash

FIRST_CAPACITY = 1024
ROWS_AT_ONCE = 16_384
"""Bounds the memory of a search: a block takes some 2 MB."""


class FingerprintIndex:
    """Hashes by row; a row may hold none. Not safe for several threads by itself."""

    def __init__(self) -> None:
        self._words = np.zeros((4, FIRST_CAPACITY), np.uint64)
        self._held = np.zeros(FIRST_CAPACITY, bool)
        self._end = 0

    def __len__(self) -> int:
        """Rows that hold a hash."""
        return int(np.count_nonzero(self._held))

    def set_row(self, row: int, picture: Hash | None) -> None:
        """Let `row` hold the hash, (4,) uint64, or none: for a free row, or a photo of too low a quality."""
        if row >= len(self._held):
            more = max(row + 1, 2 * len(self._held)) - len(self._held)
            self._words = np.pad(self._words, ((0, 0), (0, more)))
            self._held = np.pad(self._held, (0, more))
        self._held[row] = picture is not None
        self._words[:, row] = 0 if picture is None else picture
        self._end = max(self._end, row + 1)

    def search(self, hashes: NDArray[np.uint64], limit: int) -> list[tuple[int, int, int]]:
        """The rows within `limit` bits of any of an avatar's `hashes`, (T, 4) uint64, nearest first: row, distance and
        the number of the nearest hash, for fingerprint.hashes_to_search a place in TRANSFORMS. No hashes find nothing.
        """
        found: list[tuple[int, int, int]] = []
        for start in range(0, self._end if len(hashes) else 0, ROWS_AT_ONCE):
            block = slice(start, min(start + ROWS_AT_ONCE, self._end))
            distances = np.zeros((len(hashes), block.stop - start), np.uint16)
            for mine, theirs in zip(hashes.T, self._words[:, block], strict=True):
                distances += np.bitwise_count(mine[:, None] ^ theirs)
            near = np.flatnonzero((distances.min(axis=0) <= limit) & self._held[block])
            for place in near.tolist():
                nearest = int(distances[:, place].argmin())
                found.append((start + place, int(distances[nearest, place]), nearest))
        return sorted(found, key=lambda hit: (hit[1], hit[0]))
