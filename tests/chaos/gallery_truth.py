"""Gallery changes under load, noted as they commit: when each was served, and whom pictures had to name since then."""

import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from config import Settings
from consumers.kafka import read_to_end
from consumers.messages import read_data
from records.gallery import GalleryRecords
from records.references import ReferencePhoto
from tests.chaos.gallery import DIMENSION, PACK
from tests.chaos.outcomes import assigned, kinds
from tests.support.running_service import metric

T = TypeVar("T")
POLL_SECONDS = 0.05


class Truth:
    """Makes changes, one writer and so each with the next number, and knows what holds from which number on."""

    def __init__(self, records: GalleryRecords) -> None:
        self.records = records
        self.sequence = records.latest_sequence()
        self.committed: list[tuple[int, float]] = []
        self._named: dict[str, list[tuple[int, str | None]]] = defaultdict(list)

    def change(self, make: Callable[[], T]) -> T:
        """What `make` gives; it makes one change."""
        made = make()
        self.sequence += 1
        self.committed.append((self.sequence, time.time()))
        return made

    def names(self, shown: str, reference_id: str | None) -> None:
        """From the last change on a picture that shows `shown` must name this reference, or nobody."""
        self._named[shown].append((self.sequence, reference_id))

    def due(self, shown: str, version: int) -> set[str]:
        """The references that a picture must name which is screened by this version of the gallery."""
        named = self._named[shown]
        place = bisect_right(named, version, key=lambda one: one[0])
        reference_id = named[place - 1][1] if place else None
        return {reference_id} - {None}


class Served:
    """Asks every consumer for its gallery version, in threads, until the block ends."""

    def __init__(self, members: Sequence[Settings]) -> None:
        self._seen: list[list[tuple[float, float]]] = [[] for _ in members]
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=both, daemon=True) for both in zip(members, self._seen, strict=True)
        ]

    def __enter__(self) -> "Served":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def all_at(self, sequence: int) -> bool:
        return all(seen and seen[-1][1] >= sequence for seen in self._seen)

    def delays(self, committed: Sequence[tuple[int, float]]) -> list[float]:
        """Of each change, the seconds from its commit until the last consumer was seen to serve it."""
        found = []
        for seen in self._seen:
            moments, versions = np.array(seen).T
            first = np.searchsorted(versions, [sequence for sequence, _ in committed])
            found.append(np.append(moments, np.inf)[first] - [moment for _, moment in committed])
        return [float(delay) for delay in np.max(found, axis=0)]

    def _ask(self, settings: Settings, seen: list[tuple[float, float]]) -> None:
        while not self._stop.wait(POLL_SECONDS):
            version = metric(settings, "likeness_gallery_version")
            seen.append((time.time(), version))


def photo(number: int, vector: np.ndarray) -> ReferencePhoto:
    """A reference with an embedding and no picture; another number, another photo."""
    return ReferencePhoto("made up", f"{number:064x}", b"jpeg", 112, 112, (0, 0, 112, 112), 1.0, {PACK: vector})


def nobody(chance: np.random.Generator) -> np.ndarray:
    """The embedding of nobody, (D,) float32."""
    vector = chance.normal(size=DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def verdicts(settings: Settings) -> dict[str, tuple[Mapping, set[str]]]:
    """By event id, each screening and the references that its review names."""
    consumer, named = assigned(settings), kinds(settings)
    data: dict[str, dict[str, Mapping]] = {"screening": {}, "review": {}, "dead_letter": {}}
    try:
        for records in read_to_end(consumer, threading.Event()):
            for record in records:
                one = read_data(record.value)
                data[named[record.topic]][one["event_id"]] = one
    finally:
        consumer.close()
    findings = {event_id: one["findings"] for event_id, one in data["review"].items()}
    return {
        event_id: (screening, {finding["reference_id"] for finding in findings.get(event_id, ())})
        for event_id, screening in data["screening"].items()
    }
