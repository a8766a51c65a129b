"""Every face compared with every other, once, in blocks that bound the memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 2048
"""Faces compared at once."""
NOT_A_PAIR = np.float32(-3)
"""In place of a pair that came before, or of a face with itself; below every cosine."""


def pairs(embeddings: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.float32], slice, slice]]:
    """Cosines of some rows with some columns of `embeddings`, (N, D) unit vectors, and which those are."""
    for top in range(0, len(embeddings), BLOCK):
        for left in range(top, len(embeddings), BLOCK):
            similarities = embeddings[top : top + BLOCK] @ embeddings[left : left + BLOCK].T
            np.minimum(similarities, 1, out=similarities)  # rounding lifts copies of one photo above it
            if left == top:
                similarities[np.tril_indices(len(similarities))] = NOT_A_PAIR
            yield similarities, slice(top, top + BLOCK), slice(left, left + BLOCK)
