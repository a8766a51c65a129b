import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from records.database import CONNECTIONS, open_database
from records.errors import DatabaseAway, SchemaMismatch
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "postgresql://u:sesame@host:port/name",
        "postgresql://u:ses:ame@@host:/sesame:x/y",
        "mysql://u:sesame@host/name",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////proc/nowhere/likeness.db",
    ],
)
def test_a_wrong_url_is_named_in_one_sentence_without_its_password(url):
    with pytest.raises(DatabaseAway) as caught:
        open_database(url).check()
    assert "sesame" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_server_that_is_away_is_named_without_its_password():
    database = open_database("postgresql://ada:sesame@127.0.0.1:1/likeness")
    with pytest.raises(DatabaseAway, match=r"ada:\*\*\*@127\.0\.0\.1:1") as caught:
        database.check()
    assert "sesame" not in str(caught.value)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    (tmp_path / "likeness.db").write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(DatabaseAway, match="file is not a database"):
        open_database(f"sqlite:///{tmp_path / 'likeness.db'}").check()


def test_a_database_that_was_never_migrated_says_so(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    with pytest.raises(SchemaMismatch, match="revision none"):
        database.check()
    with pytest.raises(SchemaMismatch, match="migrate it first"):
        GalleryRecords(database, MasterKey.of(bytes(32))).list_identities()


def test_who_waits_too_long_for_a_free_connection_is_told_so(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(database.read()).execute(text("SELECT 1"))
        with pytest.raises(DatabaseAway, match=r"keeps all of our connections busy; try again in a moment\.$"):
            database.check()
    database.check()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (database.migrate, database.check):
        with pytest.raises(SchemaMismatch, match="revision 9999, which is newer"):
            attempt()


def test_several_starting_processes_migrate_the_database_once(tmp_path):
    program = f"from records.database import open_database as o; o('sqlite:///{tmp_path}/likeness.db').migrate()"

    def start(_):
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(start, range(4)))
    assert [end.returncode for end in ends] == [0, 0, 0, 0], ends
    open_database(f"sqlite:///{tmp_path / 'likeness.db'}").check()


def test_the_database_file_is_for_its_owner_only_and_its_folder_is_made(tmp_path):
    open_database(f"sqlite:///{tmp_path / 'home' / 'likeness.db'}").migrate()
    for file in (tmp_path / "home").glob("likeness.db*"):
        assert file.stat().st_mode & 0o077 == 0
