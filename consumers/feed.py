"""Follows one topic for the console in a thread of its own, message by message.

1. wait until database and broker are there  2. take each message in  3. then commit its offset. What fails is begun
anew at the committed offset, so whoever takes a message in must know it when it comes again.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from typing import Any, ClassVar

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from prometheus_client import Gauge

from config import Settings, SettingsError
from consumers.kafka import BrokerAway, make_admin, make_consumer, wait_for_broker
from consumers.places import Place, place_of
from consumers.topics import TopicMissing
from detector.worker_process import WorkersBroken
from records.database import Database
from records.errors import DatabaseAway, PhotosUnseen, RecordsError

log = logging.getLogger("likeness.console")
FETCH_BYTES = 1_000_000
"""Fetched ahead of each partition; a larger message comes alone."""
POLL_MS = 200
ASK_MS = 5_000
LEAVE_MS = 5_000
"""How long leaving the group may take."""
SHORTEST_PAUSE = 0.25


class Feed(ABC):
    """`what`: what the messages are, for the log."""

    what: ClassVar[str]

    def __init__(
        self,
        settings: Settings,
        database: Database,
        topic: str,
        group_id: str,
        waiting: Gauge,
        since: Gauge,
        stop: threading.Event,
        fail: Callable[[Exception], None],
    ) -> None:
        """`waiting` and `since` show how many messages are left, and for how long nothing went well; `fail` is told why
        the feed ends before `stop` is set: RecordsError, SettingsError or WorkersBroken."""
        self._settings = settings
        self._database = database
        self._topic = topic
        self._group_id = group_id
        self._waiting = waiting
        self._stop = stop
        self._fail = fail
        self._thread = threading.Thread(target=self._run, name=group_id, daemon=True)
        self._pause = SHORTEST_PAUSE
        self._place: Place | None = None
        self._stuck = False
        self._well = time.monotonic()
        since.set_function(lambda: time.monotonic() - self._well)

    @abstractmethod
    def _take(self, record: Any) -> bool:
        """Whether the record is done with."""

    @abstractmethod
    def _ensure_topics(self, admin: KafkaAdminClient) -> object:
        """Makes what is missing of the topics that this needs. Raises TopicMissing."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Wait for the message in work; `stop` must be set."""
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (BrokerAway, DatabaseAway, KafkaError, PhotosUnseen, TopicMissing) as error:
                if self._stop.is_set():
                    return
                log.warning("%s wait in Kafka: %s Next try in %.1f s.", self.what, error, self._pause)
            except (RecordsError, SettingsError, WorkersBroken) as error:
                self._fail(error)
                return
            except Exception:  # a defect over one message must not take the pages away from people
                self._stuck = True
                log.exception("%s wait in Kafka at %s. Next try in %.1f s.", self.what, self._place, self._pause)
            self._stop.wait(self._pause)
            self._pause = min(2 * self._pause, self._settings.gallery.retry_seconds)

    def _follow(self) -> None:
        """Until `stop` is set. Raises what `_run` names, and begins anew then."""
        kafka = self._settings.kafka
        wait_for_broker(kafka, self._stop, self._report_waiting, self._settings.gallery.retry_seconds)
        self._database.check()
        with closing(make_admin(kafka)) as admin:
            self._ensure_topics(admin)
        consumer = make_consumer(kafka, self._topic, group_id=self._group_id, max_partition_fetch_bytes=FETCH_BYTES)
        try:
            while not self._stop.is_set():
                # One at a time: a picture that is waited for holds up the poll, and with it the place in the group.
                for partition, records in consumer.poll(timeout_ms=POLL_MS, max_records=1).items():
                    for record in records:
                        self._place = place_of(record)
                        if self._take(record):
                            _commit(consumer, partition, record)
                            self._stuck = False
                if not self._stuck:
                    self._well, self._pause = time.monotonic(), SHORTEST_PAUSE
                self._waiting.set(_left(consumer))
        finally:
            consumer.close(timeout_ms=LEAVE_MS)

    def _report_waiting(self, why: str) -> None:
        log.warning("%s wait in Kafka: %s", self.what, why)


def _commit(consumer: KafkaConsumer, partition: TopicPartition, record: Any) -> None:
    consumer.commit({partition: OffsetAndMetadata(record.offset + 1, "", record.leader_epoch)})


def _left(consumer: KafkaConsumer) -> int:
    """How many records the partitions of this member have left."""
    left = 0
    for partition in consumer.assignment():
        end, position = consumer.highwater(partition), consumer.position(partition, timeout_ms=ASK_MS)
        left += max(0, end - position) if end is not None and position is not None else 0
    return left
