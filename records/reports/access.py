"""How a reporter comes back: case number and PIN open a session of a browser, of which we keep the token's SHA-256.

Right log-ins are not in the audit log: they would tell when a person in distress looked after their report, and nobody
but them is shown anything. Wrong ones are.
"""

import hashlib
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.errors import LoginLocked, WrongPin
from records.people import passwords
from records.people.lock_out import count_attempt, unlock
from records.reports.intake import canonical_number
from records.reports.reading import Report, report_of
from records.reports.schema_reports import ReportRow, ReportSessionRow

TOKEN_BYTES = 32
SEEN_EVERY = timedelta(minutes=1)
NOBODY = "anonymous"
UNKNOWN = "unknown"


class ReportAccess:
    """Sessions end `idle` after they were last found. `clock` gives the moment, aware. Every method may raise
    DatabaseAway or SchemaMismatch."""

    def __init__(
        self, database: Database, audit: AuditLog, *, idle: timedelta, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._audit = audit
        self._idle = idle
        self._clock = clock

    def enter(self, number: str, pin: str) -> str:
        """The token of a new session, for the cookie alone; both as people type them. Takes the same time for numbers
        that there are not, and for reports that are locked. Raises WrongPin, LoginLocked."""
        attempt = self._begun(canonical_number(unicodedata.normalize("NFKC", number)))
        typed = "".join(one for one in unicodedata.normalize("NFKC", pin) if one.isalnum())
        right = passwords.matches(attempt.pin_hash, typed)
        if attempt.locked is not None:
            self._audit.append(NOBODY, "report_login_failed", attempt.report_id or UNKNOWN, {"reason": "login_locked"})
            raise attempt.locked
        if not right or attempt.report_id is None:
            self._audit.append(NOBODY, "report_login_failed", attempt.report_id or UNKNOWN, {"reason": "wrong_pin"})
            raise WrongPin("Case number or PIN is wrong.")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._database.write() as session:
            row = session.get(ReportRow, attempt.report_id, with_for_update=True)
            if row is None or row.pin_hash != attempt.pin_hash:  # another PIN was given out meanwhile
                raise WrongPin("Case number or PIN is wrong.")
            unlock(row)
            opened = {"id": _id(token), "report_id": row.id, "seen_at": self._clock()}
            session.execute(insert(ReportSessionRow).values(opened))
        return token

    def find(self, token: str) -> Report | None:
        """The report that the token opens; None when its session has ended."""
        now = self._clock()
        wanted = (
            select(ReportRow, ReportSessionRow.seen_at)
            .join(ReportSessionRow, ReportSessionRow.report_id == ReportRow.id)
            .where(ReportSessionRow.id == _id(token), ReportSessionRow.seen_at > now - self._idle)
        )
        with self._database.read() as session:
            found = session.execute(wanted).one_or_none()
            if found is None:
                return None
            report, seen_at = report_of(found[0]), found[1]
        if now - seen_at >= SEEN_EVERY:
            with self._database.write() as session:
                session.execute(update(ReportSessionRow).where(ReportSessionRow.id == _id(token)).values(seen_at=now))
        return report

    def leave(self, token: str) -> None:
        """Ends the session; nothing to do where there is none."""
        with self._database.write() as session:
            session.execute(delete(ReportSessionRow).where(ReportSessionRow.id == _id(token)))

    def sweep(self) -> int:
        """Deletes the sessions that have ended; gives how many."""
        over = delete(ReportSessionRow).where(ReportSessionRow.seen_at <= self._clock() - self._idle)
        with self._database.write() as session:
            return len(session.scalars(over.returning(ReportSessionRow.id)).all())

    def _begun(self, number: str) -> "_Attempt":
        """Counts an attempt at the report's PIN."""
        with self._database.write() as session:
            row = session.scalar(select(ReportRow).where(ReportRow.number == number).with_for_update())
            if row is None:
                return _Attempt(None, None, None)
            try:
                count_attempt(row, self._clock())
            except LoginLocked as locked:
                return _Attempt(row.id, row.pin_hash, locked)
            return _Attempt(row.id, row.pin_hash, None)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What a PIN is judged by: None of both where nothing has the number; `locked`: why not even a right one counts."""

    report_id: str | None
    pin_hash: str | None
    locked: LoginLocked | None


def _id(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
