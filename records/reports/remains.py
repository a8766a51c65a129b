"""Whether anything of an erased person is left in the database, looked for in every table and not only where the
erasure looked: wherever one of their ids stands, and in what hangs on it.

Ids may stay where they name nobody any more: in the audit log, in what was decided on others' accounts, in the erasure
itself. Everything else that bears one is a finding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, String, Table, Text, func, or_, select
from sqlalchemy.orm import Session

from records.casework.appeals import UNDER_APPEAL
from records.casework.schema_around_cases import AppealRow
from records.casework.schema_cases import CaseCommentRow, CaseDecisionRow, CasePictureRow, CaseRow
from records.database import Database
from records.errors import UnknownErasure
from records.keys.signing import SignatureWrong, SigningKeys, verify_json
from records.reports.erased_cases import ANSWERED
from records.reports.erasures import Erased, erased_of
from records.reports.intake import canonical_number
from records.reports.platform_intake import TOPIC
from records.reports.schema_reports import ErasureRow, ReportKeyRow, ReportRow
from records.schema import Base, IdentityKeyRow, OutboxEntry

MAY_STAY: Mapping[str, str] = {
    "audit_log": "who did what, by ids, without anything of the person",
    "cases": "which account was looked at, without a picture; the id names nobody any more",
    "case_decisions": "what was decided on an account",
    "decisions_to_send": "a decision that is on its way to the platform",
    "decision_batches": "numbers of messages",
    "erasures": "that they were erased",
    "reports": "the case number, its state and the receipt",
    "report_sessions": "a browser that gave case number and PIN, and may still read the receipt",
    "outbox": "the tombstone, which is not published yet",
}
"""By table, why an id may stand there."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at. `left`: how much of the person is there, 0 where nothing is; `says`: what that is,
    or what is there instead, in a sentence without a full stop."""

    where: str
    left: int
    says: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Who was erased: the erasure, and the case number and receipt of the report, where there was one. platform_id: the
    platform's id of the report, if it came by the topic victim-reports."""

    erased: Erased
    number: str | None
    receipt: str | None
    platform_id: str | None


class Remains:
    """Every method may raise DatabaseAway or SchemaMismatch."""

    def __init__(self, database: Database, signing: SigningKeys) -> None:
        self._database = database
        self._signing = signing

    def find(self, asked: str) -> Subject:
        """By case number, id of the report or of the identity. Raises UnknownErasure."""
        asked = asked.strip()
        with self._database.read() as session:
            numbered = or_(ReportRow.number == canonical_number(asked), ReportRow.id == asked)
            report = session.scalar(select(ReportRow).where(numbered))
            ids = or_(ErasureRow.identity_id == asked, ErasureRow.report_id == (report.id if report else asked))
            row = session.scalars(select(ErasureRow).where(ids).order_by(ErasureRow.at.desc()).limit(1)).one_or_none()
            if row is None:
                known = "was not erased" if report is not None else "is unknown here"
                raise UnknownErasure(f"{asked} {known}: give a case number, or the id of a report or of an identity.")
            if report is None and row.report_id is not None:
                report = session.get(ReportRow, row.report_id)
            if report is None:
                return Subject(erased_of(row), None, None, None)
            platform_id = report.source_key if report.source == TOPIC else None
            return Subject(erased_of(row), report.number, report.receipt, platform_id)

    def checks(self, subject: Subject) -> Sequence[Check]:
        """What there is in the database, worst first within each kind."""
        erased = subject.erased
        with self._database.read() as session:
            found = [*_keys(session, erased), *_of_report(session, erased), *_of_cases(session, erased)]
            named = (erased.identity_id, erased.report_id, subject.number)
            found += [check for one in named if one for check in _named(session, one)]
        return [*found, self._receipt(subject)]

    def _receipt(self, subject: Subject) -> Check:
        erased = subject.erased
        if erased.report_id is None:
            return Check("receipt", 0, "none is given for an identity that was not made from a report")
        if subject.receipt is None:
            return Check("receipt", 1, "it is missing")
        try:
            said = verify_json(subject.receipt, self._signing.public_keys())
        except SignatureWrong as wrong:
            return Check("receipt", 1, f"it is not valid: {wrong}")
        same = said.get("erasure_id") == erased.id and said.get("report_id") == erased.report_id
        return Check("receipt", 0 if same else 1, "signed by us, of this erasure" if same else "it is of another one")


def _keys(session: Session, erased: Erased) -> Sequence[Check]:
    identity = _count(session, IdentityKeyRow.__table__, IdentityKeyRow.identity_id == erased.identity_id)
    report = _count(session, ReportKeyRow.__table__, ReportKeyRow.report_id == erased.report_id)
    says = "{}: whatever it sealed, wherever copies lie"
    return [
        Check("data key of the identity", identity, says.format("is there and opens" if identity else "destroyed")),
        Check("data key of the report", report, says.format("is there and opens" if report else "destroyed")),
    ]


def _of_report(session: Session, erased: Erased) -> Sequence[Check]:
    sealed = (ReportRow.id == erased.report_id) & ReportRow.details.is_not(None)
    left = _count(session, ReportRow.__table__, sealed)
    return [Check("reports.details", left, "contact, links, accounts and words" if left else "empty")]


def _of_cases(session: Session, erased: Erased) -> Sequence[Check]:
    about = select(CaseRow.id).where(CaseRow.identity_id == erased.identity_id)
    over = about.where(~UNDER_APPEAL)
    pictures = _count(session, CasePictureRow.__table__, CasePictureRow.case_id.in_(about))
    comments = _count(session, CaseCommentRow.__table__, CaseCommentRow.case_id.in_(over))
    noted = CaseDecisionRow.case_id.in_(over) & CaseDecisionRow.note.is_not(None)
    notes = _count(session, CaseDecisionRow.__table__, noted)
    said = AppealRow.case_id.in_(about) & ANSWERED & (AppealRow.text != "")
    appeals = _count(session, AppealRow.__table__, said)
    called = (CaseRow.identity_id == erased.identity_id) & ~UNDER_APPEAL
    called &= CaseRow.handle.is_not(None) | CaseRow.display_name.is_not(None)
    names = _count(session, CaseRow.__table__, called)
    waiting = _count(
        session,
        CaseRow.__table__,
        (CaseRow.identity_id == erased.identity_id) & (CaseRow.state == "open") & ~UNDER_APPEAL,
    )
    return [
        Check("pictures of cases", pictures, "avatars that show them" if pictures else "none is left"),
        Check("comments and notes on cases", comments + notes, "of moderators" if comments + notes else "none is left"),
        Check("appeals", appeals, "texts of account holders" if appeals else "no text of an answered one is left"),
        Check("handles and display names", names, "of accounts" if names else "none is left"),
        Check("open cases", waiting, "wait for a moderator" if waiting else "none is left"),
    ]


def _named(session: Session, identifier: str) -> Sequence[Check]:
    """Every table in which the id stands."""
    found = []
    for table in Base.metadata.sorted_tables:
        texts = [column for column in table.columns if isinstance(column.type, (String, Text))]
        if not texts:
            continue
        count = _count(session, table, or_(*(column.contains(identifier, autoescape=True) for column in texts)))
        if table.name == "outbox" and count:
            told = OutboxEntry.value.contains(identifier, autoescape=True)
            if telling := _count(session, table, told):
                found.append(Check("outbox", telling, "changes of it wait to be published"))
                continue
        if count:
            why = MAY_STAY.get(table.name)
            where = f"{table.name}: {identifier[:12]}…"
            found.append(Check(where, 0, f"{count} × {why}") if why else Check(where, count, "rows bear the id"))
    return found


def _count(session: Session, table: object, which: ColumnElement[bool]) -> int:
    assert isinstance(table, Table)
    return session.scalar(select(func.count()).select_from(table).where(which)) or 0
