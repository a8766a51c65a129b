"""The searchable form of the gallery in memory: faces by their vectors, pictures by fingerprint, names by skeleton.

Changes come identity by identity, each with the identity's full state, and a search sees whole changes only.
A search first sweeps the whole gallery for rows that may be near, while changes go on; then it holds changes up and
compares these rows and all that have changed since it began. So its answer is that of the gallery as it is then.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.face_rows import FaceRows
from detector.fingerprint import LEAST_QUALITY, TRANSFORMS, Hash
from detector.fingerprint_index import FingerprintIndex
from detector.identity import Identity
from detector.index_rows import Rows
from detector.names import NameIndex
from detector.people import Known, People
from detector.searchable import ClaimFound, Found, GalleryOfAnotherPack, Match, PictureFound, Query
from detector.template import templates
from detector.verdict import SamePhoto

PROBES_AT_ONCE = 64
"""Bounds the memory of a search: a batch of crowded pictures may hold thousands of faces."""


@dataclass(frozen=True, slots=True, eq=False)
class _Changed:
    """Rows set since a search began: of faces, and of hashes of photos that stayed with the person."""

    faces: set[int] = field(default_factory=set)
    hashes: set[int] = field(default_factory=set)


class GalleryIndex:
    """All active references of one model pack: a SearchableGallery that takes changes.

    One writer, any number of searching threads. A row of faces is a reference, or the template of an identity's several
    references. References whose photo stayed with the person have no face to compare with: their fingerprints have rows
    of their own.
    """

    def __init__(self, pack: str, dimension: int, threads: int = 0) -> None:
        """`threads`: of one search of a large gallery, 0 = one per core."""
        self.pack = pack
        self.dimension = dimension
        self._lock = threading.RLock()
        self._searches: list[_Changed] = []
        self._people = People()
        self._removed: dict[str, int] = {}
        self._faces = FaceRows(dimension, threads)
        self._pictures = FingerprintIndex()
        self._hash_only = Rows()
        self._hashes = FingerprintIndex()
        self._names = NameIndex()
        self._templates = 0
        self._without_embedding = 0
        self._version = 0

    @property
    def version(self) -> int:
        """The highest sequence number among the changes applied."""
        return self._version

    @property
    def comparisons(self) -> int:
        """With how many embeddings a face is compared: references, and the template of who has several."""
        return len(self._faces.rows)

    @property
    def references(self) -> int:
        """References that are searched, by face or by picture alone."""
        return self.comparisons - self._templates + len(self._hash_only)

    @property
    def identities(self) -> int:
        return len(self._people)

    @property
    def without_embedding(self) -> int:
        """References that cannot be searched: of their faces there is no embedding of this index's pack."""
        return self._without_embedding

    def require_searchable(self) -> None:
        """Raises GalleryOfAnotherPack when `without_embedding` is not 0."""
        if self.without_embedding:
            raise GalleryOfAnotherPack(self.without_embedding, self.pack)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """No search sees some of the changes made within and not the others; they hold searches up, so be brief."""
        with self._lock:
            yield

    def apply(self, identity: Identity) -> bool:
        """Take the identity's new state in place of the old. False, and nothing done, if a newer one is known. Raises
        ValueError, with nothing done, for embeddings that are none of this pack's."""
        return self.apply_all([identity])[0]

    def apply_all(self, identities: Sequence[Identity]) -> list[bool]:
        """`apply` for many in a fraction of the time; of one identity's states only the newest can be taken. Raises
        ValueError, with nothing done for any of them."""
        # Made before anything is dropped: a change that cannot be taken in leaves the identity as it was.
        faces = [
            [one.embeddings[self.pack] for one in identity.references if self.pack in one.embeddings]
            for identity in identities
        ]
        vectors, several = self._stacked(faces)
        newest = {one.id: number for number, one in sorted(enumerate(identities), key=lambda each: each[1].sequence)}
        with self._lock:
            taken = [
                newest[one.id] == number and self._is_newer(one.id, one.sequence)
                for number, one in enumerate(identities)
            ]
            rows, put, names = np.full(len(vectors), -1), [], {}
            first, made = 0, len(vectors) - len(several)
            for number, (identity, own) in enumerate(zip(identities, faces, strict=True)):
                if taken[number]:
                    before = self._drop(identity.id)
                    if before is None or before.identity.name != identity.name:
                        names[identity.id] = identity.name
                    known = self._put(identity, has_template=number in several)
                    rows[first : first + len(own)] = known.faces
                    if known.template_row is not None:
                        rows[made + several[number]] = known.template_row
                    put.append(known)
                first += len(own)
            self._faces.vectors.set(rows[rows >= 0], vectors[rows >= 0])
            self._pictures.set(*_pictures((known.identity, known.face_rows) for known in put))
            self._hashes.set(*_pictures((known.identity, known.hash_rows) for known in put))
            self._names.set(names)
            return taken

    def remove(self, identity_id: str, sequence: int) -> bool:
        """Forget the identity as of `sequence`. False, and nothing done, if a newer state is known."""
        with self._lock:
            if not self._is_newer(identity_id, sequence):
                return False
            self._drop(identity_id)
            self._names.drop(identity_id)
            self._removed[identity_id] = sequence
            return True

    def embeddings(self, identity_id: str) -> list[NDArray[np.float32]]:
        """The embeddings of the identity's references, (D,) float32 each; none for an unknown identity."""
        with self._lock:
            known = self._people.get(identity_id)
            return [] if known is None else list(self._faces.vectors.get(known.faces))

    def search(self, probes: NDArray[np.float32], threshold: float) -> tuple[list[list[Match]], int]:
        """For each probe of (P, D) float32 unit vectors: per identity at or above `threshold` its nearest reference,
        most similar first; and the gallery version searched."""
        query = Query(probes, np.empty((0, 4), np.uint64))
        (found,), version, _ = self.look_up([query], lambda comparisons: threshold)
        return found.faces, version

    def look_up(self, queries: Sequence[Query], lowest: Callable[[int], float]) -> tuple[list[Found], int, int]:
        """What the gallery holds about each query, the gallery version searched, and the number of comparisons.

        `lowest`: the cosine worth finding, given the number of comparisons.
        """
        probes = np.concatenate([np.empty((0, self.dimension), np.float32), *(query.embeddings for query in queries)])
        batches = [probes[start : start + PROBES_AT_ONCE] for start in range(0, len(probes), PROBES_AT_ONCE)]
        with self._changes() as (changed, comparisons):
            threshold = lowest(comparisons)
            near = [self._faces.near(batch, threshold) for batch in batches]
            pictures = [(self._pictures.near(one.pictures), self._hashes.near(one.pictures)) for one in queries]
            with self._lock:
                people = _Unpacked(self._people)
                best = [
                    self._faces.best(batch, threshold, _with(rows, changed.faces))
                    for batch, rows in zip(batches, near, strict=True)
                ]
                probed = zip(probes, (each for batch in best for each in batch), strict=True)
                matches = [
                    [self._match(people[owner], row, probe, similarity) for similarity, row, owner in hits]
                    for probe, hits in probed
                ]
                found, first = [], 0
                for query, (by_face, by_hash) in zip(queries, pictures, strict=True):
                    last = first + len(query.embeddings)
                    alike = self._pictures_among(query, people, _with(by_face, changed.faces), self._pictures)
                    alike += self._pictures_among(query, people, _with(by_hash, changed.hashes), self._hashes)
                    found.append(Found(matches[first:last], alike, self._claims(query, people)))
                    first = last
                return found, self._version, comparisons

    @contextmanager
    def _changes(self) -> Iterator[tuple[_Changed, int]]:
        """The rows that change from now on, and the number of comparisons now."""
        changed = _Changed()
        with self._lock:
            self._searches.append(changed)
            comparisons = self.comparisons
        try:
            yield changed, comparisons
        finally:
            with self._lock:
                self._searches.remove(changed)

    def _pictures_among(
        self, query: Query, people: "_Unpacked", rows: NDArray[np.int64], pictures: FingerprintIndex
    ) -> list[PictureFound]:
        hash_only = pictures is self._hashes
        owners = (self._hash_only if hash_only else self._faces.rows).owners
        found = []
        for row, distance, transform in pictures.compare(query.pictures, rows):
            known = people[owners[row] or ""]
            reference_id = known.reference_of(row, known.hash_rows if hash_only else known.face_rows)
            photo = SamePhoto("picture", distance, TRANSFORMS[transform], 1.0, hash_only=hash_only)
            found.append(PictureFound(known.identity, reference_id, photo))
        return found

    def _claims(self, query: Query, people: "_Unpacked") -> list[ClaimFound]:
        if not len(query.embeddings) or not (query.display_name or query.handle):
            return []
        claims = self._names.claimed(query.display_name, query.handle)
        rows_of = {identity_id: people[identity_id].compared for identity_id, _ in claims}
        comparisons = len(query.embeddings) * sum(map(len, rows_of.values()))
        found = []
        for identity_id, claim in claims:
            if rows := rows_of[identity_id]:
                similarities = query.embeddings @ self._faces.vectors.get(rows).T
                face, place = divmod(int(similarities.argmax()), len(rows))
                similarity = float(similarities[face, place])
                match = self._match(people[identity_id], rows[place], query.embeddings[face], similarity)
                found.append(ClaimFound(claim, face, match, comparisons))
        return found

    def _match(self, known: Known, row: int, probe: NDArray[np.float32], similarity: float) -> Match:
        """The match with `row`; one with a template names the reference that is nearest."""
        if row == known.template_row:
            row = known.faces[int((self._faces.vectors.get(known.faces) @ probe).argmax())]
        return Match(known.identity, known.reference_of(row, known.face_rows), similarity)

    def _stacked(self, faces: Sequence[Sequence[NDArray[np.float32]]]) -> tuple[NDArray[np.float32], dict[int, int]]:
        """(K + T, D) of all K `faces`, and of the templates of the T lists that are several; those lists' numbers, each
        with that of its template among templates."""
        vectors = [vector for own in faces for vector in own]
        if wrong := {vector.shape for vector in vectors} - {(self.dimension,)}:
            raise ValueError(f"embeddings of {self.pack} have {self.dimension} finite numbers, not {wrong}")
        stacked = np.concatenate([np.empty(0, np.float32), *vectors]).reshape(-1, self.dimension)
        if not np.isfinite(stacked).all():
            raise ValueError(f"embeddings of {self.pack} have {self.dimension} finite numbers, and some here are not")
        filled = [number for number, own in enumerate(faces) if own]
        if not filled:
            return stacked, {}
        counts = np.array([len(faces[number]) for number in filled])
        made = templates(stacked, np.cumsum(counts) - counts)[counts > 1]
        several = np.array(filled)[counts > 1].tolist()
        return np.concatenate([stacked, made]), {number: place for place, number in enumerate(several)}

    def _is_newer(self, identity_id: str, sequence: int) -> bool:
        if sequence <= (self._people.sequence(identity_id) or self._removed.get(identity_id, 0)):
            return False
        self._version = max(self._version, sequence)
        return True

    def _put(self, identity: Identity, *, has_template: bool) -> Known:
        """The identity with rows; vectors, pictures and the name are still to be set."""
        face_rows: list[int | None] = []
        hash_rows: list[int | None] = []
        for reference in identity.references:
            has_face = self.pack in reference.embeddings
            hash_only = not has_face and reference.hash_only
            face_rows.append(self._faces.rows.take(identity.id) if has_face else None)
            hash_rows.append(self._hash_only.take(identity.id) if hash_only else None)
        template_row = self._faces.rows.take(identity.id) if has_template else None
        known = Known(identity, tuple(face_rows), tuple(hash_rows), template_row)
        self._people.put(known)
        self._removed.pop(identity.id, None)
        self._templates += has_template
        self._without_embedding += known.missing
        for search in self._searches:
            search.faces.update(known.compared)
            search.hashes.update(known.hashes)
        return known

    def _drop(self, identity_id: str) -> Known | None:
        """What was known of the identity, without its rows; its name stays filed."""
        known = self._people.pop(identity_id)
        if known is None:
            return None
        self._faces.free(known.compared)
        self._hash_only.free(known.hashes)
        self._pictures.clear(known.faces)
        self._hashes.clear(known.hashes)
        self._templates -= known.template_row is not None
        self._without_embedding -= known.missing
        return known


class _Unpacked(dict[str, Known]):
    """The people whom one search found, each unpacked once."""

    def __init__(self, people: People) -> None:
        super().__init__()
        self._people = people

    def __missing__(self, identity_id: str) -> Known:
        known = self._people.get(identity_id)
        assert known is not None, "who owns a row or a name is known"
        self[identity_id] = known
        return known


def _with(rows: NDArray[np.int64], changed: set[int]) -> NDArray[np.int64]:
    return np.union1d(rows, np.fromiter(changed, np.int64, len(changed))) if changed else rows


def _pictures(put: Iterable[tuple[Identity, Sequence[int | None]]]) -> tuple[list[int], Hash]:
    """Rows and the hashes to search, (K, 4) uint64; none of a photo too flat to be told from others."""
    found = [
        (row, mark.picture)
        for identity, rows in put
        for row, mark in zip(rows, (one.fingerprint for one in identity.references), strict=True)
        if row is not None and mark is not None and mark.picture_quality >= LEAST_QUALITY
    ]
    hashes = np.frombuffer(b"".join(picture for _, picture in found), np.uint64).reshape(-1, 4)
    return [row for row, _ in found], hashes
