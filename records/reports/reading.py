"""What moderators and pages read of reports; what it holds of a person is opened only when it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from records.database import Database
from records.errors import ReportErased, UnknownReport
from records.keys.keyring import DataKey, MasterKey
from records.references import PictureHash, ReferencePhoto
from records.reports.contents import (
    Challenge,
    Details,
    Lane,
    ReportKind,
    open_challenge,
    open_details,
    open_hash,
    open_photo,
)
from records.reports.schema_reports import ReportKeyRow, ReportPhotoRow, ReportRow

ReportState = Literal["received", "checking", "protecting", "refused", "closed", "withdrawn", "expired"]
OPEN: tuple[ReportState, ...] = ("received", "checking")
OVER: tuple[ReportState, ...] = ("refused", "closed", "withdrawn", "expired")


@dataclass(frozen=True, slots=True)
class Report:
    """A report without what it holds of a person; see ReportRow for the fields."""

    id: str
    number: str
    kind: ReportKind
    lane: Lane
    state: ReportState
    source: str
    source_key: str | None
    identity_id: str | None
    language: str
    consent_text: str
    consented_at: datetime
    consent_contact: bool
    months: int
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None
    ends_at: datetime | None
    ended_at: datetime | None
    receipt: str | None


class ReportReading:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch; those that open something raise
    MasterKeyError when the master key is not the database's, and ReportErased where nothing is left to open."""

    def __init__(self, database: Database, master_key: MasterKey) -> None:
        self._database = database
        self._master_key = master_key

    def get(self, report_id: str) -> Report:
        """Raises UnknownReport."""
        with self._database.read() as session:
            row = session.get(ReportRow, report_id)
            if row is None:
                raise unknown_report(report_id)
            return report_of(row)

    def of_identity(self, identity_id: str) -> Report | None:
        """The report that the identity was made from."""
        with self._database.read() as session:
            row = session.scalar(select(ReportRow).where(ReportRow.identity_id == identity_id))
            return None if row is None else report_of(row)

    def of_sources(self, sources: Sequence[str], source_key: str) -> Sequence[Report]:
        """Of these sources the reports that have the id there."""
        wanted = select(ReportRow).where(ReportRow.source.in_(sources), ReportRow.source_key == source_key)
        with self._database.read() as session:
            return [report_of(row) for row in session.scalars(wanted)]

    def list(self, lanes: Sequence[Lane], states: Sequence[ReportState], limit: int = 100) -> Sequence[Report]:
        """Oldest first."""
        wanted = (
            select(ReportRow)
            .where(ReportRow.lane.in_(lanes), ReportRow.state.in_(states))
            .order_by(ReportRow.created_at, ReportRow.id)
            .limit(limit)
        )
        with self._database.read() as session:
            return [report_of(row) for row in session.scalars(wanted)]

    def count(self, states: Sequence[ReportState]) -> dict[str, int]:
        """How many there are in these states, by lane."""
        counted = select(ReportRow.lane, func.count()).where(ReportRow.state.in_(states)).group_by(ReportRow.lane)
        with self._database.read() as session:
            return {row[0]: row[1] for row in session.execute(counted)}

    def details(self, report_id: str) -> Details:
        with self._database.read() as session:
            sealed = session.scalar(select(ReportRow.details).where(ReportRow.id == report_id))
            if sealed is None:
                raise _erased(report_id)
            return open_details(key_of(session, report_id, self._master_key), sealed)

    def photo_ids(self, report_id: str, role: Literal["face", "challenge"]) -> Sequence[str]:
        """In the order in which they were sent."""
        wanted = select(ReportPhotoRow.id).where(ReportPhotoRow.report_id == report_id, ReportPhotoRow.role == role)
        with self._database.read() as session:
            return list(session.scalars(wanted.order_by(ReportPhotoRow.id)))

    def photo(self, report_id: str, photo_id: str) -> ReferencePhoto | PictureHash:
        """One with the role `face`."""
        with self._database.read() as session:
            row = _photo_row(session, report_id, photo_id, "face")
            key = key_of(session, report_id, self._master_key)
            if row.photo is None:
                return open_hash(key, photo_id, row.facts)
            return open_photo(key, photo_id, row.photo, row.facts)

    def challenge(self, report_id: str, photo_id: str) -> Challenge:
        with self._database.read() as session:
            row = _photo_row(session, report_id, photo_id, "challenge")
            if row.photo is None:
                raise _erased(report_id)
            return open_challenge(key_of(session, report_id, self._master_key), photo_id, row.photo, row.facts)


def report_of(row: ReportRow) -> Report:
    """The row as others may keep it when its transaction is over."""
    return Report(**{name: getattr(row, name) for name in Report.__dataclass_fields__})


def key_of(session: Session, report_id: str, master_key: MasterKey) -> DataKey:
    """The report's data key. Raises ReportErased, MasterKeyError."""
    wrapped = session.scalar(select(ReportKeyRow.wrapped).where(ReportKeyRow.report_id == report_id))
    if wrapped is None:
        raise _erased(report_id)
    return DataKey.unwrap(report_id, wrapped, master_key)


def unknown_report(report_id: str) -> UnknownReport:
    return UnknownReport(f"There is no report {report_id}.")


def _photo_row(session: Session, report_id: str, photo_id: str, role: str) -> ReportPhotoRow:
    row = session.get(ReportPhotoRow, photo_id)
    if row is None or row.report_id != report_id or row.role != role:
        raise _erased(report_id)
    return row


def _erased(report_id: str) -> ReportErased:
    return ReportErased(f"What {report_id} held of a person has been erased.")
