"""The gallery in Milvus for who seldom needs it, as consumers/gallery_mirror.py has it in memory."""

import threading
from collections.abc import Callable

from consumers.milvus.gallery import MilvusGallery
from consumers.milvus.store import Store
from consumers.milvus.turning import Turning
from records.gallery import GalleryRecords


class MilvusMirror:
    """Safe to share among threads; `index`, and what it is asked, may raise DatabaseAway and MasterKeyError."""

    def __init__(
        self, records: GalleryRecords, open_store: Callable[[], tuple[Store, Turning]], pack: str, dimension: int
    ) -> None:
        self._records = records
        self._open_store = open_store
        self._lock = threading.Lock()
        self._gallery = MilvusGallery(pack, dimension)
        self._store: Store | None = None

    def index(self) -> MilvusGallery:
        with self._lock:
            if self._store is None:
                store, turning = self._open_store()
                self._gallery.connect(store, turning, self._records)
                self._store = store
            return self._gallery

    @property
    def loaded(self) -> bool:
        return self._store is not None

    def drop(self) -> None:
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store = None
