"""What moderators and a reporter write one another. To the reporter every moderator is the review team, and to the
moderators the reporter is a case number; the words rest under the report's data key."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, insert, select, update

from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.errors import ReportErased, ReportRefused
from records.keys.keyring import MasterKey
from records.reports.reading import key_of, unknown_report
from records.reports.schema_reports import ReportMessageRow, ReportRow

TEXT_LENGTH = 4000
MOST_UNREAD = 20
"""Messages of a reporter that nobody has read yet; then they wait for an answer."""
REPORTER = "reporter"
"""As whom a reporter stands in the audit log."""


@dataclass(frozen=True, slots=True)
class ReportMessage:
    """One message. moderator_id: who wrote it, None for the reporter; read_at: when the other side first saw it, None
    where it is new to them, also while they see it for the first time."""

    id: int
    moderator_id: str | None
    text: str
    written_at: datetime
    read_at: datetime | None


class ReportMessages:
    """Every method may raise DatabaseAway or SchemaMismatch; those that seal or open raise MasterKeyError. `clock`
    gives the moment, aware."""

    def __init__(
        self, database: Database, master_key: MasterKey, audit: AuditLog, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._audit = audit
        self._clock = clock

    def write(self, report_id: str, text: str, moderator_id: str | None = None) -> None:
        """Adds a message of the moderator, or else of the reporter. Raises UnknownReport, ReportErased, ReportRefused
        (message_empty, message_too_long, or too_many_messages of a reporter who is to wait for an answer)."""
        text = text.strip().replace("\r\n", "\n")
        if not text:
            raise ReportRefused("message_empty", "A message says something; write it first.")
        if len(text) > TEXT_LENGTH:
            raise ReportRefused("message_too_long", f"A message has at most {TEXT_LENGTH} characters; shorten it.")
        with self._database.write() as session:
            held = select(ReportRow.id).where(ReportRow.id == report_id).with_for_update()
            if session.scalar(held) is None:
                raise unknown_report(report_id)
            unread = select(func.count()).where(ReportMessageRow.report_id == report_id, _new_to_moderators())
            if moderator_id is None and (session.scalar(unread) or 0) >= MOST_UNREAD:
                raise ReportRefused("too_many_messages", "So many messages wait already; wait for an answer.")
            sealed = key_of(session, report_id, self._master_key).seal(text.encode(), _purpose(moderator_id))
            row = {"report_id": report_id, "moderator_id": moderator_id, "text": sealed, "written_at": self._clock()}
            session.execute(insert(ReportMessageRow).values(row))
            details = {"characters": len(text)}
            self._audit.append_in(session, moderator_id or REPORTER, "report_message", report_id, details)

    def read(self, report_id: str, *, as_moderator: bool = False) -> Sequence[ReportMessage]:
        """All, oldest first; those of the other side count as read from now on. None are left of an erased report."""
        new = _new_to_moderators() if as_moderator else _new_to_reporter()
        rows = select(ReportMessageRow).where(ReportMessageRow.report_id == report_id).order_by(ReportMessageRow.id)
        with self._database.read() as session:
            try:
                key = key_of(session, report_id, self._master_key)
            except ReportErased:
                return []
            messages = [
                ReportMessage(
                    row.id,
                    row.moderator_id,
                    key.open(row.text, _purpose(row.moderator_id)).decode(),
                    row.written_at,
                    row.read_at,
                )
                for row in session.scalars(rows)
            ]
        seen = [one.id for one in messages if one.read_at is None and (one.moderator_id is None) == as_moderator]
        if seen:  # a page that is only looked at again writes nothing
            with self._database.write() as session:
                values = update(ReportMessageRow).where(ReportMessageRow.id.in_(seen), new)
                session.execute(values.values(read_at=self._clock()))
        return messages

    def unread(self, report_ids: Collection[str]) -> Mapping[str, int]:
        """How many messages of reporters no moderator has read, of those of these reports that have any."""
        counted = (
            select(ReportMessageRow.report_id, func.count())
            .where(ReportMessageRow.report_id.in_(report_ids), _new_to_moderators())
            .group_by(ReportMessageRow.report_id)
        )
        with self._database.read() as session:
            return {row[0]: row[1] for row in session.execute(counted)}


def _new_to_moderators() -> ColumnElement[bool]:
    return ReportMessageRow.read_at.is_(None) & ReportMessageRow.moderator_id.is_(None)


def _new_to_reporter() -> ColumnElement[bool]:
    return ReportMessageRow.read_at.is_(None) & ReportMessageRow.moderator_id.is_not(None)


def _purpose(moderator_id: str | None) -> str:
    """Bound to who wrote it: nobody's words can be put into another's mouth."""
    return f"report-message:{moderator_id or REPORTER}"
