"""The rows of a person: those of an identity and those of a report, counted and deleted with their data keys."""

from collections import Counter

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from records.reports.schema_reports import LookBackRow, ReportKeyRow, ReportMessageRow, ReportPhotoRow, ReportRow
from records.schema import (
    Base,
    DecisionRow,
    EmbeddingRow,
    FingerprintRow,
    IdentityKeyRow,
    IdentityRow,
    NegativePairRow,
    OutboxEntry,
    OwnAccountRow,
    ReferencePhotoRow,
    ReferenceRow,
)

OF_IDENTITY: tuple[tuple[str, type[Base]], ...] = (
    ("identity_keys", IdentityKeyRow),
    ("references", ReferenceRow),
    ("own_accounts", OwnAccountRow),
    ("negative_pairs", NegativePairRow),
    ("decisions", DecisionRow),
    ("look_backs", LookBackRow),
)
OF_REFERENCES: tuple[tuple[str, type[Base]], ...] = (
    ("reference_photos", ReferencePhotoRow),
    ("embeddings", EmbeddingRow),
    ("fingerprints", FingerprintRow),
)
OF_REPORT: tuple[tuple[str, type[Base]], ...] = (
    ("report_keys", ReportKeyRow),
    ("report_photos", ReportPhotoRow),
    ("report_messages", ReportMessageRow),
)


def erase_identity(session: Session, identity_id: str) -> Counter[str]:
    """Deletes the identity with all that hangs on it, and what waits in the outbox to tell of it; counts by table.
    Within a transaction that holds the identity: whoever changes it puts that into the outbox."""
    references = select(ReferenceRow.id).where(ReferenceRow.identity_id == identity_id).scalar_subquery()
    counts: Counter[str] = Counter()
    for name, table in OF_REFERENCES:
        counts[name] = _count(session, table, table.__table__.c.reference_id.in_(references))
    for name, table in OF_IDENTITY:
        counts[name] = _count(session, table, table.__table__.c.identity_id == identity_id)
    session.execute(delete(OutboxEntry).where(OutboxEntry.key == identity_id))
    session.execute(delete(IdentityRow).where(IdentityRow.id == identity_id))
    return counts


def erase_report(session: Session, report: ReportRow) -> Counter[str]:
    """Deletes all that the report says of a person; counts by table. Its sessions end by themselves, so that the
    reporter can still read the receipt."""
    counts: Counter[str] = Counter()
    for name, table in OF_REPORT:
        of_report = table.__table__.c.report_id == report.id
        counts[name] = _count(session, table, of_report)
        session.execute(delete(table).where(of_report))
    counts["report_details"] = int(report.details is not None)
    report.details, report.identity_id, report.consent_contact = None, None, False
    return counts


def _count(session: Session, table: type[Base], which: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(which)) or 0
