"""What reporters who want it are told by mail: that there is news, that their consent ends soon, that all is erased.

That a notice was sent is noted after it was: who dies in between sends it once more, and none gets lost.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.database import Database
from records.errors import MasterKeyError, ReportErased, SealBroken
from records.keys.keyring import MasterKey
from records.reports.contents import open_details
from records.reports.reading import key_of
from records.reports.schema_reports import ReportMessageRow, ReportRow

NoticeKind = Literal["news", "reminder", "erased"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody to write to. language: a code such as `en`; at: it tells of all that was before; address: of who is
    erased, of others None: it is opened when they are written to."""

    report_id: str
    kind: NoticeKind
    language: str
    at: datetime
    address: str | None = None


class ReportNotices:
    """Every method may raise DatabaseAway or SchemaMismatch. `remind`: so long before their consent ends reporters are
    reminded; `clock` gives the moment, aware."""

    def __init__(
        self, database: Database, master_key: MasterKey, *, remind: timedelta, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._remind = remind
        self._clock = clock

    def due(self) -> Sequence[Notice]:
        """All, of the oldest report first. News is a decision, or messages of moderators that were not read."""
        now = self._clock()
        news, ends_soon = _has_news(), self._ends_soon(now)
        reachable = and_(ReportRow.consent_contact, ReportRow.details.is_not(None), or_(news, ends_soon))
        wanted = select(ReportRow.id, ReportRow.language, news, ends_soon).where(reachable)
        notices: list[Notice] = []
        with self._database.read() as session:
            for report_id, language, is_news, is_reminder in session.execute(wanted.order_by(ReportRow.created_at)):
                if is_news:
                    notices.append(Notice(report_id, "news", language, now))
                if is_reminder:
                    notices.append(Notice(report_id, "reminder", language, now))
        return notices

    def address(self, notice: Notice) -> str | None:
        """Where to write to; None where there is no address, or not any more. Raises MasterKeyError, SealBroken."""
        if notice.address is not None:
            return notice.address
        with self._database.read() as session:
            row = session.get(ReportRow, notice.report_id)
            return None if row is None or not row.consent_contact else self._address(session, row)

    def told(self, notice: Notice) -> None:
        """It was sent, or can never be."""
        values = {"told_at": notice.at} if notice.kind == "news" else {"reminded_at": notice.at}
        with self._database.write() as session:
            session.execute(update(ReportRow).where(ReportRow.id == notice.report_id).values(values))

    def alone(self) -> AbstractContextManager[bool]:
        """Whether we alone send notices until the block ends; a holder that dies lets it go."""
        return self._database.sole("mail")

    def farewell(self, report_id: str) -> Notice | None:
        """What is sent once the report is erased, and with it the address; None for who does not want to be written
        to, and where the address does not open: it must hold up no erasure."""
        with self._database.read() as session:
            row = session.get(ReportRow, report_id)
            if row is None or not row.consent_contact:
                return None
            try:
                address = self._address(session, row)
            except (MasterKeyError, SealBroken) as error:
                log.warning("Nobody is told of an erasure: %s", error, extra={"report_id": report_id})
                return None
            return Notice(report_id, "erased", row.language, self._clock(), address) if address else None

    def _address(self, session: Session, row: ReportRow) -> str | None:
        """None where there is none, or not any more."""
        if row.details is None:
            return None
        try:
            return open_details(key_of(session, row.id, self._master_key), row.details).contact or None
        except ReportErased:
            return None

    def _ends_soon(self, now: datetime) -> ColumnElement[bool]:
        return and_(
            ReportRow.state == "protecting",
            ReportRow.reminded_at.is_(None),
            ReportRow.ends_at > now,
            ReportRow.ends_at <= now + self._remind,
        )


def _has_news() -> ColumnElement[bool]:
    told = func.coalesce(ReportRow.told_at, ReportRow.created_at)
    written = (
        select(ReportMessageRow.id)
        .where(
            ReportMessageRow.report_id == ReportRow.id,
            ReportMessageRow.moderator_id.is_not(None),
            ReportMessageRow.read_at.is_(None),
            ReportMessageRow.written_at > told,
        )
        .exists()
    )
    return or_(func.coalesce(ReportRow.decided_at, ReportRow.created_at) > told, written)
