"""Keeps a running consumer's index equal to the gallery: follows the topic gallery-changes from its beginning.

1. read the topic to its end (before the first upload is screened)  2. follow it, change by change.
Each message is an identity's full state, sealed with its data key; an erased key or an empty message removes it.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import tenacity
from kafka import TopicPartition

from config import Settings
from consumers.kafka import make_consumer, read_to_end
from consumers.messages import read_data
from consumers.metrics import Metrics
from detector.index import GalleryIndex
from records.errors import ChangeUnreadable, DatabaseAway
from records.gallery import GalleryRecords
from records.gallery_changes import read_change

log = logging.getLogger("likeness.gallery")
T = TypeVar("T")
POLL_MS = 100
GATHER_SECONDS = 0.25
"""Changes that come within this time are taken in together: each time costs a question to the database."""


class GalleryFeed:
    """The one writer of the indexes in a consumer process."""

    def __init__(
        self,
        settings: Settings,
        records: GalleryRecords,
        indexes: Sequence[GalleryIndex],
        metrics: Metrics,
        stop: threading.Event,
    ) -> None:
        """`indexes`: the one that verdicts come from, and any of a shadow beside it."""
        self._settings = settings
        self._records = records
        self._indexes = indexes
        self._index = indexes[0]
        self._metrics = metrics
        self._stop = stop
        self._consumer = make_consumer(settings.kafka)
        self._thread = threading.Thread(target=self._follow, name="gallery-feed", daemon=True)

    def load(self) -> None:
        """Take in every change that the topic holds. Raises BrokerAway."""
        topic = self._settings.topics.gallery_changes
        partitions = self._consumer.partitions_for_topic(topic) or {0}
        self._consumer.assign([TopicPartition(topic, number) for number in sorted(partitions)])
        for records in read_to_end(self._consumer, self._stop):
            self.apply(records)
        log.info(
            "The gallery is loaded.",
            extra={"references": self._index.references, "gallery_version": self._index.version},
        )

    def follow(self) -> None:
        """Go on in a thread of its own until the process stops."""
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._consumer.close()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def apply(self, messages: Sequence[Any]) -> None:
        """Bring consumed messages, in their order, into the index; waits while the database is away."""
        states = defaultdict[str, list[Any]](list)
        for message in messages:
            states[_identity_id(message.key)].append(message)
        keys = self._persist(lambda: self._records.data_keys(list(states)))
        with ExitStack() as at_once:
            # Of an identity's states only the newest is taken in: out of turn, and so all of them or none.
            for index in self._indexes:
                at_once.enter_context(index.at_once())
            for identity_id, states_of_one in states.items():
                for message in reversed(states_of_one):
                    result = self._apply_one(identity_id, message, keys.get(identity_id))
                    self._metrics.gallery_changes.labels(result).inc()
                    if result != "unreadable":
                        break
        self._metrics.gallery_references.set(self._index.references)
        self._metrics.gallery_identities.set(self._index.identities)
        self._metrics.gallery_version.set(self._index.version)
        self._metrics.gallery_unusable.set(self._index.without_embedding)

    def _apply_one(self, identity_id: str, message: Any, key: Any) -> str:
        try:
            if message.value is None:
                sequence = int(dict(message.headers)["sequence"])
                return self._remove(identity_id, sequence)
            data = read_data(message.value)
            identity = read_change(identity_id, data, key)
            if identity is None:
                return self._remove(identity_id, int(data["sequence"]))
            taken = [index.apply(identity) for index in self._indexes]
            return "applied" if all(taken) else "stale"
        except (ChangeUnreadable, KeyError, ValueError, TypeError, OverflowError) as error:
            log.error(
                "A gallery change cannot be read and is passed over; the identity stays as it was.",
                extra={"identity_id": identity_id, "offset": message.offset, "error": str(error)},
            )
            return "unreadable"

    def _remove(self, identity_id: str, sequence: int) -> str:
        taken = [index.remove(identity_id, sequence) for index in self._indexes]
        return "removed" if all(taken) else "stale"

    def _follow(self) -> None:
        for records in self._polled():
            self.apply(records)

    def _polled(self) -> Iterator[Sequence[Any]]:
        while not self._stop.wait(GATHER_SECONDS):
            yield from self._consumer.poll(timeout_ms=POLL_MS).values()

    def _persist(self, ask: Callable[[], T]) -> T:
        """The answer of the database, asked again and again while it is away and the process runs."""
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(DatabaseAway),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=self._settings.gallery.retry_seconds),
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=lambda state: log.warning("Gallery changes wait: the database is away."),
            reraise=True,
        )
        return attempts(ask)


def _identity_id(key: bytes | None) -> str:
    """The id in a message's key; whatever the key holds, a database can be asked for it."""
    return (key or b"").decode(errors="replace").replace("\0", "\ufffd")
