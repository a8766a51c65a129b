"""The load: uploads whose ends are known beforehand, sent at a steady rate while faults are injected."""

import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from kafka import TopicPartition

from config import Settings
from consumers.kafka import make_consumer, make_producer
from tests.support.portraits import jpeg
from tests.support.running_service import upload

NO_PICTURE = b"this is no picture"


@dataclass(frozen=True, slots=True)
class Load:
    """Uploads by number: event ids, sorts (keys of ledger.DUE), and the value of each."""

    prefix: str
    sorts: tuple[str, ...]
    stolen: bytes

    def event_id(self, number: int) -> str:
        return f"{self.prefix}-{number}"

    @property
    def sent(self) -> dict[str, str]:
        return {self.event_id(number): sort for number, sort in enumerate(self.sorts)}

    def values(self) -> list[bytes]:
        pictures = {"clear": flat_picture(), "suspect": self.stolen, "unreadable": NO_PICTURE}
        return [
            json.dumps(upload(self.event_id(number), f"acct-{number}", pictures[sort])).encode()
            for number, sort in enumerate(self.sorts)
        ]


def flat_picture() -> bytes:
    """A JPEG of 64x64 pixels without a face: quick to screen."""
    return jpeg(np.full((64, 64, 3), 127, np.uint8))


def small_portrait(path: object, side: int = 320) -> bytes:
    """The portrait at `path` as a JPEG whose longest side is `side`."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    scale = side / max(picture.shape[:2])
    shrunk = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", shrunk)[1])


def mixed_load(prefix: str, count: int, stolen: bytes) -> Load:
    """One in a hundred is a suspect, two in a hundred cannot be read, the rest are clear."""
    every_hundred = {17: "suspect", 42: "unreadable", 83: "unreadable"}
    return Load(prefix, tuple(every_hundred.get(number % 100, "clear") for number in range(count)), stolen)


class Sender:
    """Sends a load share by share, each upload to the next partition in turn, whatever the broker does meanwhile."""

    def __init__(self, settings: Settings, load: Load) -> None:
        self._settings = settings
        self._values: Sequence[bytes] = load.values()
        self._shares: queue.SimpleQueue[tuple[int, float] | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._futures: list[object] = []
        patient = {"delivery_timeout_ms": 600_000, "max_block_ms": 600_000, "request_timeout_ms": 5_000}
        self._producer = make_producer(settings.kafka, **patient)
        self._thread.start()

    def send(self, count: int, seconds: float) -> None:
        """Have the next `count` uploads sent, spread over `seconds`, once all before them are."""
        self._shares.put((count, seconds / count))

    def finish(self) -> None:
        """Send what is left at once, and return when Kafka has all of it. Raises KafkaError."""
        self._hurry.set()
        self._shares.put((len(self._values), 0.0))
        self._shares.put(None)
        self._thread.join()
        for future in self._futures:
            future.get(120)
        self._producer.close()

    def _run(self) -> None:
        topic, partitions = self._settings.topics.uploads, self._settings.topics.partitions
        numbered = iter(enumerate(self._values))
        for count, pause in iter(self._shares.get, None):
            started = time.monotonic()
            for place, (number, value) in enumerate(islice(numbered, count)):
                self._hurry.wait(max(0.0, started + place * pause - time.monotonic()))
                key = f"acct-{number}".encode()
                self._futures.append(self._producer.send(topic, value, key, partition=number % partitions))


def standing(settings: Settings) -> Counter[str]:
    """How often each event id stands on the topic of uploads; what a load really was, if its sender had to retry."""
    consumer = make_consumer(settings.kafka)
    topic = settings.topics.uploads
    places = [TopicPartition(topic, number) for number in range(settings.topics.partitions)]
    consumer.assign(places)
    found: Counter[str] = Counter()
    ends = {place: end for place, end in consumer.end_offsets(places).items() if end}
    while any(consumer.position(place) < end for place, end in ends.items()):
        for records in consumer.poll(timeout_ms=200).values():
            found.update(json.loads(record.value)["event_id"] for record in records)
    consumer.close()
    return found
