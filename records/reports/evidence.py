"""What an evidence file tells of a report: the confirmed cases about the person, with pictures while they are kept.

Only what moderators confirmed for good goes out: a stranger who merely looks alike is nobody's evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from records.casework.case_history import DecisionMade, of_case
from records.casework.cases import Case, CaseRecords
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database
from records.errors import ReportRefused, UnknownIdentity, UnknownReference
from records.gallery import GalleryRecords
from records.reports.reading import Report, ReportReading

MOST_CASES = 100
"""In one file, the newest."""


@dataclass(frozen=True, slots=True)
class EvidenceCase:
    """A confirmed case. decisions: oldest first, those that were taken back left out; avatar, reference: JPEG, None
    where they are not kept any more; reference_id: of the photo that the avatar was found by."""

    case: Case
    decisions: Sequence[DecisionMade]
    avatar: bytes | None
    reference_id: str | None
    reference: bytes | None

    @property
    def confirmed_at(self) -> datetime:
        return self.decisions[-1].decided_at


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that goes into a file. cases: oldest first; left_out: older ones that there was no room for."""

    report: Report
    protected_since: datetime
    cases: Sequence[EvidenceCase]
    left_out: int


class EvidenceRecords:
    """`gather` may raise DatabaseAway, SchemaMismatch, MasterKeyError and SealBroken."""

    def __init__(self, database: Database, reading: ReportReading, cases: CaseRecords, gallery: GalleryRecords) -> None:
        self._database = database
        self._reading = reading
        self._cases = cases
        self._gallery = gallery

    def gather(self, report_id: str, now: datetime) -> Evidence:
        """Raises UnknownReport, and ReportRefused (nothing_confirmed) where there is nothing to tell."""
        report = self._reading.get(report_id)
        nothing = ReportRefused("nothing_confirmed", "No case about this report has been confirmed.")
        if report.identity_id is None:
            raise nothing
        try:
            protected_since = self._gallery.show(report.identity_id).created_at
        except UnknownIdentity:  # withdrawn a moment ago
            raise nothing from None
        confirmed = self._confirmed(report.identity_id, now)
        if not confirmed:
            raise nothing
        some = confirmed[-MOST_CASES:]
        cases = [self._case(case_id, decisions, report.identity_id) for case_id, decisions in some]
        return Evidence(report, protected_since, cases, len(confirmed) - len(some))

    def _confirmed(self, identity_id: str, now: datetime) -> list[tuple[str, Sequence[DecisionMade]]]:
        """The cases whose last word is that they show the person, oldest first, with what was decided on them."""
        told = (
            select(CaseRow.id)
            .join(CaseDecisionRow, CaseDecisionRow.case_id == CaseRow.id)
            .where(
                CaseDecisionRow.identity_id == identity_id,
                CaseDecisionRow.decision == "confirmed",
                CaseDecisionRow.state == "final",
                CaseRow.state == "closed",
                CaseRow.golden_id.is_(None),
            )
            .order_by(CaseRow.opened_at, CaseRow.id)
            .distinct()
            .add_columns(CaseRow.opened_at)
        )
        found: list[tuple[str, Sequence[DecisionMade]]] = []
        with self._database.read() as session:
            for row in session.execute(told):
                decisions = [one for one in of_case(session, row.id, now) if one.state != "undone"]
                last = next((one for one in reversed(decisions) if one.state == "final"), None)
                if last is not None and (last.decision, last.identity_id) == ("confirmed", identity_id):
                    found.append((row.id, decisions))
        return found

    def _case(self, case_id: str, decisions: Sequence[DecisionMade], identity_id: str) -> EvidenceCase:
        case = self._cases.get(case_id)
        picture = self._cases.picture(case_id)
        findings = [one for one in case.evidence.get("findings", []) if one.get("identity_id") == identity_id]
        reference_id = next((str(one["reference_id"]) for one in findings if one.get("reference_id")), None)
        try:
            reference = self._gallery.reference_photo(reference_id) if reference_id else None
        except UnknownReference:
            reference = None
        return EvidenceCase(case, decisions, picture.jpeg if picture else None, reference_id, reference)
