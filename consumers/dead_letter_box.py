"""Reads the dead letters: first all of them without their originals' bytes, then the originals that are asked for.

A dead letter holds up to some 20 MB, and there may be very many: what is kept of each is small.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from types import TracebackType
from typing import Any, Self

from kafka import TopicPartition
from pydantic import ValidationError

from config.settings import Kafka, Topics
from consumers.kafka import make_consumer, read_to_end
from consumers.messages import AvatarDeadLettered, read_data
from consumers.outgoing import OutgoingMessage
from consumers.places import Place, place_of, read_places
from consumers.topics import TopicMissing


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter but for the original's key, value and headers. `place`: where the letter stands; `original`: where
    the upload stood, with its Kafka timestamp; `size`: bytes of the upload's value; `omitted`: it is not in the letter.
    """

    dead_letter_id: str
    event_id: str | None
    account_id: str | None
    reason: str
    detail: str
    failed_at: datetime
    place: Place
    original: Place
    timestamp_ms: int
    size: int
    omitted: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; what is empty or None does not restrict. `since`: aware."""

    ids: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    account_id: str | None = None

    def has(self, letter: DeadLetter) -> bool:
        return (
            (not self.ids or letter.dead_letter_id in self.ids)
            and (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.failed_at >= self.since)
            and (self.account_id is None or letter.account_id == self.account_id)
        )


class DeadLetterBox:
    """The topic of dead letters; to be used as a context manager.

    Every method may raise BrokerAway or KafkaError. `unreadable` counts what `letters` passed over because it is no
    dead letter.
    """

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._topics = topics
        self._letters = make_consumer(
            kafka, max_partition_fetch_bytes=kafka.max_outcome_bytes, fetch_max_bytes=kafka.max_outcome_bytes
        )
        self._uploads = make_consumer(kafka)
        self.unreadable = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._letters.close()
        self._uploads.close()

    def letters(self, selection: Selection) -> Iterator[DeadLetter]:
        """Those meant, each once, as they stand in the topic up to its end. Takes some 100 bytes of memory for each.

        Raises TopicMissing.
        """
        topic = self._topics.dead_letters
        numbers = self._letters.partitions_for_topic(topic)
        if not numbers:
            raise TopicMissing(f"There is no topic {topic} on this broker: see topics.dead_letters.")
        self._letters.assign([TopicPartition(topic, number) for number in sorted(numbers)])
        self._letters.seek_to_beginning()
        seen = set[str]()
        for records in read_to_end(self._letters, Event()):
            for record in records:
                letter = self._read(record)
                if letter is not None and letter.dead_letter_id not in seen and selection.has(letter):
                    seen.add(letter.dead_letter_id)
                    yield letter

    def originals(self, letters: Sequence[DeadLetter]) -> Iterator[tuple[DeadLetter, OutgoingMessage | None]]:
        """Each letter with its upload as it was consumed, bound for the topic of uploads, in the order of their places.

        What the letter omits is read from where it stood; None where it stands no more.
        """
        by_place = {letter.place: letter for letter in letters}
        for place, record in read_places(self._letters, by_place):
            letter = by_place[place]
            if record is None:
                yield letter, None
            elif letter.omitted:
                yield letter, self._at_its_place(letter)
            else:
                yield letter, self._message(*_enclosed(record.value))

    def _read(self, record: Any) -> DeadLetter | None:
        try:
            data = AvatarDeadLettered.model_validate(read_data(record.value or b""))
        except (ValidationError, ValueError, KeyError, TypeError):
            self.unreadable += 1
            return None
        original = data.original
        return DeadLetter(
            dead_letter_id=str(data.dead_letter_id),
            event_id=data.event_id,
            account_id=data.account_id,
            reason=data.reason,
            detail=data.detail,
            failed_at=data.failed_at,
            place=place_of(record),
            original=Place(original.topic, original.partition, original.offset),
            timestamp_ms=original.timestamp_ms,
            size=original.size,
            omitted=original.omitted,
        )

    def _at_its_place(self, letter: DeadLetter) -> OutgoingMessage | None:
        ((_, record),) = read_places(self._uploads, [letter.original])
        # a topic that was made anew counts its offsets anew
        if record is None or (record.timestamp, len(record.value or b"")) != (letter.timestamp_ms, letter.size):
            return None
        return self._message(record.key, record.value, record.headers)

    def _message(
        self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
    ) -> OutgoingMessage:
        # the client sends no header without a value
        filled = tuple((name, value or b"") for name, value in headers)
        return OutgoingMessage(self._topics.uploads, key, value, filled)


def _enclosed(letter: bytes) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
    """Key, value and headers of the original in a dead letter's value."""
    original = AvatarDeadLettered.model_validate(read_data(letter)).original
    headers = [(one.name, _bytes(one.value_base64)) for one in original.headers]
    return _bytes(original.key_base64), _bytes(original.value_base64), headers


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
