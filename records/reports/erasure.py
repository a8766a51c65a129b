"""Erasure: a person is gone from the gallery, from their report and from cases, in one transaction, with a receipt.

1. what the report and the identity hold is deleted, their data keys with it, so that copies elsewhere cannot be opened
either  2. cases lose what shows the person  3. the erasure is noted  4. a tombstone tells every consumer  5. a receipt
is signed. `likeness erasure verify` looks afterwards at what is left.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from records.announcer import Announcer, utc_now
from records.audit import Action, AuditLog, canonical
from records.database import Database
from records.errors import RecordsError, UnknownIdentity
from records.keys.keyring import MasterKey
from records.keys.signing import SigningKeys, signed_json
from records.reports.erased_cases import erase_from_cases, erase_written, late_ones, late_own_accounts
from records.reports.erasures import Erased, erased_of, note
from records.reports.reading import unknown_report
from records.reports.receipts import ErasureRequest, receipt_of
from records.reports.rows_of_person import erase_identity, erase_report
from records.reports.schema_reports import ErasureRow, ReportRow
from records.schema import IdentityRow

ANSWER_DAYS = 30
"""For how long somebody whose report is refused, or closed, can still write about it; then the rest of it is erased."""
MONTH_DAYS = 31
"""Of the months agreed to, until a report that nobody decided on ends."""
_ACTIONS: Mapping[ErasureRequest, Action] = {
    "withdrawn": "report_withdrawn",
    "expired": "report_expired",
    "refused": "report_expired",
    "operator": "report_withdrawn",
}


class Erasure:
    """Every method may raise DatabaseAway or SchemaMismatch. None needs to open anything of the person: they can be
    erased after their key is lost. `clock` gives the moment, aware."""

    def __init__(
        self, database: Database, master_key: MasterKey, audit: AuditLog, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._announcer = Announcer(database, master_key, clock)
        self._signing = SigningKeys(database, master_key, clock=clock)
        self._audit = audit
        self._clock = clock

    def withdraw(self, report_id: str, request: ErasureRequest, by: str) -> str:
        """The signed receipt, JSON; of a report that has been erased already the one that there is. by: an actor of the
        audit log. Raises UnknownReport."""
        with self._database.write() as session:
            report = session.get(ReportRow, report_id, with_for_update=True)
            if report is None:
                raise unknown_report(report_id)
            if report.receipt is None:
                self._erase(session, self._new(report, report.identity_id, request), report, by)
            receipt = report.receipt
        self._database.empty_log()
        assert receipt is not None
        return receipt

    def remove_identity(self, identity_id: str, by: str | None) -> None:
        """Erases an identity, with the report that it was made from. Without `by` no entry of the audit log is made.
        Raises UnknownIdentity."""
        with self._database.write() as session:
            report = session.scalar(select(ReportRow).where(ReportRow.identity_id == identity_id).with_for_update())
            if session.get(IdentityRow, identity_id, with_for_update=True) is None:
                raise UnknownIdentity(f"There is no identity {identity_id}.")
            self._erase(session, self._new(report, identity_id, "operator"), report, by)
        self._database.empty_log()

    def due(self, now: datetime) -> Sequence[str]:
        """The reports that end now: those whose consent has ended, those refused or closed whose time for an answer is
        over, and those that nobody decided on for as long as was agreed."""
        ended = select(ReportRow).where(_may_end(now), ReportRow.receipt.is_(None)).order_by(ReportRow.created_at)
        with self._database.read() as session:
            return [row.id for row in session.scalars(ended) if _end_of(row) <= now]

    def expire(self, now: datetime) -> int:
        """Erases what is due; how many reports. Closes the cases that came in late about somebody who is erased. A
        defect over one report is raised, in an ExceptionGroup, once the others are erased."""
        ended, failed = 0, list[Exception]()
        for report_id in self.due(now):
            try:
                ended += self._expire(report_id, now)
            except RecordsError:
                raise
            except Exception as error:  # nobody's face goes on matching for what is wrong with another's report
                error.add_note(f"{report_id} could not be erased.")
                failed.append(error)
        with self._database.read() as session:
            late, own = late_ones(session, now), late_own_accounts(session)
        for identity_id in late:
            with self._database.write() as session:
                erase_from_cases(session, identity_id, now)
        if own:
            with self._database.write() as session:
                erase_written(session, own, now)
        if ended or late or own:
            self._database.empty_log()
        if failed:
            raise ExceptionGroup("Reports that are over could not be erased", failed)
        return ended

    def again(self, erased: Erased, by: str) -> bool:
        """Erases the same person again, whom an older copy of the database brought back; whether there was anything of
        them. The erasure keeps its id, its request and its date."""
        with self._database.write() as session:
            report, there = None, False
            if erased.report_id is not None:
                whole = ReportRow.id == erased.report_id, ReportRow.receipt.is_(None)
                report = session.scalar(select(ReportRow).where(*whole).with_for_update())
            if erased.identity_id is not None:
                there = session.get(IdentityRow, erased.identity_id, with_for_update=True) is not None
            if report is not None and report.identity_id not in (None, erased.identity_id):  # approved since it is back
                self._erase(session, self._new(None, report.identity_id, erased.request), None, by)
            if report is not None or there:
                self._erase(session, erased, report, by)
            elif session.get(ErasureRow, erased.id) is None:
                note(session, erased)
        self._database.empty_log()
        return report is not None or there

    def list(self) -> Sequence[Erased]:
        """All erasures, oldest first."""
        oldest_first = select(ErasureRow).order_by(ErasureRow.at, ErasureRow.id)
        with self._database.read() as session:
            return [erased_of(row) for row in session.scalars(oldest_first)]

    def _expire(self, report_id: str, now: datetime) -> bool:
        """False for what was extended, or withdrawn, meanwhile."""
        with self._database.write() as session:
            report = session.get_one(ReportRow, report_id, with_for_update=True)
            if report.receipt is not None or _end_of(report) > now:
                return False
            request: ErasureRequest = "refused" if report.state == "refused" else "expired"
            self._erase(session, self._new(report, report.identity_id, request), report, "system")
            return True

    def _new(self, report: ReportRow | None, identity_id: str | None, request: ErasureRequest) -> Erased:
        report_id = None if report is None else report.id
        return Erased(f"ers_{uuid4().hex}", report_id, identity_id, request, {}, self._clock())

    def _erase(self, session: Session, erasure: Erased, report: ReportRow | None, by: str | None) -> None:
        """Within a write transaction that has locked the report, where there is one."""
        identity_id, counts = erasure.identity_id, Counter[str]()
        if identity_id is not None:
            session.get(IdentityRow, identity_id, with_for_update=True)
            counts += erase_from_cases(session, identity_id, self._clock()) + erase_identity(session, identity_id)
        if report is not None:
            counts += erase_report(session, report)
            if erasure.request != "refused" and (erasure.request != "expired" or report.state != "closed"):
                report.state = "expired" if erasure.request == "expired" else "withdrawn"
            report.ended_at = erasure.at
        session.flush()
        erased = dict(sorted(counts.items()))
        note(session, Erased(erasure.id, erasure.report_id, identity_id, erasure.request, erased, erasure.at))
        if identity_id is not None:
            self._announcer.announce(session, identity_id, None)
        if report is not None:
            report.receipt = self._receipt(session, erasure, report.number, erased)
            session.flush()
        if by is not None and identity_id is not None:
            self._audit.append_in(session, by, "identity_removed", identity_id, {"erasure": erasure.id})
        if by is not None and report is not None:
            details = {"erasure": erasure.id, "request": erasure.request, "identity": identity_id}
            self._audit.append_in(session, by, _ACTIONS[erasure.request], report.id, details)

    def _receipt(self, session: Session, erasure: Erased, case_number: str, erased: Mapping[str, int]) -> str:
        document = receipt_of(
            erasure_id=erasure.id,
            case_number=case_number,
            report_id=erasure.report_id,
            identity_id=erasure.identity_id,
            request=erasure.request,
            erased=erased,
            at=erasure.at,
        )
        return signed_json(document, self._signing.sign_in(session, canonical(document).encode()))


def _end_of(report: ReportRow) -> datetime:
    """When the report is over by itself, as it stands."""
    if report.state == "protecting" and report.ends_at is not None:
        return report.ends_at
    if report.state in ("refused", "closed") and report.decided_at is not None:
        return report.decided_at + timedelta(days=ANSWER_DAYS)
    return report.created_at + timedelta(days=MONTH_DAYS * report.months)


def _may_end(now: datetime) -> ColumnElement[bool]:
    """Which reports may be over, so that not all that stand are looked at."""
    answered = ReportRow.decided_at <= now - timedelta(days=ANSWER_DAYS)
    return or_(
        and_(ReportRow.state == "protecting", ReportRow.ends_at <= now),
        and_(ReportRow.state.in_(("refused", "closed")), answered),
        and_(ReportRow.state.in_(("received", "checking")), ReportRow.created_at <= now - timedelta(days=MONTH_DAYS)),
    )
