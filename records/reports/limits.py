"""How many reports one network address and one browser may send in a day, counted across all processes.

Neither is kept: of each there is a keyed hash, for a day.
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.database import Database
from records.errors import TooManyReports
from records.keys.keyring import MasterKey
from records.reports.schema_reports import ReportAttemptRow

DAY = timedelta(days=1)
PURPOSE = "report limits"


class ReportLimits:
    """Each method is one transaction and may raise DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        master_key: MasterKey,
        *,
        per_address: int,
        per_device: int,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._per_address = per_address
        self._per_device = per_device
        self._clock = clock

    def check(self, address: str, device: str) -> None:
        """Raises TooManyReports where `allow` would; counts nothing."""
        with self._database.read() as session:
            self._check(session, self._who(address, device))

    def allow(self, address: str, device: str, key: str) -> None:
        """Counts a report of theirs, once for each `key`. Raises TooManyReports, and counts nothing then."""
        who, report = self._who(address, device), self._hash(f"report:{key}")
        with self._database.write() as session:
            if self._database.postgresql:
                # else two at once would not see each other; sorted, so that none wait for one another in a ring
                for name in sorted(who):
                    session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _lock_of(name)})
            counted = ReportAttemptRow.who.in_(list(who)), ReportAttemptRow.report == report
            if session.scalar(select(ReportAttemptRow.id).where(*counted).limit(1)) is not None:
                return
            self._check(session, who)
            row = {"report": report, "at": self._clock()}
            session.execute(insert(ReportAttemptRow), [row | {"who": name} for name in who])

    def sweep(self) -> int:
        """Forgets what is older than a day; gives how much that was."""
        old = delete(ReportAttemptRow).where(ReportAttemptRow.at <= self._clock() - DAY)
        with self._database.write() as session:
            return len(session.scalars(old.returning(ReportAttemptRow.id)).all())

    def _check(self, session: Session, who: Mapping[str, int]) -> None:
        since = self._clock() - DAY
        for name, most in who.items():
            mine = ReportAttemptRow.who == name, ReportAttemptRow.at > since
            if session.scalars(select(func.count()).where(*mine)).one() >= most:
                newest = select(ReportAttemptRow.at).where(*mine).order_by(ReportAttemptRow.at.desc())
                oldest_that_counts = session.scalars(newest.limit(1).offset(most - 1)).one()
                raise TooManyReports(oldest_that_counts + DAY)

    def _who(self, address: str, device: str) -> dict[str, int]:
        """How many reports each may send, by its keyed hash."""
        return {self._hash(f"address:{address}"): self._per_address, self._hash(f"device:{device}"): self._per_device}

    def _hash(self, name: str) -> str:
        return hmac.digest(self._master_key.derive(PURPOSE), name.encode(), "sha256").hex()


def _lock_of(name: str) -> int:
    """A number of 63 bits, which PostgreSQL's advisory locks are."""
    return int(name[:16], 16) >> 1
