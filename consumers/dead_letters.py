"""Dead letters: what could not be screened, with the reason and the original."""

import base64
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
