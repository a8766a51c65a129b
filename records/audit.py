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
from typing import Any, Literal, TypeVarTuple

from sqlalchemy import Select, Text, func, insert, select, type_coerce, update
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.database import Database
from records.schema_audit import AuditRow, AuditStateRow

Columns = TypeVarTuple("Columns")
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
    "likeness_shown",  # how alike the faces are, once a claim; details: what they had judged before
    "case_skipped",
    "case_commented",
    "case_decided",
    "decision_undone",
    "decision_sent",
    "golden_added",  # it tests moderators from now on; details: the right answer
    "golden_retired",
    "appeal_received",
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
    # subject: the report's id
    "report_received",
    "report_viewed",  # it was opened by a moderator; pictures of it: face_viewed
    "report_decided",  # details: approved, refused, closed or to_specialists, and the reason
    "report_withdrawn",
    "report_changed",  # details: what
    "report_expired",
    "report_message",
    "report_login_failed",
    "evidence_released",  # details: SHA-256 of the file
    # subject: the identity's id
    "look_back",
    # subject: the deployment's keys
    "keys_rotated",
    # subject: the token's id
    "token_added",
    "token_revoked",
    # subject: what was asked for
    "forbidden",
    "export",
    "search",  # the case that was found, or `cases`: never what was typed; details: by what, and how many
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
class AuditFilter:
    """Which entries: all, but for what is not None. Moments are aware; `until` is not within; `subjects`: entries
    about any of these."""

    subject: str | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    subjects: tuple[str, ...] | None = None

    def narrow(self, wanted: Select[*Columns]) -> Select[*Columns]:
        """The query for these entries only."""
        texts = {AuditRow.subject: self.subject, AuditRow.actor: self.actor, AuditRow.action: self.action}
        for column, text in texts.items():
            if text is not None:
                wanted = wanted.where(column == _keepable(text))
        if self.subjects is not None:
            wanted = wanted.where(AuditRow.subject.in_(self.subjects))
        # By number, in which order moments lie, too: so neither end is looked for among all entries.
        moments = select(AuditRow.number).limit(1)
        if self.since is not None:
            first = moments.where(AuditRow.at >= self.since).order_by(AuditRow.at, AuditRow.number)
            wanted = wanted.where(AuditRow.number >= first.scalar_subquery())
        if self.until is not None:
            last = moments.where(AuditRow.at < self.until).order_by(AuditRow.at.desc(), AuditRow.number.desc())
            wanted = wanted.where(AuditRow.number <= last.scalar_subquery())
        return wanted


@dataclass(frozen=True, slots=True)
class AuditBroken:
    """The first entry that is not as it was written, and why: one sentence."""

    number: int
    why: str


class AuditLog:
    """Appends and proves. Its methods may raise DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.database = database
        self._clock = clock

    def append(self, actor: str, action: Action, subject: str, details: Mapping[str, Any] | None = None) -> int:
        """Writes an entry in a transaction of its own; gives its number. `details` must be fit for JSON."""
        with self.database.write() as session:
            return self.append_in(session, actor, action, subject, details)

    def append_in(
        self, session: Session, actor: str, action: Action, subject: str, details: Mapping[str, Any] | None = None
    ) -> int:
        """The same within a write transaction: the entry stands or falls with it.

        Do it last: no other entry can be written until the transaction ends.
        """
        last, previous = session.execute(STATE.with_for_update()).one()
        number = int(last) + 1
        actor, subject, text = _keepable(actor), _keepable(subject), _keepable(canonical(details or {}))
        at = self._clock().astimezone(UTC)
        hash_ = entry_hash(number, at, actor, action, subject, text, previous)
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
        return self.find(AuditFilter(subject, actor), before, limit)

    def find(self, which: "AuditFilter", before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """Up to `limit` of these entries, newest first, with numbers below `before`."""
        wanted = which.narrow(ENTRIES).order_by(AuditRow.number.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(AuditRow.number < before)
        with self.database.read() as session:
            return [
                AuditEntry(
                    row.number, moment_of(row.at), row.actor, row.action, row.subject, readable(row.details), row.hash
                )
                for row in session.execute(wanted)
            ]

    def verify(self, progress: Callable[[int, int], None] | None = None) -> AuditBroken | None:
        """None when the log is whole. `progress` is told how many entries have been looked at, and of how many.

        Sees one moment of the log and holds one page of it at a time.
        """
        with self.database.read() as session:
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
        made = entry_hash(row.number, moment_of(row.at), row.actor, row.action, row.subject, row.details, previous)
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


def entry_hash(number: int, at: datetime, actor: str, action: str, subject: str, details: str, previous: str) -> str:
    """The hash of an entry after the one whose hash is `previous`.

    `details` are canonical JSON already, and go in letter by letter: not a blank in them may change.
    """
    head = canonical([number, at.isoformat(timespec="microseconds"), actor, action, subject])
    return hashlib.sha256(f'{head[:-1]},{details},"{previous}"]'.encode()).hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys and no blanks. Raises TypeError or ValueError for what is none."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _keepable(text: str) -> str:
    """`text` with a mark in place of what PostgreSQL or UTF-8 cannot keep: an attack must not go unwritten for that."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def readable(details: str) -> Mapping[str, Any]:
    """Details as they lie there; what was made unreadable is shown, and does not hide the other entries."""
    try:
        found = json.loads(details)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"unreadable": details}


def moment_of(kept: datetime | str) -> datetime:
    """From how the driver gives it: SQLite's text has no time zone. Raises ValueError or TypeError for what is none."""
    at = datetime.fromisoformat(kept) if isinstance(kept, str) else kept
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
