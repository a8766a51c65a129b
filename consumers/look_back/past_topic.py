"""Reads a topic between two marks, beside whoever consumes it: without a group, and from anywhere on once more."""

import time
from dataclasses import replace
from datetime import datetime

from kafka import KafkaConsumer, TopicPartition

from config.settings import Kafka
from consumers.kafka import BrokerAway, Records, make_consumer
from consumers.topics import TopicMissing
from records.reports.look_backs import Part, Window

FETCH_BYTES = 1_000_000
"""Fetched ahead of each partition; a larger message comes alone."""
POLL_MS = 100
ASK_MS = 10_000
SILENCE_SECONDS = 30.0


class PastTopic:
    """To be used from one thread. Every method may raise BrokerAway or KafkaError. Close it."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._consumer = self._open()
        self.window = Window(topic, {})
        """What is read, and how far that is."""

    def close(self) -> None:
        self._consumer.close()

    def all_since(self, since: datetime, until: datetime | None = None) -> Window:
        """All that came since that moment, up to now or to that other moment, by the clock of who sent it. Raises
        TopicMissing."""
        numbers = self._consumer.partitions_for_topic(self._topic)
        if not numbers:
            raise TopicMissing(f"There is no topic {self._topic} on this broker: see [topics] in the settings.")
        partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        ends = self._ends(partitions)
        firsts = self._offsets_at(partitions, since)
        lasts = self._offsets_at(partitions, until) if until else {}
        self.window = Window(self._topic, {})
        parts = {}
        for partition in partitions:
            end = min(ends[partition], lasts.get(partition, ends[partition]))
            first = min(firsts.get(partition, end), end)
            parts[partition.partition] = Part(first, first, end)
        return Window(self._topic, parts)

    def go_on(self, window: Window) -> None:
        """Reads the window from where it is."""
        if window == self.window:
            return
        self._consumer.close()
        self._consumer = self._open()  # one that has read elsewhere may be left with nothing to read
        self.window = window
        left = {number: part for number, part in window.parts.items() if part.next < part.end}
        self._consumer.assign([TopicPartition(self._topic, number) for number in left])
        for number, part in left.items():
            self._consumer.seek(TopicPartition(self._topic, number), part.next)

    def read(self, most: int) -> Records:
        """Up to so many of the next records, or none yet."""
        polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=most)
        parts = dict(self.window.parts)
        for partition in self._consumer.assignment():
            part = parts[partition.partition]
            position, last = self._consumer.position(partition, timeout_ms=ASK_MS), self._consumer.highwater(partition)
            # a topic that was made anew may end earlier than the one that is gone
            end = part.end if last is None else min(part.end, last)
            parts[partition.partition] = replace(part, next=min(max(part.next, position or 0), part.end))
            if position is not None and position >= end:
                parts[partition.partition] = replace(part, next=part.end)
                self._consumer.pause(partition)
        records = [one for some in polled.values() for one in some if one.offset < self.window.parts[one.partition].end]
        self.window = replace(self.window, parts=parts)
        return records

    def _open(self) -> KafkaConsumer:
        return make_consumer(self._kafka, max_partition_fetch_bytes=FETCH_BYTES, fetch_max_wait_ms=POLL_MS)

    def _offsets_at(self, partitions: list[TopicPartition], moment: datetime) -> dict[TopicPartition, int]:
        """Where those begin that came at the moment or later, of each partition that has any."""
        milliseconds = max(0, round(moment.timestamp() * 1000))
        found = self._consumer.offsets_for_times(dict.fromkeys(partitions, milliseconds), timeout_ms=ASK_MS)
        # the embedded broker tells of none by a time that there is not
        return {partition: at.offset for partition, at in found.items() if at is not None and at.timestamp >= 0}

    def _ends(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Where each ends now, as a fetch tells, which is right on every broker. Leaves the consumer anywhere."""
        self._consumer.assign(partitions)
        self._consumer.seek_to_beginning()
        ends: dict[TopicPartition, int] = {}
        started = time.monotonic()
        while len(ends) < len(partitions):
            self._consumer.poll(timeout_ms=POLL_MS, max_records=1)
            for partition in partitions:
                if partition not in ends and (end := self._consumer.highwater(partition)) is not None:
                    ends[partition] = end
                    self._consumer.pause(partition)
            if time.monotonic() - started > SILENCE_SECONDS:
                raise BrokerAway(f"Nothing came from {self._topic} for {SILENCE_SECONDS:.0f} s.")
        return ends
