"""Reads records by their places: topic, partition and offset."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from consumers.kafka import BrokerAway

_POLL_MS = 100
_FAR = 1_000
"""Offsets between two places from which on it is quicker to jump than to read what lies between."""


class Place(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"


def place_of(record: Any) -> Place:
    return Place(record.topic, record.partition, record.offset)


def read_places(
    consumer: KafkaConsumer, places: Iterable[Place], seconds: float = 30.0
) -> Iterator[tuple[Place, Any | None]]:
    """Each place with its record, or None where the topic does not hold it, in the order of the places.

    Assigns the consumer, which needs no group. Raises BrokerAway when nothing moves for `seconds`, KafkaError.
    """
    for (topic, number), group in groupby(sorted(places), key=lambda place: place[:2]):
        waiting = deque(group)
        if number not in (consumer.partitions_for_topic(topic) or ()):
            yield from ((place, None) for place in waiting)
            continue
        partition = TopicPartition(topic, number)
        consumer.assign([partition])
        consumer.seek(partition, waiting[0].offset)
        yield from _read_partition(consumer, partition, waiting, seconds)


def _read_partition(
    consumer: KafkaConsumer, partition: TopicPartition, waiting: deque[Place], seconds: float
) -> Iterator[tuple[Place, Any | None]]:
    before, moved = waiting[0].offset, time.monotonic()
    while waiting:
        for record in consumer.poll(timeout_ms=_POLL_MS).get(partition, ()):
            while waiting and waiting[0].offset < record.offset:
                yield waiting.popleft(), None
            if waiting and waiting[0].offset == record.offset:
                yield waiting.popleft(), record
        position, end = consumer.position(partition, timeout_ms=1_000), consumer.highwater(partition)
        while waiting and position is not None and waiting[0].offset < position:
            yield waiting.popleft(), None
        while waiting and end is not None and waiting[-1].offset >= end:
            yield waiting.pop(), None
        if waiting and position is not None and waiting[0].offset - position > _FAR:
            consumer.seek(partition, position := waiting[0].offset)
        if position is not None and position != before:
            before, moved = position, time.monotonic()
        if time.monotonic() - moved > seconds:
            raise BrokerAway(f"Nothing came from {partition.topic} for {seconds:.0f} s.")
