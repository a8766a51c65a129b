"""What comes out, as a reader of committed messages sees it: followed under the faults, and read whole after them."""

import threading
import time
from collections.abc import Callable

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from config import Settings
from consumers.kafka import make_consumer, read_to_end
from consumers.messages import read_data
from tests.chaos.ledger import Outcome
from tests.support.running_service import eventually


class OutcomeReader:
    """Follows the topics of outcomes in a thread; `found` grows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kinds = kinds(settings)
        self._consumer = assigned(settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outcomes", daemon=True)
        self.found: list[Outcome] = []
        self.errors: list[KafkaError] = []

    def __enter__(self) -> "OutcomeReader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        self._consumer.close()

    def until(self, complete: Callable[[], bool], seconds: float) -> None:
        eventually(complete, seconds, pause=0.2)

    def ended(self) -> int:
        """How many uploads have an outcome."""
        return len({one.event_id for one in list(self.found) if one.kind != "review"})

    def recovery(self, since: float) -> float | None:
        """Seconds from `since` until the reader has an outcome made after it of uploads of every partition.

        None while there is a partition without one.
        """
        first: dict[int, float] = {}
        for one in list(self.found):
            if one.created >= since and one.event_id:
                first.setdefault(self._partition(one.event_id), one.seen)
        return max(first.values()) - since if len(first) == self._settings.topics.partitions else None

    def _partition(self, event_id: str) -> int:
        return int(event_id.rpartition("-")[2]) % self._settings.topics.partitions

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                polled = self._consumer.poll(timeout_ms=100)
            except KafkaError as error:
                self.errors.append(error)
                self._stop.wait(0.2)
                continue
            now = time.time()
            self.found.extend(outcome(self._kinds, record, now) for records in polled.values() for record in records)


def read_outcomes(settings: Settings) -> list[Outcome]:
    """All that stands on the topics of outcomes, by a reader that begins anew."""
    consumer = assigned(settings)
    named = kinds(settings)
    try:
        return [outcome(named, r, 0.0) for records in read_to_end(consumer, threading.Event()) for r in records]
    finally:
        consumer.close()


def kinds(settings: Settings) -> dict[str, str]:
    topics = settings.topics
    return {topics.screenings: "screening", topics.reviews: "review", topics.dead_letters: "dead_letter"}


def assigned(settings: Settings) -> KafkaConsumer:
    consumer = make_consumer(settings.kafka)
    places = [TopicPartition(topic, n) for topic in kinds(settings) for n in consumer.partitions_for_topic(topic)]
    consumer.assign(places)
    return consumer


def outcome(named: dict[str, str], record: object, now: float) -> Outcome:
    kind, data = named[record.topic], read_data(record.value)
    return Outcome(kind, data["event_id"] or "", data[f"{kind}_id"], record.timestamp / 1000, now)
