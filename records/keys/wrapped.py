"""All that the master key wraps, column by column: what a rotation goes through, and what copies of the keys hold."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.orm import InstrumentedAttribute

from records.casework.schema_cases import CasePictureKeyRow
from records.database import Database
from records.keys.keyring import MasterKey
from records.keys.probe_keys import subject_of
from records.people.schema_people import ModeratorRow
from records.people.second_factor import PURPOSE
from records.reports.schema_reports import ProbeKeyRow, ReportKeyRow, SealingKeyRow, SigningKeyRow
from records.schema import IdentityKeyRow, VectorKeyRow

DATA_KEY = "data-key"


@dataclass(frozen=True, slots=True)
class WrappedColumn:
    """A column whose bytes MasterKey.seal gave. id: the row's; subject: whom the bytes are bound to, of the id; erases:
    the row is nothing but a key, and its deletion the erasure of what the key sealed."""

    wrapped: InstrumentedAttribute[Any]
    id: InstrumentedAttribute[Any]
    subject: Callable[[Any], str] = str
    purpose: str = DATA_KEY
    erases: bool = True

    @property
    def table(self) -> Table:
        table: Table = self.wrapped.class_.__table__
        return table

    def batches(self, database: Database, size: int) -> Iterator[Sequence[tuple[Any, bytes]]]:
        """Ids and wrapped bytes of all rows in the order of their ids, each batch read in a transaction of its own."""
        last = None
        while True:
            wanted = select(self.id, self.wrapped).where(self.wrapped.is_not(None)).order_by(self.id).limit(size)
            if last is not None:
                wanted = wanted.where(self.id > last)
            with database.read() as session:
                batch = [(row[0], row[1]) for row in session.execute(wanted)]
            if not batch:
                return
            yield batch
            last = batch[-1][0]

    def count(self, database: Database) -> int:
        with database.read() as session:
            return session.scalars(select(func.count()).where(self.wrapped.is_not(None))).one()


COLUMNS = (
    WrappedColumn(IdentityKeyRow.wrapped, IdentityKeyRow.identity_id),
    WrappedColumn(ReportKeyRow.wrapped, ReportKeyRow.report_id),
    WrappedColumn(CasePictureKeyRow.wrapped, CasePictureKeyRow.case_id),
    WrappedColumn(ProbeKeyRow.wrapped, ProbeKeyRow.day, subject_of),
    WrappedColumn(SigningKeyRow.wrapped, SigningKeyRow.id, erases=False),
    WrappedColumn(SealingKeyRow.wrapped, SealingKeyRow.id, erases=False),
    WrappedColumn(VectorKeyRow.wrapped, VectorKeyRow.id, erases=False),
    WrappedColumn(ModeratorRow.totp_sealed, ModeratorRow.id, purpose=PURPOSE, erases=False),
)


def is_of(master_key: MasterKey, database: Database) -> bool:
    """Whether the master key opens what the database has had for longest: an identity's key, or else a report's, a
    case's, a day's. False where there is none, so that a key which is merely the wrong one is never taken for right.

    The oldest, since a process that was started with a wrong master key has wrapped new ones by it."""
    for column in COLUMNS:
        if column.erases:
            oldest = select(column.id, column.wrapped).order_by(column.table.c.created_at, column.id).limit(1)
            with database.read() as session:
                row = session.execute(oldest).one_or_none()
            if row is not None:
                return master_key.opener(column.subject(row[0]), row[1], column.purpose) is not None
    return False
