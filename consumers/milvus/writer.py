"""Brings the gallery's changes to Milvus, in place of consumers/gallery_feed.py, which brings them to memory."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from config import Settings
from consumers.gallery_reader import open_all, states_by_identity
from consumers.metrics import Metrics
from consumers.milvus.gallery import GalleryState, state_key
from consumers.milvus.rows import GalleryRows
from consumers.milvus.store import Store
from consumers.milvus.topic_writer import TopicWriter
from records.database import Database
from records.gallery import GalleryRecords

COMPACT_SECONDS = 600.0
"""After somebody was dropped, how long until Milvus is asked to write its files without them."""


class GalleryWriter(TopicWriter):
    lock = "vectors"
    what = "Gallery changes"

    def __init__(
        self,
        settings: Settings,
        database: Database,
        records: GalleryRecords,
        store: Store,
        rows: GalleryRows,
        stop: threading.Event,
        metrics: Metrics,
    ) -> None:
        # Consumers of different model packs, as while a pack is replaced, write different rows of the same changes.
        super().__init__(settings, settings.topics.gallery_changes, database, store, stop, scope=list(rows.packs))
        self._records = records
        self._rows = rows
        self._metrics = metrics
        self._version = 0
        self._dropped_since: float | None = None

    def _prepare(self) -> bool:
        return self._rows.prepare()

    def _write(self, messages: Sequence[Any]) -> None:
        results = Counter[str]()
        states = states_by_identity(open_all(self._records, messages), results)
        newest = [state for newest_first in states if (state := next(newest_first, None))]
        results.update("removed" if state.identity is None else "applied" for state in newest)
        for result, count in results.items():
            self._metrics.gallery_changes.labels(result).inc(count)
        if self._rows.write({one.identity_id: one.identity or one.sequence for one in newest}):
            self._dropped_since = self._dropped_since or time.monotonic()
        self._version = max([self._version, *(one.sequence for one in newest)])
        for message in messages:
            self._metrics.vector_written.observe(max(0.0, time.time() - message.timestamp / 1000))

    def _tell(self) -> None:
        """How large the gallery is: who waits until it is written knows it then."""
        store = self._store
        by_picture = store.count(store.pictures, "beside == true")
        identities = store.count(store.names, "beside == true")
        for pack in self._rows.packs:
            faces = store.faces(pack)
            comparisons = store.count(faces)
            references = comparisons - store.count(faces, "beside == true") + by_picture
            version = max(self._version, store.state(state_key(pack)).get("version", 0))
            without = self._records.without_embedding(pack)
            store.tell(state_key(pack), asdict(GalleryState(version, comparisons, references, identities, without)))

    def _upkeep(self) -> None:
        if self._dropped_since and time.monotonic() - self._dropped_since >= COMPACT_SECONDS:
            self._store.compact(self._rows.collections)
            self._dropped_since = None
