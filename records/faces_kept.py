"""How many people's faces are kept, and where: duties of law hang on it, and likeness/privacy_sheet.py tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from records.casework.schema_cases import CasePictureRow, CaseRow
from records.database import Database
from records.keys.wrapped import COLUMNS
from records.people.schema_people import ModeratorRow
from records.reports.schema_reports import ErasureRow, ProbeKeyRow, ReportPhotoRow, ReportRow
from records.schema import EmbeddingRow, IdentityRow, ReferenceRow

FILING_AT = 100_000
"""From so many people's faces on, whoever keeps them in China must file with the cyberspace administration of the
province within 30 working days: article 15 of the Measures for the Security Management of the Application of Facial
Recognition Technology, in force since 1 June 2025."""
FILING_SOON = 0.8
"""The share of FILING_AT from which on we warn."""


@dataclass(frozen=True, slots=True)
class People:
    """People with a face here. gallery: identities with an embedding; reports: with photos, not in the gallery yet;
    cases: accounts whose avatar is kept with a case. Faces on the topic avatar-probes are not among them."""

    gallery: int
    reports: int
    cases: int

    @property
    def total(self) -> int:
        """At most so many people: one may be in two places."""
        return self.gallery + self.reports + self.cases


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is kept, counted. probe_days: for which days, the first and the last, faces of all avatars can be opened;
    consents: reports whose consent is in force; keys_since: of each table of keys the oldest, where there is one."""

    people: People
    identities: Mapping[str, int]
    references: int
    case_pictures: int
    reports: Mapping[str, int]
    consents: int
    next_end: datetime | None
    probe_days: tuple[date, date] | None
    erasures: Mapping[str, int]
    people_with_access: Mapping[str, int]
    keys_since: Mapping[str, datetime]


def people_with_faces(database: Database) -> People:
    """Raises DatabaseAway, SchemaMismatch."""
    with database.read() as session:
        return _people(session)


def inventory(database: Database) -> Inventory:
    """All of one moment. Raises DatabaseAway, SchemaMismatch."""
    protecting = select(func.count(), func.min(ReportRow.ends_at)).where(ReportRow.state == "protecting")
    with database.read() as session:
        consents, next_end = session.execute(protecting).one()
        first, last = session.execute(select(func.min(ProbeKeyRow.day), func.max(ProbeKeyRow.day))).one()
        access = select(ModeratorRow.role, func.count()).where(ModeratorRow.disabled_at.is_(None))
        since = {
            column.table.name: session.scalar(select(func.min(column.table.c.created_at)))
            for column in COLUMNS
            if column.table != ModeratorRow.__table__
        }
        return Inventory(
            people=_people(session),
            identities=_counted(session, select(IdentityRow.kind, func.count()).group_by(IdentityRow.kind)),
            references=session.scalars(select(func.count()).select_from(ReferenceRow)).one(),
            case_pictures=session.scalars(select(func.count()).select_from(CasePictureRow)).one(),
            reports=_counted(session, select(ReportRow.state, func.count()).group_by(ReportRow.state)),
            consents=consents,
            next_end=next_end,
            probe_days=None if first is None else (first, last),
            erasures=_counted(session, select(ErasureRow.request, func.count()).group_by(ErasureRow.request)),
            people_with_access=_counted(session, access.group_by(ModeratorRow.role)),
            keys_since={table: moment for table, moment in since.items() if moment is not None},
        )


def _people(session: Session) -> People:
    embedded = select(func.count(ReferenceRow.identity_id.distinct())).join(
        EmbeddingRow, EmbeddingRow.reference_id == ReferenceRow.id
    )
    reported = (
        select(func.count(ReportPhotoRow.report_id.distinct()))
        .join(ReportRow, ReportRow.id == ReportPhotoRow.report_id)
        .where(ReportRow.identity_id.is_(None), ReportPhotoRow.photo.is_not(None))
    )
    pictured = select(func.count(CaseRow.account_id.distinct())).join(
        CasePictureRow, CasePictureRow.case_id == CaseRow.id
    )
    return People(*(session.scalars(counting).one() for counting in (embedded, reported, pictured)))


def _counted(session: Session, counting: Select[str, int]) -> dict[str, int]:
    return {row[0]: row[1] for row in session.execute(counting.order_by(counting.selected_columns[0]))}
