"""Questions about a database that change nothing in it: how new its tables are, whether it takes writes, whose keys."""

from dataclasses import dataclass
from datetime import UTC, datetime

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError

from records.database import MIGRATIONS, Database
from records.errors import DatabaseAway
from records.keys.keyring import DataKey, MasterKey
from records.schema import DeadLetterReplayRow, EmbeddingRow, IdentityKeyRow, IdentityRow, ReferenceRow

_TRIAL = "likeness-doctor"


@dataclass(frozen=True, slots=True)
class Revision:
    """`found`: the database's, None for one without tables; `known`: whether this version of Likeness knows it."""

    found: str | None
    needed: str | None
    known: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """How many identities and references there are, and how many references lack an embedding of the pack; a photo
    that stayed with the person needs none."""

    identities: int
    references: int
    unusable: int


def revision(database: Database) -> Revision:
    """Raises DatabaseAway."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    with database.read() as session:
        found = MigrationContext.configure(session.connection()).get_current_revision()
    known = found is None or found in {script.revision for script in scripts.walk_revisions()}
    return Revision(found, scripts.get_current_head(), known)


def try_writing(database: Database) -> None:
    """Writes a row and takes it back. Raises DatabaseAway with what the database says when it cannot."""
    now = datetime.now(UTC)
    row = {"dead_letter_id": _TRIAL, "state": "claimed", "claimed_at": now, "replayed_by": _TRIAL}
    try:
        with database.write() as session:
            session.execute(insert(DeadLetterReplayRow).values(row))
            session.rollback()
    except DBAPIError as error:
        said = str(error.orig).strip().partition("\n")[0]
        raise DatabaseAway(f"The database {database.name} takes no writes: {said}.") from error


def clock_ahead(database: Database) -> float | None:
    """Seconds by which the database server's clock is ahead of ours; None of SQLite, which has none of its own."""
    if not database.postgresql:
        return None
    with database.read() as session:
        session.execute(text("SELECT 1"))  # the connection is made before the clock is asked
        before = datetime.now(UTC)
        theirs: datetime = session.scalars(select(func.clock_timestamp())).one()
        after = datetime.now(UTC)
    return (theirs - (before + (after - before) / 2)).total_seconds()


def contents(database: Database, pack: str) -> Contents:
    """`pack`: name@version."""
    embedded = select(EmbeddingRow.reference_id).where(EmbeddingRow.pack == pack)
    with database.read() as session:
        counted = [
            session.scalars(query).one()
            for query in (
                select(func.count()).select_from(IdentityRow),
                select(func.count()).select_from(ReferenceRow),
                select(func.count())
                .select_from(ReferenceRow)
                .where(~ReferenceRow.hash_only, ReferenceRow.id.not_in(embedded)),
            )
        ]
    return Contents(*counted)


def has_keys(database: Database) -> bool:
    """Whether any identity's data key rests in the database."""
    with database.read() as session:
        return session.scalar(select(IdentityKeyRow.identity_id).limit(1)) is not None


def open_a_key(database: Database, master_key: MasterKey) -> None:
    """Raises MasterKeyError when the master key does not open the newest identity's data key."""
    newest = select(IdentityKeyRow.identity_id, IdentityKeyRow.wrapped).order_by(IdentityKeyRow.created_at.desc())
    with database.read() as session:
        row = session.execute(newest.limit(1)).one_or_none()
    if row is not None:
        DataKey.unwrap(row[0], row[1], master_key)
