"""The record of processing: who was shown what of a person, when, and what for (GDPR, article 5 (2); PIPL, article 55).

Every such reading is in the audit log under what it was for: a case, a report, or the identity itself when the gallery
was curated. Screening compares every upload with the gallery, and shows nobody anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from records.audit import AuditEntry, AuditFilter, AuditLog
from records.casework.schema_cases import CaseRow
from records.reports.intake import canonical_number
from records.reports.schema_reports import ErasureRow, ReportRow

ALL = 1_000_000_000
READINGS: Mapping[str, str] = {
    "face_viewed": "was shown a picture",
    "picture_revealed": "showed the pictures without blur",
    "report_viewed": "opened the report",
    "evidence_released": "released an evidence file",
    "export": "exported",
    "look_back": "had avatars of the past searched",
}
PICTURES = {
    "reference": "was shown a photo of the person",
    "avatar": "was shown the avatar under suspicion",
    "photo": "was shown a photo that was sent",
    "challenge": "was shown the challenge photo",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """entry: its number in the audit log; who: an actor of it; purpose: what the reading was for."""

    entry: int
    at: datetime
    who: str
    what: str
    purpose: str


def readings(audit: AuditLog, whom: str) -> list[Reading]:
    """The newest first. whom: the id of an identity or a report, or a case number; also of somebody who was erased.
    Raises DatabaseAway, SchemaMismatch."""
    with audit.database.read() as session:
        purposes = _purposes(session, whom)
    found = [
        Reading(entry.number, entry.at, entry.actor, _what(entry), purpose)
        for subject, purpose in purposes.items()
        for entry in audit.find(AuditFilter(subject), limit=ALL)
        if entry.action in READINGS
    ]
    return sorted(found, key=lambda one: one.entry, reverse=True)


def _purposes(session: Session, whom: str) -> dict[str, str]:
    """What entries about the person stand under, and what each is for."""
    number = canonical_number(whom)
    report = or_(ReportRow.id == whom, ReportRow.number == number, ReportRow.identity_id == whom)
    erased = select(ErasureRow.report_id, ErasureRow.identity_id)
    reports = {
        row.id: row.identity_id for row in session.execute(select(ReportRow.id, ReportRow.identity_id).where(report))
    }
    of_them = or_(ErasureRow.report_id.in_([whom, *reports]), ErasureRow.identity_id == whom)
    for report_id, identity_id in session.execute(erased.where(of_them)):
        if report_id is not None:
            reports[report_id] = identity_id
    identities = {whom, *reports.values()} - {None}
    cases = session.scalars(select(CaseRow.id).where(CaseRow.identity_id.in_(identities)))
    return (
        {f"{identity_id}": "care of the gallery" for identity_id in identities}
        | {report_id: f"check of report {report_id}" for report_id in reports}
        | {case_id: f"review of case {case_id}" for case_id in cases}
    )


def _what(entry: AuditEntry) -> str:
    return PICTURES.get(str(entry.details.get("picture")), READINGS[entry.action])
