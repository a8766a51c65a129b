"""The searchable form of the gallery in memory: faces by one matrix product, pictures by fingerprint, names by
skeleton.

Changes come identity by identity, each with the identity's full state, and a search sees whole changes only.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.fingerprint import LEAST_QUALITY, TRANSFORMS, Hash, hash_from
from detector.fingerprint_index import FingerprintIndex
from detector.identity import PICTURE_LIMIT, Fingerprint, Identity
from detector.names import NameIndex
from detector.template import template
from detector.verdict import NameClaim, SamePhoto

FIRST_CAPACITY = 1024
PROBES_AT_ONCE = 64
"""Bounds the memory of a search: a batch of crowded pictures may hold thousands of faces."""


class GalleryOfAnotherPack(Exception):
    """The gallery holds references that cannot be searched with this model pack: they would be unprotected."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The nearest reference of one identity to a probe. `similarity`: cosine, -1..1, of it or of their template."""

    identity: Identity
    reference_id: str
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is asked about one avatar. embeddings: (F, D) float32 unit vectors of its faces; pictures: (8, 4) uint64,
    its fingerprint under detector/fingerprint.py's TRANSFORMS, or (0, 4) for a picture too flat to have one."""

    embeddings: NDArray[np.float32]
    pictures: NDArray[np.uint64]
    display_name: str | None = None
    handle: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PictureFound:
    """A reference whose photo is the avatar's picture."""

    identity: Identity
    reference_id: str
    photo: SamePhoto


@dataclass(frozen=True, slots=True, eq=False)
class ClaimFound:
    """An identity whose name the profile claims; `face`: number of the avatar's face most like it; `comparisons`: how
    many were made for the names that the profile claims."""

    claim: NameClaim
    face: int
    match: Match
    comparisons: int


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the gallery holds about one avatar; `faces`: the matches of each face, most similar first."""

    faces: list[list[Match]]
    pictures: list[PictureFound] = field(default_factory=list)
    claims: list[ClaimFound] = field(default_factory=list)


class GalleryIndex:
    """All active references of one model pack; one writer, any number of searching threads.

    A row of the matrix is a reference, or the template of an identity's several references; rows of removed references
    are zero, which matches nothing, and are used again.
    """

    def __init__(self, pack: str, dimension: int) -> None:
        self.pack = pack
        self.dimension = dimension
        self._lock = threading.RLock()
        self._matrix = np.zeros((FIRST_CAPACITY, dimension), np.float32)
        self._pictures = FingerprintIndex()
        self._names = NameIndex()
        self._owners: list[tuple[Identity, str | None] | None] = []
        self._templates = 0
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
    def comparisons(self) -> int:
        """With how many embeddings a face is compared: references, and the template of who has several."""
        return len(self._owners) - len(self._free)

    @property
    def references(self) -> int:
        """References that are searched."""
        return self.comparisons - self._templates

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
                "would be unprotected: run `likeness gallery reembed`, or the pack they were made with (models.pack)."
            )

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """No search sees some of the changes made within and not the others; they hold searches up, so be brief."""
        with self._lock:
            yield

    def apply(self, identity: Identity) -> bool:
        """Take the identity's new state in place of the old. False, and nothing done, if a newer one is known. Raises
        ValueError, with nothing done, for embeddings that are none of this pack's."""
        usable = [reference for reference in identity.references if self.pack in reference.embeddings]
        # Made before anything is dropped: a change that cannot be taken in leaves the identity as it was.
        vectors = self._vectors([reference.embeddings[self.pack] for reference in usable])
        with self._lock:
            if not self._is_newer(identity.id, identity.sequence):
                return False
            self._drop(identity.id)
            self._identities[identity.id] = identity
            if missing := len(identity.references) - len(usable):
                self._without_embedding[identity.id] = missing
            rows = self._take_rows(len(vectors))
            self._matrix[rows] = vectors
            if len(vectors) > len(usable):
                self._owners[rows[-1]] = (identity, None)
                self._templates += 1
            for row, reference in zip(rows, usable, strict=False):
                self._owners[row] = (identity, reference.id)
                self._pictures.set_row(row, _hash(reference.fingerprint))
            self._rows[identity.id] = rows
            self._names.set(identity.id, identity.name)
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
            rows = self._rows.get(identity_id, ())
            return [self._matrix[row].copy() for row in rows if self._owner(row)[1] is not None]

    def search(self, probes: NDArray[np.float32], threshold: float) -> tuple[list[list[Match]], int]:
        """For each probe of (P, D) float32 unit vectors: per identity at or above `threshold` its nearest reference,
        most similar first; and the gallery version searched."""
        with self._lock:
            found: list[list[Match]] = []
            for start in range(0, len(probes), PROBES_AT_ONCE):
                found += self._search(probes[start : start + PROBES_AT_ONCE], threshold)
            return found, self._version

    def look_up(self, queries: Sequence[Query], lowest: Callable[[int], float]) -> tuple[list[Found], int, int]:
        """What the gallery holds about each query, the gallery version searched and its number of comparisons.

        `lowest`: the cosine worth finding, given the number of comparisons.
        """
        with self._lock:
            embeddings = [query.embeddings for query in queries]
            probes = np.concatenate(embeddings) if embeddings else np.empty((0, self.dimension), np.float32)
            matches: list[list[Match]] = []
            threshold = lowest(self.comparisons)
            for start in range(0, len(probes), PROBES_AT_ONCE):
                matches += self._search(probes[start : start + PROBES_AT_ONCE], threshold)
            found, first = [], 0
            for query in queries:
                faces = matches[first : first + len(query.embeddings)]
                first += len(query.embeddings)
                found.append(Found(faces, self._find_pictures(query), self._find_claims(query)))
            return found, self._version, self.comparisons

    def _find_pictures(self, query: Query) -> list[PictureFound]:
        if not len(query.pictures):
            return []
        found = []
        for row, distance, transform in self._pictures.search(query.pictures, PICTURE_LIMIT):
            identity, reference_id = self._owner(row)
            assert reference_id is not None, "a template has no picture"
            photo = SamePhoto("picture", distance, TRANSFORMS[transform], visible=1.0)
            found.append(PictureFound(identity, reference_id, photo))
        return found

    def _find_claims(self, query: Query) -> list[ClaimFound]:
        if not len(query.embeddings) or not (query.display_name or query.handle):
            return []
        found = []
        claims = self._names.claimed(query.display_name, query.handle)
        rows_of = {identity_id: self._rows.get(identity_id, []) for identity_id, _ in claims}
        comparisons = len(query.embeddings) * sum(map(len, rows_of.values()))
        for identity_id, claim in claims:
            if rows := rows_of[identity_id]:
                similarities = query.embeddings @ self._matrix[rows].T
                face, place = divmod(int(similarities.argmax()), len(rows))
                match = self._match(rows[place], query.embeddings[face], float(similarities[face, place]))
                found.append(ClaimFound(claim, face, match, comparisons))
        return found

    def _search(self, probes: NDArray[np.float32], threshold: float) -> list[list[Match]]:
        similarities = probes @ self._matrix[: len(self._owners)].T
        best: list[dict[str, tuple[float, int]]] = [{} for _ in probes]
        for probe, row in np.argwhere(similarities >= threshold).tolist():
            owner = self._owners[row]
            if owner is None:
                continue
            similarity = float(similarities[probe, row])
            known = best[probe].get(owner[0].id)
            if known is None or similarity > known[0]:
                best[probe][owner[0].id] = (similarity, row)
        return [
            [self._match(row, probe, similarity) for similarity, row in sorted(rows.values(), reverse=True)]
            for probe, rows in zip(probes, best, strict=True)
        ]

    def _match(self, row: int, probe: NDArray[np.float32], similarity: float) -> Match:
        """The match with `row`; one with a template names the reference that is nearest."""
        identity, reference_id = self._owner(row)
        if reference_id is None:
            references = [one for one in self._rows[identity.id] if one != row]
            reference_id = self._owner(references[int((self._matrix[references] @ probe).argmax())])[1]
        assert reference_id is not None
        return Match(identity, reference_id, similarity)

    def _vectors(self, embeddings: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(K, D) of K references, with their template in the last row if there are several."""
        if not embeddings:
            return np.empty((0, self.dimension), np.float32)
        vectors = np.stack(embeddings)
        if vectors.shape[1:] != (self.dimension,) or not np.isfinite(vectors).all():
            raise ValueError(f"embeddings of {self.pack} have {self.dimension} finite numbers, not {vectors.shape[1:]}")
        return vectors if len(vectors) == 1 else np.vstack([vectors, template(vectors)[None]])

    def _owner(self, row: int) -> tuple[Identity, str | None]:
        owner = self._owners[row]
        assert owner is not None
        return owner

    def _is_newer(self, identity_id: str, sequence: int) -> bool:
        if sequence <= self._sequences.get(identity_id, 0):
            return False
        self._sequences[identity_id] = sequence
        self._version = max(self._version, sequence)
        return True

    def _drop(self, identity_id: str) -> None:
        for row in self._rows.pop(identity_id, ()):
            self._templates -= self._owner(row)[1] is None
            self._matrix[row] = 0
            self._owners[row] = None
            self._pictures.set_row(row, None)
            self._free.append(row)
        self._names.drop(identity_id)
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


def _hash(fingerprint: Fingerprint | None) -> Hash | None:
    """The hash to search; none of a photo too flat to be told from others."""
    if fingerprint is None or fingerprint.picture_quality < LEAST_QUALITY:
        return None
    return hash_from(fingerprint.picture)
