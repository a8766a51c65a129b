"""Whose faces lie in which row, and whose are near a probe's."""

import numpy as np
from numpy.typing import NDArray

from detector.index_rows import Rows
from detector.vectors import Vectors

ROWS_AT_ONCE = 16_384
"""Bounds the memory where many rows are near: at thresholds so low that nobody asks for them."""


class FaceRows:
    """Rows of vectors, each owned by an identity. Not safe for several threads but for `near`, see Vectors."""

    def __init__(self, dimension: int, threads: int) -> None:
        self.rows = Rows()
        self.vectors = Vectors(dimension, threads)
        self.near = self.vectors.near

    def free(self, rows: list[int]) -> None:
        self.vectors.clear(rows)
        self.rows.free(rows)

    def best(
        self, probes: NDArray[np.float32], threshold: float, rows: NDArray[np.int64]
    ) -> list[list[tuple[float, int, str]]]:
        """For each probe of (P, D) float32: per owner among those of `rows` at or above `threshold` the similarity and
        number of the nearest, and the owner's id; most similar first."""
        best: list[dict[str, tuple[float, int, str]]] = [{} for _ in probes]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE].tolist()
            # BLAS rounds by how many probes there are; a face has the same similarity in any company.
            similarities = np.einsum("kd,pd->kp", self.vectors.get(some), probes)
            for place, probe in np.argwhere(similarities >= threshold).tolist():
                owner = self.rows.owners[some[place]]
                if owner is None:
                    continue
                similarity = float(similarities[place, probe])
                known = best[probe].get(owner)
                if known is None or similarity > known[0]:
                    best[probe][owner] = (similarity, some[place], owner)
        return [sorted(owners.values(), reverse=True) for owners in best]
