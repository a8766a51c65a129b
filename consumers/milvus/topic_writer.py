"""Brings a topic to Milvus: of all processes one does it at a time, each of them can.

1. take the lock in the database  2. go on where Milvus says that it was left  3. write  4. tell Milvus how far it is.
That lies where the rows lie, so an empty Milvus is filled from the beginning; what is written twice is there once.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, ClassVar

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from config import Settings
from consumers.kafka import BrokerAway, make_consumer
from consumers.milvus.store import Store
from records.database import Database
from records.errors import DatabaseAway

log = logging.getLogger("likeness.milvus")
POLL_MS = 250
HOLD_SECONDS = 10.0
"""Then the lock is let go for a moment, for another to take it."""
LOOK_SECONDS = 0.5
"""How often the others look whether the lock is free."""
TELL_SECONDS = 5.0
"""While messages come without a pause, how often it is told how far the writer is."""
END_SECONDS = 10.0


class TopicWriter(ABC):
    """Close it before the store. `lock`: a key of SOLE_LOCKS; `what`: what the messages are, for the log."""

    lock: ClassVar[str]
    what: ClassVar[str]

    def __init__(
        self,
        settings: Settings,
        topic: str,
        database: Database,
        store: Store,
        stop: threading.Event,
        *,
        scope: Sequence[str] = (),
    ) -> None:
        """`scope`: what is written of the topic, if not everything; how far a writer is holds for its scope alone."""
        self._settings = settings
        self._topic = topic
        self._scope = scope
        self._database = database
        self._store = store
        self._stop = stop
        self._consumer: KafkaConsumer | None = None
        self._thread = threading.Thread(target=self._run, name=f"write-{self.lock}", daemon=True)

    @abstractmethod
    def _prepare(self) -> bool:
        """Makes what is missing in Milvus; whether all is to be written from the beginning. May raise as `_write`."""

    @abstractmethod
    def _write(self, messages: Sequence[Any]) -> None:
        """Writes what the messages, in their order, come to. May raise DatabaseAway; then they come again."""

    def _tell(self) -> None:  # noqa: B027  # not everyone has more to tell
        """Tells Milvus what is to be known before how far the writer is. May raise as `_write`."""

    def _upkeep(self) -> None:  # noqa: B027
        """Done while the lock is held, many times a minute. May raise as `_write`."""

    def follow(self) -> None:
        """Go on in a thread of its own until the process stops."""
        if not self._thread.is_alive():
            self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        if self._consumer is not None:
            self._consumer.close()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def ends(self) -> dict[str, int]:
        """Where the topic ends now, by partition. Raises BrokerAway, KafkaError, MilvusAway."""
        ends: dict[str, int] = {}
        with closing(make_consumer(self._settings.kafka)) as consumer:
            partitions = self._go_on(consumer, self._written())
            until = time.monotonic() + END_SECONDS
            while len(ends) < len(partitions):
                if time.monotonic() > until:
                    raise BrokerAway(f"Where {self._topic} ends is not told.")
                consumer.poll(timeout_ms=POLL_MS, max_records=1)  # the end comes with a fetch, on every broker
                known = {str(one.partition): consumer.highwater(one) for one in partitions}
                ends = {partition: end for partition, end in known.items() if end is not None}
        return ends

    def missing(self, ends: Mapping[str, int]) -> int:
        """How many messages before `ends` are not written yet, whoever writes. Raises MilvusAway."""
        written = self._written()
        return sum(max(0, end - written.get(partition, 0)) for partition, end in ends.items())

    def _written(self) -> dict[str, int]:
        return positions(self._store, self._topic, self._scope)

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                with self._database.sole(self.lock) as alone:
                    if alone:
                        self._hold()
                pause = LOOK_SECONDS
            except (BrokerAway, DatabaseAway, KafkaError) as error:
                pause = min(2 * max(pause, LOOK_SECONDS), self._settings.gallery.retry_seconds)
                log.warning("%s wait for Milvus: %s Next try in %.1f s.", self.what, error, pause)

    def _hold(self) -> None:
        """Write for a while what comes. Raises as `_run` says."""
        if self._prepare():
            self._store.tell(_key(self._topic, self._scope), {})
        self._consumer = self._consumer or make_consumer(self._settings.kafka)
        written = self._written()
        self._go_on(self._consumer, written)
        until = time.monotonic() + HOLD_SECONDS
        untold_since = None if written else time.monotonic()
        while time.monotonic() < until and not self._stop.is_set():
            polled = self._consumer.poll(timeout_ms=POLL_MS)
            for partition, messages in polled.items():
                self._write(messages)
                written[str(partition.partition)] = messages[-1].offset + 1
                untold_since = untold_since or time.monotonic()
            if untold_since and (not polled or time.monotonic() - untold_since > TELL_SECONDS):
                self._tell()
                self._store.tell(_key(self._topic, self._scope), written)
                untold_since = None
            self._upkeep()

    def _go_on(self, consumer: KafkaConsumer, written: Mapping[str, int]) -> list[TopicPartition]:
        partitions = [
            TopicPartition(self._topic, number) for number in consumer.partitions_for_topic(self._topic) or {0}
        ]
        consumer.assign(partitions)
        for partition in partitions:
            if str(partition.partition) in written:
                consumer.seek(partition, written[str(partition.partition)])
            else:
                consumer.seek_to_beginning(partition)
        return partitions


def positions(store: Store, topic: str, scope: Sequence[str] = ()) -> dict[str, int]:
    """By partition the offset before which all of the topic is in Milvus. Raises MilvusAway."""
    return {partition: int(offset) for partition, offset in store.state(_key(topic, scope)).items()}


def _key(topic: str, scope: Sequence[str]) -> str:
    return " ".join(["positions", topic, *sorted(scope)])
