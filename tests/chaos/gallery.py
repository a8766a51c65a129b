"""Gallery changes in a steady stream while faults are injected, and whether indexes and the topic agree with them."""

import threading
from collections.abc import Sequence

import numpy as np
from kafka import TopicPartition

from config import Settings
from consumers.kafka import make_consumer, read_to_end
from likeness.workbench import open_records
from records.errors import DatabaseAway
from records.references import ReferencePhoto
from tests.support.running_service import metric

PACK, DIMENSION = "opencv-zoo@1", 128
KEPT = 20
"""So many made-up people are in the gallery at a time; with each more the oldest is removed."""


class GalleryChanges:
    """Adds people, gives them own accounts and removes them, in a thread of its own, until the block ends.

    `refused` counts the attempts that the database was away for.
    """

    def __init__(self, settings: Settings, pause: float = 0.05) -> None:
        self._settings = settings
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gallery-changes", daemon=True)
        self._random = np.random.default_rng(2026)
        self._number = 0
        self.refused = 0

    def __enter__(self) -> "GalleryChanges":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        living: list[str] = []
        with open_records(self._settings) as records:
            while not self._stop.wait(self._pause):
                self._number += 1
                try:
                    living.append(self._add(records))
                    records.add_own_account(living[-1], f"acct-own-{self._number}")
                    if len(living) > KEPT:
                        records.remove_identity(living[0])
                        del living[0]
                except DatabaseAway:
                    self.refused += 1

    def _add(self, records: object) -> str:
        vector = self._random.normal(size=DIMENSION).astype(np.float32)
        vector /= np.linalg.norm(vector)
        sha256 = f"{self._number:064x}"
        photo = ReferencePhoto("made up", sha256, b"jpeg", 112, 112, (0, 0, 112, 112), 1.0, {PACK: vector})
        return str(records.add_identity(f"Nobody {self._number}", "victim", references=[photo]))


def state_of_database(settings: Settings) -> tuple[float, float, float]:
    """The newest change's number, identities and references, as the database has them."""
    with open_records(settings) as records:
        listed = [one for one in records.list_identities() if one.status == "active" and one.references]
        return records.latest_sequence(), len(listed), sum(one.references for one in listed)


def state_of_index(settings: Settings) -> tuple[float, ...]:
    """The same three of the running consumer with these settings, by its metrics."""
    names = ("likeness_gallery_version", "likeness_gallery_identities", "likeness_gallery_references")
    return tuple(metric(settings, name) for name in names)


def published(settings: Settings) -> Sequence[int]:
    """The numbers of the changes on the topic, in the order in which they stand there."""
    consumer = make_consumer(settings.kafka)
    consumer.assign([TopicPartition(settings.topics.gallery_changes, 0)])
    try:
        found = [one for records in read_to_end(consumer, threading.Event()) for one in records]
    finally:
        consumer.close()
    return [int(dict(one.headers)["sequence"]) for one in found]
