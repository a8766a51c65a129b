"""The keys of kept probes: one for each day (UTC), deleted when the day is past its retention.

What the topic avatar-probes holds of a day's faces is sealed with that day's key. Once it is deleted nobody can read
them, wherever copies of the topic lie.
"""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from records.database import Database
from records.keys.keyring import DataKey, MasterKey
from records.reports.schema_reports import ProbeKeyRow


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
        with self._database.read() as session:
            rows = session.execute(select(ProbeKeyRow.day, ProbeKeyRow.wrapped)).all()
        return {row.day: DataKey.unwrap(subject_of(row.day), row.wrapped, self._master_key) for row in rows}

    def sweep(self, now: datetime) -> int:
        """Deletes the keys of days whose retention has passed, and so their probes; how many. `now`: aware."""
        first = now.astimezone(UTC).date() - timedelta(days=self._days)
        over = delete(ProbeKeyRow).where(ProbeKeyRow.day < first) if self._days else delete(ProbeKeyRow)
        with self._database.write() as session:
            gone = len(session.scalars(over.returning(ProbeKeyRow.day)).all())
        if gone:
            self._database.empty_log()
        return gone
