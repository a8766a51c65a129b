"""Reads of a topic's past only what Milvus says may be meant, as far as Milvus has it; from there on everything."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from config.settings import Kafka
from consumers.kafka import Records
from consumers.look_back.past_topic import SILENCE_SECONDS, PastTopic
from consumers.places import Place, read_places
from records.errors import DatabaseAway
from records.reports.look_backs import Window

log = logging.getLogger("likeness.look_back")


@dataclass(frozen=True, slots=True)
class Meant:
    """Places (partition and offset) in order that may be meant; before the offsets of `until`, by partition, there are
    no others."""

    places: Sequence[tuple[int, int]]
    until: dict[int, int]


class IndexedPast(PastTopic):
    def __init__(self, kafka: Kafka, topic: str, meant: Callable[[], Meant | None]) -> None:
        """`meant`: None where everything must be read; may raise DatabaseAway, and then everything is read, too."""
        super().__init__(kafka, topic)
        self._meant = meant
        self._due: list[tuple[int, int]] = []
        self._until: dict[int, int] = {}

    def go_on(self, window: Window) -> None:
        if window == self.window:
            return
        try:
            meant = self._meant()
        except DatabaseAway as error:
            log.warning("All kept faces are compared: %s", error)
            meant = None
        parts = window.parts
        until = meant.until if meant else {}
        self._until = {number: min(part.end, until.get(number, 0)) for number, part in parts.items()}
        places = meant.places if meant else ()
        self._due = [
            (number, offset)
            for number, offset in places
            if number in parts and parts[number].next <= offset < self._until[number]
        ]
        self.window = window
        if not self._due:
            self._skip()

    def read(self, most: int) -> Records:
        if not self._due:
            return super().read(most)
        due = self._due[:most]
        # A consumer that has read elsewhere may be left with nothing to read.
        with closing(self._open()) as consumer:
            places = read_places(consumer, [Place(self._topic, *one) for one in due], SILENCE_SECONDS)
            records = [record for _, record in places if record is not None]
        self._due = self._due[most:]
        parts = dict(self.window.parts)
        for number, offset in due:
            parts[number] = replace(parts[number], next=offset + 1)
        self.window = replace(self.window, parts=parts)
        if not self._due:
            self._skip()
        return records

    def _skip(self) -> None:
        """To where Milvus ends."""
        parts = {
            number: replace(part, next=max(part.next, self._until[number]))
            for number, part in self.window.parts.items()
        }
        ahead, self.window = replace(self.window, parts=parts), Window(self.window.topic, {})
        super().go_on(ahead)
