"""Dead letters: what could not be screened, with the reason and the original; and the limit on how many are normal."""

import base64
from collections import deque
from datetime import datetime
from typing import Any

from consumers.delivery import OutgoingMessage
from consumers.messages import (
    CONTENT_TYPE,
    AvatarDeadLettered,
    Header,
    Original,
    derived_id,
    write_event,
)

MAX_ATTACHED = 4096
"""Bytes of key and headers that a compact dead letter still carries."""


class TooManyDeadLetters(Exception):
    """So many recent uploads end as dead letters that the fault is ours: stop, and drain the topic no further."""


class DeadLetterLimit:
    """Watches the share of dead letters among recent uploads."""

    def __init__(self, share: float, window: int, minimum: int) -> None:
        """`share`: 0..1; `window`: uploads that count as recent; `minimum`: uploads before the share is judged."""
        self._share = share
        self._minimum = min(minimum, window)
        self._recent: deque[str | None] = deque(maxlen=window)

    def check(self, reasons: list[str | None]) -> None:
        """Judge a batch about to be delivered: per upload its dead letter's reason, or None. Raises
        TooManyDeadLetters, and then the batch must not be delivered."""
        recent = deque([*self._recent, *reasons], maxlen=self._recent.maxlen)
        dead = [reason for reason in recent if reason is not None]
        if len(recent) >= self._minimum and len(dead) > self._share * len(recent):
            worst = max(set(dead), key=dead.count)
            raise TooManyDeadLetters(
                f"{len(dead)} of the last {len(recent)} uploads would end as dead letters, most for {worst}: stopped "
                "before the last batch, which stays uncommitted. Find the cause, or raise screening.dead_letter_share."
            )

    def count(self, reasons: list[str | None]) -> None:
        """Remember a batch that was delivered; one that is consumed again counts once."""
        self._recent.extend(reasons)


def dead_letter(
    record: Any,
    topic: str,
    reason: str,
    detail: str,
    at: datetime,
    event_id: str | None,
    account_id: str | None,
    compact: bool = False,
) -> OutgoingMessage:
    """The dead letter of a consumed `record`; its id derives from the record's place, which is there without parsing.
    `compact`: without the original's value, and without key and headers that are long, as they made it too large."""
    attached = len(record.key or b"") + sum(len(name) + len(value or b"") for name, value in record.headers)
    bare = compact and attached > MAX_ATTACHED
    key, headers = (None, []) if bare else (record.key, record.headers)
    identity = derived_id("dead-letter", record.topic, record.partition, record.offset)
    letter = AvatarDeadLettered(
        dead_letter_id=identity,
        event_id=event_id,
        account_id=account_id,
        reason=reason,
        detail=detail,
        original=Original(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            key_base64=_base64(key),
            value_base64=None if compact else _base64(record.value),
            omitted=compact,
            size=len(record.value or b""),
            headers=[Header(name=name, value_base64=_base64(value)) for name, value in headers],
        ),
        failed_at=at,
    )
    own_headers = (CONTENT_TYPE, ("reason", reason.encode()))
    return OutgoingMessage(topic, key, write_event(letter, str(identity), at), own_headers)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
