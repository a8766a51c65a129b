"""Sends the originals of dead letters to screening again: claim, send, mark sent, a handful at a time.

A letter is sent once, whoever replays it and how often (records/replays.py). What is sent is the upload as it was, with
one header more; so it has the same event id, and its outcome the same ids.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from config.settings import Kafka
from consumers.dead_letter_box import DeadLetter, DeadLetterBox
from consumers.kafka import BrokerAway, make_producer
from consumers.outgoing import OutgoingMessage, drop
from records.replays import Claim, ReplayRecords

HEADER = "replayed-dead-letter"
"""Its value is the dead letter's id, in ASCII."""

Result = Literal["replayed", "already", "in_hand", "gone", "refused"]
"""Sent now; sent before; somebody else is sending it; the original is held nowhere; the broker refuses its size."""

HANDFUL = 100
HANDFUL_BYTES = 32_000_000
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class Replayer:
    """`by` is who replays. With `again` letters that were replayed before are sent once more. Close it."""

    def __init__(self, kafka: Kafka, box: DeadLetterBox, records: ReplayRecords, by: str, *, again: bool) -> None:
        self._kafka = kafka
        self._box = box
        self._records = records
        self._by = by
        self._again = again
        self._producer: KafkaProducer | None = None

    def close(self) -> None:
        drop(self._producer)
        self._producer = None

    def replay(self, letters: Sequence[DeadLetter]) -> Iterator[Counter[Result]]:
        """What became of each handful, once that is so. Raises BrokerAway, KafkaError, DatabaseAway, SchemaMismatch:
        then what was not sent can be replayed at once, unless it is the database that is away.
        """
        for handful in handfuls(letters):
            claim = self._records.claim([one.dead_letter_id for one in handful], self._by, again=self._again)
            others = [one.dead_letter_id for one in handful if one.dead_letter_id not in claim.ids]
            ours = [one for one in handful if one.dead_letter_id in claim.ids]
            yield self._not_ours(others) + self._send_claimed(claim, ours)

    def _not_ours(self, ids: Sequence[str]) -> Counter[Result]:
        known = self._records.find(ids)
        return Counter("in_hand" if one in known and known[one].state == "claimed" else "already" for one in ids)

    def _send_claimed(self, claim: Claim, letters: Sequence[DeadLetter]) -> Counter[Result]:
        """Sends, marks and counts; whatever is not known to be sent is released."""
        sent = set[str]()
        try:
            messages = {
                letter.dead_letter_id: _marked(message, letter.dead_letter_id)
                for letter, message in self._box.originals(letters)
                if message is not None
            }
            failed = self._send(messages, sent)
            if any(isinstance(error, _TOO_LARGE) for error in failed.values()):
                # one that is too large fails those beside it, too
                alone = [self._send({one: messages[one]}, sent) for one in failed]
                failed = {one: error for single in alone for one, error in single.items()}
            for error in failed.values():
                if not isinstance(error, _TOO_LARGE):
                    raise BrokerAway(f"Kafka did not take all of them ({error}): replay once more.") from error
        except BaseException:
            self.close()  # what is still on its way arrives or is given up now, before anybody else may send it
            raise
        finally:
            self._records.mark_sent(sorted(sent))
            self._records.release(claim, sorted(claim.ids - sent))
        return Counter({"replayed": len(sent), "gone": len(letters) - len(messages), "refused": len(failed)})

    def _send(self, messages: Mapping[str, OutgoingMessage], sent: set[str]) -> dict[str, KafkaError]:
        """Adds to `sent` what was acknowledged; the others, with their errors, have spoiled the producer."""
        if self._producer is None:
            self._producer = make_producer(self._kafka)
        deadline = time.monotonic() + self._kafka.transaction_seconds
        failed: dict[str, KafkaError] = {}
        futures = {}
        for one, message in messages.items():
            try:
                futures[one] = self._producer.send(message.topic, message.value, message.key, list(message.headers))
            except KafkaError as error:
                failed[one] = error
        for one, future in futures.items():
            try:
                future.get(timeout=max(0.0, deadline - time.monotonic()))
                sent.add(one)
            except KafkaError as error:
                failed[one] = error
        if failed:
            self.close()
        return failed


def handfuls(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """The letters in their order, HANDFUL at most together, and HANDFUL_BYTES unless one alone is larger."""
    handful: list[DeadLetter] = []
    size = 0
    for letter in letters:
        if handful and (len(handful) == HANDFUL or size + letter.size > HANDFUL_BYTES):
            yield handful
            handful, size = [], 0
        handful.append(letter)
        size += letter.size
    if handful:
        yield handful


def _marked(message: OutgoingMessage, dead_letter_id: str) -> OutgoingMessage:
    return replace(message, headers=(*message.headers, (HEADER, dead_letter_id.encode())))
