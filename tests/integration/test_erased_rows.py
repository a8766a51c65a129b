"""What is erased from PostgreSQL does not linger in the tables' files."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text

from records.database import open_database
from records.erased_rows import ErasedRows
from records.gallery import GalleryRecords
from records.schema import IdentityKeyRow
from tests.support.running_service import eventually
from tests.support.vault import MASTER


@pytest.fixture
def database(postgres):
    database = open_database(postgres.create_database(migrated=True))
    database.migrate()
    yield database
    database.close()


def files_with(database, needle):
    """The server's files that hold these bytes, its own log apart."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))  # what the server has in memory goes to its files
        folder = Path(connection.scalar(text("SHOW data_directory")))
        number = connection.scalar(text("SELECT oid FROM pg_database WHERE datname = current_database()"))
    own = (folder / "base" / str(number)).iterdir()
    return [file for file in own if file.name[0].isdigit() and needle in file.read_bytes()]


def test_an_erased_key_is_gone_from_the_files_and_the_others_open(database):
    records = GalleryRecords(database, MASTER)
    kept, erased = records.add_identity("Ada", "victim"), records.add_identity("Grace", "victim", ["acct-of-grace"])
    with database.read() as session:
        wrapped = session.scalar(select(IdentityKeyRow.wrapped).where(IdentityKeyRow.identity_id == erased))
    rows = ErasedRows(database)
    records.remove_identity(erased)
    assert files_with(database, wrapped) and files_with(database, b"acct-of-grace"), "the search looks where they are"
    eventually(lambda: rows.sweep() >= 2)  # the server counts what is deleted a moment later
    eventually(lambda: not files_with(database, wrapped))  # it unlinks the old file by and by
    assert not files_with(database, b"acct-of-grace")
    assert set(records.data_keys([kept, erased])) == {kept}


def test_it_is_done_again_after_a_reader_that_began_before_the_erasure_has_left(database):
    records = GalleryRecords(database, MASTER)
    erased = records.add_identity("Ada", "victim")
    rows = ErasedRows(database)
    with database.read() as reader:
        wrapped = reader.scalar(select(IdentityKeyRow.wrapped))
        with database.read() as older:
            older.execute(text("SELECT 1"))
            reader.rollback()
            records.remove_identity(erased)
            eventually(rows.sweep)
            assert files_with(database, wrapped), "its moment of the database still has the key"
    eventually(lambda: rows.sweep() == 0 or not files_with(database, wrapped))
    assert not files_with(database, wrapped)


def test_readers_are_not_kept_waiting(database):
    records = GalleryRecords(database, MASTER)
    records.remove_identity(records.add_identity("Ada", "victim"))
    with psycopg.connect(database.engine.url.set(drivername="postgresql").render_as_string(False)) as reader:
        reader.execute("SELECT * FROM identity_keys")
        assert ErasedRows(database).write_anew(["identity_keys", "own_accounts"]) == 1
    assert ErasedRows(database).write_anew(["identity_keys"]) == 1
