"""The audit log: who did what to whom, append-only, each entry chained to the one before it.

An entry's hash is SHA-256 over the canonical JSON (sorted keys, no blanks, UTF-8) of
[number, at, actor, action, subject, details, hash of the entry before]; `at` is UTC in ISO 8601 with six decimals, and
the first entry follows 64 zeros. The row of audit_state holds the newest number and hash, so that an end that was cut
off shows, too. Entries carry ids, never names, similarities or pictures.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Text, func, insert, select, type_coerce, update
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.database import Database
from records.schema_people import AuditRow, AuditStateRow

FIRST_HASH = "0" * 64
PAGE = 1000
STATE = select(AuditStateRow.last_number, AuditStateRow.last_hash).where(AuditStateRow.id == 1)
ENTRIES = select(
    AuditRow.number,
    type_coerce(AuditRow.at, Text).label("at"),  # as it lies there: a moment that was made unreadable is a finding
    AuditRow.actor,
    AuditRow.action,
    AuditRow.subject,
    AuditRow.details,
    AuditRow.hash,
)

Action = Literal[
    # subject: the case's id
    "case_claimed",
    "face_viewed",  # a picture was served; details: which
    "picture_revealed",  # it was shown without blur
    "case_skipped",
    "case_decided",
    "decision_undone",
    "decision_sent",
    # subject: the moderator's id; of a failed login never what was typed, which may be a password in the wrong field
    "login",
    "login_failed",
    "logout",
    "moderator_added",
    "moderator_changed",  # details: what
    # subject: the identity's id
    "identity_added",
    "identity_changed",
    "identity_removed",
    # subject: what was asked for
    "forbidden",
    "export",
    "search",
]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`actor`: a moderator's id, `operator:` and a login name for the command line, or `system`. `at` is aware, UTC."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class AuditBroken:
    """The first entry that is not as it was written, and why: one sentence."""

    number: int
    why: str


class AuditLog:
    """Appends and proves. Its methods may raise DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def append(self, actor: str, action: Action, subject: str, details: Mapping[str, Any] | None = None) -> int:
        """Writes an entry in a transaction of its own; gives its number. `details` must be fit for JSON."""
        with self._database.write() as session:
            return self.append_in(session, actor, action, subject, details)

    def append_in(
        self, session: Session, actor: str, action: Action, subject: str, details: Mapping[str, Any] | None = None
    ) -> int:
        """The same within a write transaction: the entry stands or falls with it.

        Do it last: no other entry can be written until the transaction ends.
        """
        last, previous = session.execute(STATE.with_for_update()).one()
        number = int(last) + 1
        actor, subject, text = _keepable(actor), _keepable(subject), _keepable(_canonical(details or {}))
        at = self._clock().astimezone(UTC)
        hash_ = _hash(number, at, actor, action, subject, text, previous)
        session.execute(
            insert(AuditRow).values(
                number=number, at=at, actor=actor, action=action, subject=subject, details=text, hash=hash_
            )
        )
        session.execute(update(AuditStateRow).where(AuditStateRow.id == 1).values(last_number=number, last_hash=hash_))
        return number

    def read(
        self, subject: str | None = None, actor: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[AuditEntry]:
        """Up to `limit` entries, newest first; of this subject, of this actor, with numbers below `before`."""
        wanted = ENTRIES.order_by(AuditRow.number.desc()).limit(limit)
        if subject is not None:
            wanted = wanted.where(AuditRow.subject == _keepable(subject))
        if actor is not None:
            wanted = wanted.where(AuditRow.actor == _keepable(actor))
        if before is not None:
            wanted = wanted.where(AuditRow.number < before)
        with self._database.read() as session:
            return [
                AuditEntry(
                    row.number, _moment(row.at), row.actor, row.action, row.subject, json.loads(row.details), row.hash
                )
                for row in session.execute(wanted)
            ]

    def verify(self, progress: Callable[[int, int], None] | None = None) -> AuditBroken | None:
        """None when the log is whole. `progress` is told how many entries have been looked at, and of how many.

        Sees one moment of the log and holds one page of it at a time.
        """
        with self._database.read() as session:
            total = session.scalars(select(func.count()).select_from(AuditRow)).one()
            state = session.execute(STATE).one_or_none()
            number, previous = 0, FIRST_HASH
            for row in _rows(session):
                if (broken := _judged(row, number + 1, previous)) is not None:
                    return broken
                number, previous = row.number, row.hash
                if progress is not None and (number % PAGE == 0 or number == total):
                    progress(number, total)
        return _judged_end(number, previous, state)


def _rows(session: Session) -> Iterator[Any]:
    """All rows by number."""
    page: Sequence[Any] = session.execute(ENTRIES.order_by(AuditRow.number).limit(PAGE)).all()
    while page:
        yield from page
        following = ENTRIES.where(AuditRow.number > page[-1].number).order_by(AuditRow.number).limit(PAGE)
        page = session.execute(following).all()


def _judged(row: Any, expected: int, previous: str) -> AuditBroken | None:
    if row.number != expected:
        return AuditBroken(expected, f"Entry {expected} is missing: entry {row.number} stands in its place.")
    try:
        made = _hash(row.number, _moment(row.at), row.actor, row.action, row.subject, row.details, previous)
    except (TypeError, ValueError):  # SQLite keeps anything in any column
        made = None
    if made == row.hash:
        return None
    follows = f"entry {expected - 1}" if expected > 1 else "the beginning"
    return AuditBroken(
        expected,
        f"The hash of entry {expected} is not that of its content after {follows}: it was changed, moved or put in "
        "afterwards.",
    )


def _judged_end(number: int, newest: str, state: Any) -> AuditBroken | None:
    """The same of the log's end: its last entry is `number`, with the hash `newest`; `state`: audit_state's row."""
    if state is None:
        return AuditBroken(number, f"The row of audit_state is gone: whether entry {number} is the last is not known.")
    if number < state.last_number:
        return AuditBroken(number + 1, f"The end is cut off: entries {number + 1} to {state.last_number} are missing.")
    if number > state.last_number:
        return AuditBroken(
            state.last_number + 1,
            f"Entry {state.last_number + 1} was put in afterwards: audit_state knows {state.last_number} entries.",
        )
    if newest != state.last_hash:
        return AuditBroken(number, f"The hash of entry {number}, the last, is not the one that audit_state holds.")
    return None


def _hash(number: int, at: datetime, actor: str, action: str, subject: str, details: str, previous: str) -> str:
    """`details` are canonical JSON already, and go in letter by letter: not a blank in them may change."""
    head = _canonical([number, at.isoformat(timespec="microseconds"), actor, action, subject])
    return hashlib.sha256(f'{head[:-1]},{details},"{previous}"]'.encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _keepable(text: str) -> str:
    """`text` with a mark in place of what PostgreSQL or UTF-8 cannot keep: an attack must not go unwritten for that."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _moment(kept: datetime | str) -> datetime:
    """As the driver gives it: SQLite's text has no time zone."""
    at = datetime.fromisoformat(kept) if isinstance(kept, str) else kept
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
