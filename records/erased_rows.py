"""PostgreSQL keeps a deleted row in its table's file until that place is used again: here such tables are written anew.

Keys are what matters, since all else of a person is sealed by them; accounts lie in the clear. SQLite needs none of
this: it overwrites what it deletes (database.py). What the server's own log (WAL) and copies of it keep is up to the
server: a deleted key there is dead once the master key that wrapped it is destroyed (keys/rotation.py).
"""

import logging
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from records.database import Database
from records.keys.wrapped import COLUMNS
from records.schema import NegativePairRow, OwnAccountRow

TABLES = (
    *(column.table.name for column in COLUMNS if column.erases),
    OwnAccountRow.__tablename__,
    NegativePairRow.__tablename__,
)
LOCK_SECONDS = 2
"""The table's readers wait for us meanwhile, and we for them no longer than this: 100,000 keys are written in 0.2 s."""

log = logging.getLogger(__name__)


class ErasedRows:
    """For one thread. May raise DatabaseAway."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: list[dict[str, int]] = []

    def sweep(self) -> int:
        """Writes anew the tables that rows have gone from since the last two times; how many."""
        if not self._database.postgresql:
            return 0
        gone = self._gone()
        # Twice after each change: the first time, a transaction from before it may still need the rows.
        due = [one for one in TABLES if any(seen.get(one, 0) != gone.get(one, 0) for seen in self._seen or [{}])]
        self._seen = [*self._seen[-1:], gone]
        return self.write_anew(due)

    def write_anew(self, tables: Sequence[str] = TABLES) -> int:
        """Writes these tables anew; one whose readers do not make way within LOCK_SECONDS is left for the next time."""
        if not self._database.postgresql:
            return 0
        done = 0
        with self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
            for table in tables:
                try:
                    connection.execute(text(f"VACUUM (FULL) {table}"))
                    done += 1
                except OperationalError:  # the lock was not to be had
                    log.warning("erased rows stay in a table's file until the next time", extra={"table": table})
            connection.execute(text("RESET lock_timeout"))
        return done

    def _gone(self) -> dict[str, int]:
        """By table, how many rows were ever deleted or changed, as far as the server has counted."""
        counted = text("SELECT relname, n_tup_del + n_tup_upd FROM pg_stat_user_tables")
        with self._database.read() as session:
            return {name: count for name, count in session.execute(counted) if name in TABLES}
