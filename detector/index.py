"""The searchable form of the gallery in memory: exact cosine search by one matrix product.

Changes come identity by identity, each with the identity's full state, and a search sees whole changes only.
"""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.identity import Identity

FIRST_CAPACITY = 1024
PROBES_AT_ONCE = 64
"""Bounds the memory of a search: a batch of crowded pictures may hold thousands of faces."""


class GalleryOfAnotherPack(Exception):
    """The gallery holds references that cannot be searched with this model pack: they would be unprotected."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The nearest reference of one identity to a probe. `similarity`: cosine, -1..1."""

    identity: Identity
    reference_id: str
    similarity: float


class GalleryIndex:
    """All active references of one model pack; one writer, any number of searching threads.

    A row of the matrix is a reference; rows of removed references are zero, which matches nothing, and are used again.
    """

    def __init__(self, pack: str, dimension: int) -> None:
        self.pack = pack
        self.dimension = dimension
        self._lock = threading.Lock()
        self._matrix = np.zeros((FIRST_CAPACITY, dimension), np.float32)
        self._owners: list[tuple[Identity, str] | None] = []
        self._free: list[int] = []
        self._rows: dict[str, list[int]] = {}
        self._identities: dict[str, Identity] = {}
        self._sequences: dict[str, int] = {}
        self._without_embedding: dict[str, int] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """The highest sequence number among the changes applied."""
        return self._version

    @property
    def references(self) -> int:
        """References that are searched."""
        return len(self._owners) - len(self._free)

    @property
    def identities(self) -> int:
        return len(self._identities)

    @property
    def without_embedding(self) -> int:
        """References that cannot be searched, having no embedding of this index's pack."""
        return sum(self._without_embedding.values())

    def require_searchable(self) -> None:
        """Raises GalleryOfAnotherPack when `without_embedding` is not 0."""
        if self.without_embedding:
            raise GalleryOfAnotherPack(
                f"{self.without_embedding} references of the gallery have no embedding of model pack {self.pack} and "
                "would be unprotected: run the pack they were made with (models.pack), or remove those identities "
                "under it and enrol them anew with this one."
            )

    def apply(self, identity: Identity) -> bool:
        """Take the identity's new state in place of the old. False, and nothing done, if a newer one is known."""
        usable = [
            (reference.id, reference.embeddings[self.pack])
            for reference in identity.references
            if self.pack in reference.embeddings
        ]
        with self._lock:
            if not self._is_newer(identity.id, identity.sequence):
                return False
            self._drop(identity.id)
            self._identities[identity.id] = identity
            if missing := len(identity.references) - len(usable):
                self._without_embedding[identity.id] = missing
            rows = self._take_rows(len(usable))
            for row, (reference_id, embedding) in zip(rows, usable, strict=True):
                self._matrix[row] = embedding
                self._owners[row] = (identity, reference_id)
            self._rows[identity.id] = rows
            return True

    def remove(self, identity_id: str, sequence: int) -> bool:
        """Forget the identity as of `sequence`. False, and nothing done, if a newer state is known."""
        with self._lock:
            if not self._is_newer(identity_id, sequence):
                return False
            self._drop(identity_id)
            return True

    def embeddings(self, identity_id: str) -> list[NDArray[np.float32]]:
        """Copies of the identity's embeddings, (D,) float32 each; none for an unknown identity."""
        with self._lock:
            return [self._matrix[row].copy() for row in self._rows.get(identity_id, ())]

    def search(self, probes: NDArray[np.float32], threshold: float) -> tuple[list[list[Match]], int]:
        """For each probe of (P, D) float32 unit vectors: per identity at or above `threshold` its nearest reference,
        most similar first; and the gallery version searched."""
        with self._lock:
            found: list[list[Match]] = []
            for start in range(0, len(probes), PROBES_AT_ONCE):
                found += self._search(probes[start : start + PROBES_AT_ONCE], threshold)
            return found, self._version

    def _search(self, probes: NDArray[np.float32], threshold: float) -> list[list[Match]]:
        similarities = probes @ self._matrix[: len(self._owners)].T
        best: list[dict[str, Match]] = [{} for _ in probes]
        for probe, row in np.argwhere(similarities >= threshold).tolist():
            owner = self._owners[row]
            if owner is None:
                continue
            identity, reference_id = owner
            similarity = float(similarities[probe, row])
            known = best[probe].get(identity.id)
            if known is None or similarity > known.similarity:
                best[probe][identity.id] = Match(identity, reference_id, similarity)
        return [sorted(matches.values(), key=lambda match: -match.similarity) for matches in best]

    def _is_newer(self, identity_id: str, sequence: int) -> bool:
        if sequence <= self._sequences.get(identity_id, 0):
            return False
        self._sequences[identity_id] = sequence
        self._version = max(self._version, sequence)
        return True

    def _drop(self, identity_id: str) -> None:
        for row in self._rows.pop(identity_id, ()):
            self._matrix[row] = 0
            self._owners[row] = None
            self._free.append(row)
        self._identities.pop(identity_id, None)
        self._without_embedding.pop(identity_id, None)

    def _take_rows(self, count: int) -> list[int]:
        rows = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = count - len(rows)
        start = len(self._owners)
        while start + fresh > len(self._matrix):
            grown = np.zeros((2 * len(self._matrix), self.dimension), np.float32)
            grown[:start] = self._matrix[:start]
            self._matrix = grown
        self._owners.extend([None] * fresh)
        return rows + list(range(start, start + fresh))
