"""The gallery as Milvus holds it, asked as the one in memory is (detector/searchable.py).

Milvus proposes, the records decide: it tells who may be meant, by ids; their state is then read from the records,
opened with their keys, and compared exactly. So whoever was erased, suspended or changed is judged as they are now,
whatever Milvus still holds, and what it rounds off has no part in a verdict.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import tenacity
from numpy.typing import NDArray

from consumers.milvus.store import MilvusAway, Store
from consumers.milvus.turning import Turning, likeness_of
from detector.identity import PICTURE_LIMIT
from detector.index import GalleryIndex
from detector.names import keys_in
from detector.searchable import Found, GalleryOfAnotherPack, Match, Query
from records.errors import DatabaseAway
from records.gallery import GalleryRecords

T = TypeVar("T")
SLACK = 1e-4
"""More than turning and float32 change an inner product."""
STATE_SECONDS = 1.0
"""How old what is known of the gallery's size and version may be."""
LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class GalleryState:
    """What the writer told last; see SearchableGallery."""

    version: int = 0
    comparisons: int = 0
    references: int = 0
    identities: int = 0
    without_embedding: int = 0


def state_key(pack: str) -> str:
    return f"gallery {pack}"


class MilvusGallery:
    """A SearchableGallery of one model pack. `connect` it before the first question."""

    def __init__(
        self,
        pack: str,
        dimension: int,
        *,
        stop: threading.Event | None = None,
        on_search: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """`stop`: until it is set, questions wait while Milvus or the database is away; without it, they raise
        DatabaseAway, of which MilvusAway is one. `on_search` is told how long each took."""
        self._pack = pack
        self._dimension = dimension
        self._stop = stop
        self._on_search = on_search
        self._asked_at = -STATE_SECONDS
        self._state = GalleryState()
        self._store: Store
        self._turning: Turning
        self._records: GalleryRecords
        self.waiting: str | None = None
        """Why a question waits, in a sentence."""

    def connect(self, store: Store, turning: Turning, records: GalleryRecords) -> None:
        self._store, self._turning, self._records = store, turning, records

    @property
    def pack(self) -> str:
        return self._pack

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def version(self) -> int:
        return self._known().version

    @property
    def comparisons(self) -> int:
        return self._known().comparisons

    @property
    def references(self) -> int:
        return self._known().references

    @property
    def identities(self) -> int:
        return self._known().identities

    @property
    def without_embedding(self) -> int:
        return self._known().without_embedding

    def require_searchable(self) -> None:
        if missing := self.without_embedding:
            raise GalleryOfAnotherPack(missing, self.pack)

    def embeddings(self, identity_id: str) -> list[NDArray[np.float32]]:
        found = self._patiently(lambda: list(self._records.identities_of([identity_id], self._pack)))
        return [one.embeddings[self._pack] for identity in found for one in identity.references if not one.hash_only]

    def search(self, probes: NDArray[np.float32], threshold: float) -> tuple[list[list[Match]], int]:
        def ask() -> tuple[list[list[Match]], int]:
            version = self._fresh().version
            candidates = self._candidates(self._alike(probes, threshold))
            return ([[] for _ in probes] if candidates is None else candidates.search(probes, threshold)[0]), version

        return self._patiently(ask)

    def look_up(self, queries: Sequence[Query], lowest: Callable[[int], float]) -> tuple[list[Found], int, int]:
        def ask() -> tuple[list[Found], int, int]:
            started, state = time.perf_counter(), self._fresh()
            threshold = lowest(state.comparisons)
            probes = [query.embeddings for query in queries if len(query.embeddings)]
            pictures = [query.pictures for query in queries if len(query.pictures)]
            ids = self._alike(np.concatenate(probes), threshold) if probes else set()
            if pictures:
                turned = self._turning.pictures(np.concatenate(pictures))
                ids |= self._store.search(self._store.pictures, turned, likeness_of(PICTURE_LIMIT) - SLACK)
            ids |= self._store.named(self._turning.names(_claimable(queries)))
            candidates = self._candidates(ids)
            if candidates is None:
                found = [Found([[] for _ in query.embeddings]) for query in queries]
            else:
                found, _, _ = candidates.look_up(queries, lambda _comparisons: threshold)
            self._on_search(time.perf_counter() - started)
            return found, state.version, state.comparisons

        return self._patiently(ask)

    def _alike(self, probes: NDArray[np.float32], threshold: float) -> set[str]:
        return self._store.search(self._store.faces(self._pack), self._turning.vectors(probes), threshold - SLACK)

    def _candidates(self, identity_ids: set[str]) -> GalleryIndex | None:
        """Of those who may be meant, all who are protected now, for exact comparison; None where there are none."""
        if not identity_ids:
            return None
        index = GalleryIndex(self._pack, self._dimension)
        for identity in self._records.identities_of(sorted(identity_ids), self._pack):
            index.apply(identity)
        return index

    def _known(self) -> GalleryState:
        """What was known last, if it cannot be asked for now."""
        try:
            return self._fresh()
        except MilvusAway:
            return self._state

    def _fresh(self) -> GalleryState:
        if time.monotonic() - self._asked_at > STATE_SECONDS:
            self._state = GalleryState(**self._store.state(state_key(self._pack)))
            self._asked_at = time.monotonic()
        return self._state

    def _patiently(self, ask: Callable[[], T]) -> T:
        """The answer, asked for again and again while somebody is away; an upload waits, and none is lost."""
        if self._stop is None:
            return ask()
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(DatabaseAway),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE),
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=self._report,
            reraise=True,
        )
        answer = attempts(ask)
        self.waiting = None
        return answer

    def _report(self, state: tenacity.RetryCallState) -> None:
        self.waiting = f"Uploads wait: {state.outcome.exception() if state.outcome else ''}"


def _claimable(queries: Sequence[Query]) -> set[str]:
    """Under what the names would be filed that the profiles may claim; without a face a name claims nothing."""
    texts = [text for query in queries if len(query.embeddings) for text in (query.display_name, query.handle) if text]
    return {key for text in texts for key in keys_in(text)}
