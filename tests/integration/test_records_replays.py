"""Claims on dead letters, and questions that change nothing, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text

from records import soundness
from records.database import open_database
from records.errors import DatabaseAway, MasterKeyError
from records.keys.keyring import MasterKey
from records.replays import ReplayRecords


def test_of_many_that_claim_at_the_same_time_each_letter_goes_to_one(database):
    ids = [f"letter-{number:04}" for number in range(1_500)]
    together = Barrier(6)

    def claim(operator):
        replays = ReplayRecords(database)
        together.wait()
        return replays.claim(ids if operator % 2 else ids[::-1], f"operator-{operator}").ids

    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(claim, range(6)))
    assert sorted(one for claimed in claims for one in claimed) == ids


def test_trying_to_write_leaves_nothing_behind(database):
    soundness.try_writing(database)
    soundness.try_writing(database)
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM dead_letter_replays")) == 0


def test_a_database_without_tables_has_no_revision(empty_database_url):
    database = open_database(empty_database_url)
    found = soundness.revision(database)
    assert (found.found, found.known) == (None, True)
    database.migrate()
    found = soundness.revision(database)
    assert found.found == found.needed
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert not soundness.revision(database).known
    database.close()


def test_postgresql_that_takes_no_writes_says_so(postgres):
    database = open_database(postgres.create_database(migrated=True))
    database.migrate()
    with database.write() as session:
        name = database.engine.url.database
        session.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    database.close()
    reopened = open_database(database.engine.url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseAway, match="takes no writes: cannot execute INSERT in a read-only transaction"):
        soundness.try_writing(reopened)
    reopened.close()


def test_the_clock_of_postgresql_is_compared_and_sqlite_has_none(database):
    ahead = soundness.clock_ahead(database)
    assert (ahead is None) != database.postgresql
    assert ahead is None or abs(ahead) < 2


def test_a_master_key_is_tried_on_a_key_that_there_is(database, records):
    assert not soundness.has_keys(database)
    soundness.open_a_key(database, MasterKey.of(bytes(32)))
    records.add_identity("Ada", "victim")
    assert soundness.has_keys(database)
    soundness.open_a_key(database, MasterKey.of(bytes(32)))
    with pytest.raises(MasterKeyError):
        soundness.open_a_key(database, MasterKey.of(bytes(31) + b"1"))


def test_the_gallery_is_counted(database, records):
    assert soundness.contents(database, "opencv-zoo@1") == soundness.Contents(0, 0, 0)
    records.add_identity("Ada", "victim")
    assert soundness.contents(database, "opencv-zoo@1") == soundness.Contents(1, 0, 0)
