"""What a process has of Milvus: the galleries that its detector asks, and in a screening process the writer, too."""

import threading
from collections.abc import Callable

from config import Settings
from consumers.kafka import BrokerAway
from consumers.metrics import Metrics
from consumers.milvus.gallery import MilvusGallery
from consumers.milvus.rows import GalleryRows
from consumers.milvus.store import Store
from consumers.milvus.turning import Turning
from consumers.milvus.writer import GalleryWriter
from records.database import Database
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.vector_key import vector_key

LOOK_SECONDS = 0.5


def open_store(
    settings: Settings, database: Database, master_key: MasterKey, *, later: bool = False
) -> tuple[Store, Turning]:
    """The collections, and what turns vectors for them. `later`: Milvus may be away for now. Raises DatabaseAway,
    MasterKeyError."""
    turning = Turning(vector_key(database, master_key))
    return Store(settings.milvus, turning.id, later=later), turning


class MilvusSide:
    """Of a screening process. `make_gallery` while the detector is opened, `open` once the database is there; close it
    before the detector."""

    def __init__(self, settings: Settings, metrics: Metrics, stop: threading.Event) -> None:
        self._settings = settings
        self._metrics = metrics
        self._stop = stop
        self.galleries: list[MilvusGallery] = []
        """What is asked for verdicts, and beside it a shadow's of another model pack."""
        self._store: Store | None = None
        self._writer: GalleryWriter | None = None

    @property
    def waiting(self) -> str | None:
        """Why uploads wait, in a sentence; None while they do not."""
        return next((one.waiting for one in self.galleries if one.waiting), None)

    @property
    def writer(self) -> GalleryWriter:
        assert self._writer is not None, "it is open"
        return self._writer

    def make_gallery(self, pack: str, dimension: int) -> MilvusGallery:
        search = self._metrics.vector_search
        gallery = MilvusGallery(pack, dimension, stop=self._stop, on_search=search.observe)
        self.galleries.append(gallery)
        return gallery

    def open(self, database: Database, master_key: MasterKey, records: GalleryRecords) -> None:
        """Connects the galleries; `writer` is to be started. Raises DatabaseAway, MasterKeyError."""
        self._close_store()
        store, turning = open_store(self._settings, database, master_key)
        self._store = store
        rows = GalleryRows(store, turning, {one.pack: one.dimension for one in self.galleries})
        for gallery in self.galleries:
            gallery.connect(store, turning, records)
        first, metrics = self.galleries[0], self._metrics
        self._writer = GalleryWriter(self._settings, database, records, store, rows, self._stop, metrics)
        metrics.gallery_references.set_function(lambda: first.references)
        metrics.gallery_identities.set_function(lambda: first.identities)
        metrics.gallery_version.set_function(lambda: first.version)
        metrics.gallery_unusable.set_function(lambda: first.without_embedding)

    def wait_until_written(self, report: Callable[[str], None]) -> None:
        """Returns once all that gallery-changes held when this was called is written, by whichever process. `report` is
        told what is missing. Raises DatabaseAway, BrokerAway, KafkaError."""
        ends = self.writer.ends()
        while missing := self.writer.missing(ends):
            report(f"Waiting for {missing} gallery changes that are not in Milvus yet.")
            if self._stop.wait(LOOK_SECONDS):
                raise BrokerAway("Stopped before the gallery was in Milvus.")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._close_store()

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
