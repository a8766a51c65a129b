"""An index for who seldom needs one: read from the database when it is asked for, and given back when nobody asks.

The console compares new references with all others some times a day. It needs no topic for that, and no memory in
between. What it costs is in docs/console.md; what has changed since is read before each question.
"""

import threading
from collections.abc import Callable
from itertools import islice

from detector.index import GalleryIndex
from records.gallery import GalleryRecords

IDLE_SECONDS = 900.0
TOGETHER = 1_000
"""Identities that the index takes at once, which is faster than one by one."""


class GalleryMirror:
    """Safe to share among threads; its methods may raise DatabaseAway, SchemaMismatch and MasterKeyError."""

    def __init__(
        self, records: GalleryRecords, make_index: Callable[[], GalleryIndex], *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        """`make_index`: an empty one; `idle_seconds`: after this time without a question, it is dropped."""
        self._records = records
        self._make_index = make_index
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._index: GalleryIndex | None = None
        self._known: set[str] = set()
        self._seen = 0

    def index(self) -> GalleryIndex:
        """The index, as the gallery is now. Slow the first time."""
        with self._lock:
            if self._index is None:
                self._index, self._known, self._seen = self._make_index(), set(), 0
            self._catch_up(self._index)
            self._put_off()
            return self._index

    @property
    def loaded(self) -> bool:
        return self._index is not None

    def drop(self) -> None:
        """Gives the memory back."""
        with self._lock:
            self._index = None
            self._known = set()
            if self._timer is not None:
                self._timer.cancel()

    def _catch_up(self, index: GalleryIndex) -> None:
        latest, active = self._records.latest_sequence(), self._records.active_sequences()
        changed = {one for one, sequence in active.items() if sequence > self._seen}
        identities = self._records.identities(index.pack, after=self._seen)
        while some := list(islice(identities, TOGETHER)):
            index.apply_all(some)
            ids = {identity.id for identity in some}
            self._known |= ids
            changed -= ids
        # erased, suspended, or left without a reference to compare with
        for one in (self._known - active.keys()) | (self._known & changed):
            if index.remove(one, active.get(one, latest)):
                self._known.discard(one)
        self._seen = latest

    def _put_off(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(self._idle_seconds, self.drop)
        self._timer.daemon = True
        self._timer.start()
