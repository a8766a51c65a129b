"""Copies of the wrapped keys, apart from the data: they open an older copy of the data, but for what was erased since.

A copy of the database has the keys of its day within it. So of the keys only the newest copy is kept, and a database
that is put back takes its keys from there: what that copy lacks was erased.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.orm import Session

from records.database import Database
from records.errors import KeyCopyUnreadable
from records.keys.wrapped import COLUMNS, WrappedColumn
from records.reports.schema_reports import ErasureRow, ReportKeyRow, ReportRow
from records.schema import IdentityKeyRow, IdentityRow

FORMAT = "likeness-keys-1"
READ = 500
UNDER_WAY = timedelta(minutes=1)
"""What was begun so shortly before a copy of the keys may have been written after it."""
KEYS = tuple(column for column in COLUMNS if column.erases)
_MADE_AT = "created_at"


@dataclass(frozen=True, slots=True)
class PutBack:
    """made_at: of the copy; put: keys that are the copy's now; dropped: keys that the copy lacks; identities, reports:
    those that are there without a key now, so that nothing of them opens any more."""

    made_at: datetime
    put: int
    dropped: int
    identities: tuple[str, ...]
    reports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Copied:
    wrapped: bytes
    created_at: datetime


def copy_keys(database: Database, now: datetime) -> Iterator[str]:
    """The wrapped keys as lines of JSON; the last one tells that all are there. Raises DatabaseAway, SchemaMismatch."""
    yield json.dumps({"format": FORMAT, "made_at": now.astimezone(UTC).isoformat()})
    lines = 0
    with database.read() as session:
        for column in KEYS:
            wanted = select(column.id, column.wrapped, column.table.c[_MADE_AT]).order_by(column.id)
            for row_id, wrapped, made_at in session.execute(wanted.execution_options(yield_per=READ)):
                lines += 1
                yield json.dumps(
                    [column.table.name, str(row_id), base64.b64encode(wrapped).decode(), made_at.isoformat()]
                )
    yield json.dumps({"keys": lines})


def put_back(database: Database, lines: Iterable[str]) -> PutBack:
    """Makes the copy's keys those of the database, in one transaction. A key that the copy lacks goes, unless it was
    made after the copy or about then; one whose owner is not there, or was erased here, stays away.

    Raises KeyCopyUnreadable, DatabaseAway, SchemaMismatch.
    """
    made_at, copied = _read(lines)
    put = dropped = 0
    with database.write() as session:
        for column in KEYS:
            mine = copied[column.table.name]
            dropped += _drop(session, column, mine, made_at)
            put += _put(session, column, mine)
        keyed = select(IdentityKeyRow.identity_id)
        identities = tuple(session.scalars(select(IdentityRow.id).where(IdentityRow.id.not_in(keyed))))
        lost = ReportRow.id.not_in(select(ReportKeyRow.report_id)), ReportRow.receipt.is_(None)
        reports = tuple(session.scalars(select(ReportRow.id).where(*lost)))
    database.empty_log()
    return PutBack(made_at, put, dropped, identities, reports)


def _drop(session: Session, column: WrappedColumn, mine: dict[Any, _Copied], made_at: datetime) -> int:
    before = select(column.id).where(column.table.c[_MADE_AT] <= made_at - UNDER_WAY)
    gone = [row_id for row_id in session.scalars(before) if row_id not in mine]
    for start in range(0, len(gone), READ):
        session.execute(delete(column.table).where(column.id.in_(gone[start : start + READ])))
    return len(gone)


def _put(session: Session, column: WrappedColumn, mine: dict[Any, _Copied]) -> int:
    there = set(session.scalars(select(column.id)))
    fit = _owners(session, column, mine)
    put = 0
    for row_id, key in mine.items():
        if row_id in there:
            session.execute(update(column.table).where(column.id == row_id).values(wrapped=key.wrapped))
        elif row_id in fit:
            row = {column.id.name: row_id, "wrapped": key.wrapped, _MADE_AT: key.created_at}
            session.execute(insert(column.table).values(row))
        else:
            continue
        put += 1
    return put


def _owners(session: Session, column: WrappedColumn, mine: dict[Any, _Copied]) -> set[Any]:
    """Whose keys may be put back: those that there are, and of whom no erasure is noted here."""
    references = column.table.c[column.id.name].foreign_keys
    if not references:
        return set(mine)
    (reference,) = references
    owners = set(session.scalars(select(reference.column)))
    noted = session.execute(
        select(ErasureRow.identity_id, ErasureRow.report_id).where(
            or_(ErasureRow.identity_id.is_not(None), ErasureRow.report_id.is_not(None))
        )
    )
    return owners - {erased for row in noted for erased in row}


def _read(lines: Iterable[str]) -> tuple[datetime, dict[str, dict[Any, _Copied]]]:
    copied: dict[str, dict[Any, _Copied]] = {column.table.name: {} for column in KEYS}
    dated = {column.table.name for column in KEYS if column.id.type.python_type is date}
    try:
        head, *keys, end = (json.loads(line) for line in lines)
        if head["format"] != FORMAT or end["keys"] != len(keys):
            raise ValueError
        for table, row_id, wrapped, made_at in keys:
            key = _Copied(base64.b64decode(wrapped, validate=True), datetime.fromisoformat(made_at))
            copied[table][date.fromisoformat(row_id) if table in dated else row_id] = key
        return datetime.fromisoformat(head["made_at"]), copied
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        raise KeyCopyUnreadable("The file is no whole copy of keys, as `likeness keys copy` makes it.") from None
