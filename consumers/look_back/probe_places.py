"""Where in avatar-probes the faces lie that are like somebody's: kept faces in Milvus, a collection for each day.

A day's rows are turned by a key that follows from the day's, and bear nothing but a place in the topic. When the day's
key is destroyed its collections are dropped, and what remains of them in files compares with nothing.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config import Settings
from consumers.look_back.probes import Probed, ProbeExpired, ProbeUnreadable, open_probe
from consumers.messages import read_data
from consumers.milvus.gallery import SLACK
from consumers.milvus.store import Store, owner_of, row_key
from consumers.milvus.topic_writer import TopicWriter
from consumers.milvus.turning import Turning
from records.database import Database
from records.keys.keyring import DataKey
from records.keys.probe_keys import ProbeKeys

log = logging.getLogger("likeness.look_back")
KIND = "probes_"
Place = tuple[int, int]
"""Partition and offset."""


class ProbePlaces:
    """Every method may raise DatabaseAway, of which MilvusAway is one, or MasterKeyError."""

    def __init__(self, store: Store, keys: ProbeKeys) -> None:
        self._store = store
        self._keys = keys

    def prepare(self) -> None:
        self._store.prepare({})

    def sweep(self) -> None:
        """Drops the collections of days whose key is gone."""
        kept = {f"{day:%Y%m%d}" for day in self._keys.all()}
        for name in self._store.collections(KIND):
            if name.rpartition("_")[2] not in kept:
                self._store.drop_collection(name)

    def write(self, records: Sequence[Any]) -> None:
        keys = self._keys.all()
        rows: dict[tuple[str, date], list[tuple[str, NDArray[np.float32]]]] = {}
        for record in records:
            if (opened := _opened(record, keys)) is not None:
                day, probed = opened
                place = f"{record.partition}-{record.offset}"
                some = rows.setdefault((probed.kept.pack, day), [])
                some += [(row_key(place, 0, number), face) for number, face in enumerate(probed.kept.embeddings)]
        known = set(self._store.collections(KIND))
        for (pack, day), some in rows.items():
            name = self._name(pack, day)
            vectors = _turning(keys[day]).vectors(np.stack([face for _, face in some]))
            if name not in known:
                self._store.make(name, vectors.shape[1])
            both = zip((key for key, _ in some), vectors, strict=True)
            made = [{"id": key, "identity_id": owner_of(key), "beside": False, "vector": one} for key, one in both]
            self._store.put(name, made)

    def near(self, faces: NDArray[np.float32], pack: str, least: float) -> list[Place]:
        """The places, in order, of uploads with a face whose cosine to any of `faces`, (N, D), is at least `least`."""
        known = set(self._store.collections(KIND))
        found: set[str] = set()
        for day, key in self._keys.all().items():
            if (name := self._name(pack, day)) in known:
                found |= self._store.search(name, _turning(key).vectors(faces), least - SLACK)
        return sorted((int(partition), int(offset)) for partition, offset in (one.split("-") for one in found))

    def _name(self, pack: str, day: date) -> str:
        return self._store.named_for(KIND + pack, f"{day:%Y%m%d}")


class ProbeWriter(TopicWriter):
    """Brings kept faces to Milvus."""

    lock = "probe_vectors"
    what = "Kept faces"

    def __init__(
        self, settings: Settings, database: Database, store: Store, places: ProbePlaces, stop: threading.Event
    ) -> None:
        super().__init__(settings, settings.topics.probes, database, store, stop)
        self._places = places
        self._swept: date | None = None

    def _prepare(self) -> bool:
        self._places.prepare()
        if self._swept != (today := datetime.now(UTC).date()):
            self._places.sweep()
            self._swept = today
        return False

    def _write(self, messages: Sequence[Any]) -> None:
        self._places.write(messages)


def _opened(record: Any, keys: Mapping[date, DataKey]) -> tuple[date, Probed] | None:
    try:
        probed = open_probe(record.value, keys)
        return date.fromisoformat(read_data(record.value)["day"]), probed
    except (ProbeExpired, ProbeUnreadable):  # the look-back that reads it counts it
        return None


def _turning(key: DataKey) -> Turning:
    return Turning(key.derive("turning"))
