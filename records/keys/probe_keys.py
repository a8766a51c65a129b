"""The keys of kept probes: one for each day (UTC), deleted when the day is past its retention.

What the topic avatar-probes holds of a day's faces is sealed with that day's key. Once it is deleted nobody can read
them, wherever copies of the topic lie.
"""

import logging
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Select, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from records.database import Database
from records.keys.keyring import DataKey, MasterKey
from records.reports.schema_reports import ProbeKeyRow

KEPT_LATELY = timedelta(hours=30)
"""A consumer that keeps faces makes a key each midnight: one that made none for so long keeps none any more."""
log = logging.getLogger(__name__)


def subject_of(day: date) -> str:
    """What the day's key is bound to, in place of an identity."""
    return f"probes_{day:%Y-%m-%d}"


class ProbeKeys:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch. days: for how long probes are kept
    after their day; 0: not at all."""

    def __init__(self, database: Database, master_key: MasterKey, days: int) -> None:
        self._database = database
        self._master_key = master_key
        self._days = days

    def make(self, day: date) -> DataKey:
        """The day's key, made if there is none; all processes get the same. Raises MasterKeyError."""
        new = DataKey.new(subject_of(day))
        row = {"day": day, "wrapped": new.wrap(self._master_key), "created_at": datetime.now(UTC)}
        insert_into = postgresql.insert if self._database.postgresql else sqlite.insert
        with self._database.write() as session:
            session.execute(insert_into(ProbeKeyRow).values(row).on_conflict_do_nothing())
            wrapped = session.scalars(select(ProbeKeyRow.wrapped).where(ProbeKeyRow.day == day)).one()
        return DataKey.unwrap(subject_of(day), wrapped, self._master_key)

    def all(self) -> dict[date, DataKey]:
        """The keys that there are, by day. Raises MasterKeyError."""
        return self._read(select(ProbeKeyRow.day, ProbeKeyRow.wrapped))

    def of(self, days: Collection[date]) -> dict[date, DataKey]:
        """Those of these days' keys that there are. Raises MasterKeyError."""
        return self._read(select(ProbeKeyRow.day, ProbeKeyRow.wrapped).where(ProbeKeyRow.day.in_(days)))

    def sweep(self, now: datetime) -> int:
        """Deletes the keys of days whose retention has passed, and so their probes; how many. `now`: aware.

        Where none are to be kept that is all, but not while a consumer makes them: a process that lacks the setting
        must not destroy what others keep."""
        first = now.astimezone(UTC).date() - timedelta(days=self._days)
        over = delete(ProbeKeyRow).where(ProbeKeyRow.day < first) if self._days else delete(ProbeKeyRow)
        with self._database.write() as session:
            newest = None if self._days else session.scalar(select(func.max(ProbeKeyRow.created_at)))
            if newest is not None and newest > now - KEPT_LATELY:
                log.warning(
                    "look_back.days is 0 here, and the last key of kept faces was made at %s: they stay until none was "
                    "made for %d hours. Give all processes the same look_back.days.",
                    f"{newest:%Y-%m-%d %H:%M} UTC",
                    KEPT_LATELY.total_seconds() // 3600,
                )
                return 0
            gone = len(session.scalars(over.returning(ProbeKeyRow.day)).all())
        if gone:
            self._database.empty_log()
        return gone

    def _read(self, wanted: Select[date, bytes]) -> dict[date, DataKey]:
        with self._database.read() as session:
            rows = session.execute(wanted).all()
        return {row.day: DataKey.unwrap(subject_of(row.day), row.wrapped, self._master_key) for row in rows}
