"""The database: opening it by URL, bringing its tables up to date, and the transactions everything else runs in."""

import fcntl
import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from records.errors import DatabaseAway, SchemaMismatch

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 7_301_100_001  # PostgreSQL advisory locks are numbers; these are ours
SOLE_LOCKS = {
    "relay": 7_301_100_002,
    "decisions": 7_301_100_003,
    "coop": 7_301_100_004,
    "mail": 7_301_100_006,
    "look_back": 7_301_100_007,
    "vectors": 7_301_100_008,
    "probe_vectors": 7_301_100_009,
}
BUSY_SECONDS = 30
CONNECT_SECONDS = 10
CONNECTIONS = 50
"""As many as the console has threads: 40 for pages, and those behind them."""
KEPT_CONNECTIONS = 10
"""Of these, as many stay open while nobody needs them."""
FREE_SECONDS = 5
"""How long one waits for a free connection."""
POOL: dict[str, Any] = {
    "pool_size": KEPT_CONNECTIONS,
    "max_overflow": CONNECTIONS - KEPT_CONNECTIONS,
    "pool_timeout": FREE_SECONDS,
}
POSTGRESQL_OPTIONS = {
    "connect_timeout": CONNECT_SECONDS,
    # a server that is cut off is noticed: at once by what is sent to it, else within a minute
    "tcp_user_timeout": 1000 * CONNECT_SECONDS,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

log = logging.getLogger(__name__)


class Database:
    """Transactions on one database. Made by `open_database`; connects at first use; safe to share among threads."""

    def __init__(self, url: URL, engine: Engine) -> None:
        self.engine = engine
        self.name = url.render_as_string(hide_password=True)
        self.postgresql = url.get_backend_name() == "postgresql"
        self._path = Path(url.database or "")
        self._moment = threading.local()
        self._reading: Engine
        self._writing: Engine
        if self.postgresql:
            self._reading = engine.execution_options(isolation_level="REPEATABLE READ")
            self._writing = engine
        else:
            self._reading = engine
            self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")

    def read(self) -> AbstractContextManager[Session]:
        """A transaction that sees one moment of the database; within `one_moment`, that one. Raises DatabaseAway or
        SchemaMismatch."""
        session: Session | None = getattr(self._moment, "session", None)
        return self._transaction(self._reading) if session is None else self._joined(session)

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """What the thread reads in the block, it reads in one transaction: one moment, and no transaction for each
        reading. What is written meanwhile is not seen. Raises DatabaseAway or SchemaMismatch."""
        before = getattr(self._moment, "session", None)
        with self.read() as session:
            self._moment.session = session
            try:
                yield
            finally:
                self._moment.session = before

    def write(self) -> AbstractContextManager[Session]:
        """A transaction that commits at its end, or leaves nothing behind. Raises DatabaseAway or SchemaMismatch."""
        return self._transaction(self._writing)

    @contextmanager
    def sole(self, task: str) -> Iterator[bool]:
        """Whether we alone hold `task` (a key of SOLE_LOCKS) until the block ends; a holder that dies lets it go."""
        if self.postgresql:
            with self._transaction(self.engine) as session:
                yield bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": SOLE_LOCKS[task]}))
            return
        with self._path.with_name(f"{self._path.name}.{task}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def migrate(self) -> None:
        """Brings the tables to the newest revision; of several processes one works and the others wait for it.

        Raises DatabaseAway, or SchemaMismatch when the database is newer than this version of Likeness, or the account
        may not change its tables.
        """
        with self.write() as session:
            connection = session.connection()
            if self.postgresql:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            if self._revision(connection) != _newest():
                try:
                    command.upgrade(_alembic(connection), "head")
                except ProgrammingError as error:
                    if not isinstance(error.orig, InsufficientPrivilege):
                        raise
                    raise SchemaMismatch(
                        f"The tables of the database {self.name} are not those of this version, and this account may "
                        "not change them: run `likeness migrate` as their owner."
                    ) from error

    def check(self) -> None:
        """Raises DatabaseAway when the database does not answer, SchemaMismatch when `migrate` is due."""
        with self.read() as session:
            revision = self._revision(session.connection())
        if revision != _newest():
            raise SchemaMismatch(
                f"The database {self.name} is at revision {revision or 'none'} and needs {_newest()}; migrate it first."
            )

    def empty_log(self) -> None:
        """Empties SQLite's write-ahead log into the database, so that what was erased does not linger there.

        PostgreSQL keeps its own log: how long is a setting of the server.
        """
        if self.postgresql:
            return
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout = 1000")  # a long reader must not hold up the writers behind us
            (busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
            if busy:
                log.warning("erased bytes stay in the write-ahead log until its readers end", extra={"db": self.name})
        finally:
            connection.close()

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Session]:
        with self._explained(), Session(engine) as session, session.begin():
            yield session

    @contextmanager
    def _joined(self, session: Session) -> Iterator[Session]:
        with self._explained():
            yield session

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The driver's errors, told as ours."""
        try:
            yield
        except PoolTimeout as error:
            raise DatabaseAway(
                f"The database {self.name} keeps all of our connections busy; try again in a moment."
            ) from error
        except DBAPIError as error:
            text_of = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
            if getattr(error.orig, "sqlstate", None) == "42P01" or text_of.startswith("no such table"):
                raise SchemaMismatch(
                    f"The database {self.name} has no tables of Likeness; migrate it first."
                ) from error
            broken_file = type(error) is DatabaseError  # what SQLite raises for a file that is damaged or not its own
            if error.connection_invalidated or broken_file or isinstance(error, (OperationalError, InterfaceError)):
                raise DatabaseAway(f"The database {self.name} does not answer: {text_of}.") from error
            raise

    def _revision(self, connection: Connection) -> str | None:
        revision = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
        if revision is not None and revision not in known:
            raise SchemaMismatch(
                f"The database {self.name} is at revision {revision}, which is newer than this version of Likeness; "
                "run the version that made it, or a later one."
            )
        return revision


def open_database(url: str) -> Database:
    """The database at an SQLAlchemy URL: `sqlite:///file` or `postgresql://user:password@host/name`.

    Raises DatabaseAway when the URL is malformed, names another kind of database, or SQLite's folder cannot be made.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise DatabaseAway(
            "The database URL cannot be parsed; it reads like postgresql://user:password@host/name, with special "
            "characters of the password percent-encoded."
        ) from None  # the parser's own words may quote the password
    if backend == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        options = {name: value for name, value in POSTGRESQL_OPTIONS.items() if name not in parsed.query}
        engine = create_engine(parsed, pool_pre_ping=True, hide_parameters=True, connect_args=options, **POOL)
        event.listen(engine, "connect", _prepare_postgresql)
        return Database(parsed, engine)
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return _open_sqlite(parsed)
    raise DatabaseAway(
        f"The database URL begins with {parsed.drivername}; Likeness keeps its records in SQLite or PostgreSQL."
    )


def _prepare_postgresql(connection: PoolProxiedConnection, _entry: ConnectionPoolEntry) -> None:
    """One core a query: what is counted behind a page must not take those that the page is read with."""
    cursor = connection.cursor()
    cursor.execute("SET max_parallel_workers_per_gather = 0")
    cursor.close()
    connection.commit()


def _open_sqlite(url: URL) -> Database:
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise DatabaseAway("The database URL of SQLite must name a file: sqlite:////folder/likeness.db.")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)  # names and accounts are not for every user of the machine
    except OSError as error:
        raise DatabaseAway(f"The database file {path} cannot be made: {error.strerror}.") from error
    engine = create_engine(url, hide_parameters=True, **POOL)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Database(url, engine)


def _prepare_sqlite(connection: PoolProxiedConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # the driver would begin transactions too late
    cursor = connection.cursor()
    for pragma in (f"busy_timeout = {BUSY_SECONDS * 1000}", "foreign_keys = ON", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")


def _alembic(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _newest() -> str | None:
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()
