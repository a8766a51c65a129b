"""A new master key takes the place of the old one while everything runs: on SQLite and on PostgreSQL."""

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, delete

from config import load_settings
from records.announcer import utc_now
from records.audit import AuditLog
from records.errors import MasterKeyError
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.open_master_key import open_master_key
from records.keys.rotation import SETTLED, KeyRotation
from records.keys.wrapped import COLUMNS
from records.people import second_factor
from records.people.schema_people import ModeratorRow
from records.schema import Base, IdentityKeyRow
from tests.support.vault import ALL, fill

ROOT = Path(__file__).parents[2]
LATER = SETTLED + timedelta(seconds=1)
SEALED_BY_DATA_KEYS = {
    "case_fingerprints.sealed",
    "case_pictures.faces",
    "case_pictures.picture",
    "embeddings.sealed",
    "fingerprints.sealed",
    "reference_photos.sealed",
    "report_messages.text",
    "report_photos.facts",
    "report_photos.photo",
    "reports.details",
}
SEALED_BY_THE_BROWSERS_TOKEN = {"report_drafts.sealed"}
PUBLIC = {"signing_keys.public"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "master.key"


def key_of(path, create=True):
    return open_master_key(load_settings(home=path.parent).keys, path, create=create)


def rotation(database, path, later=timedelta()):
    return KeyRotation(database, key_of(path), AuditLog(database), clock=lambda: utc_now() + later)


def rows_by_key(one):
    return sum((hanging.rows for hanging in one.hanging()), Counter())


def test_every_column_that_the_master_key_wraps_is_gone_through():
    binary = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    wrapped = {f"{column.table.name}.{column.wrapped.name}" for column in COLUMNS}
    assert binary == wrapped | SEALED_BY_DATA_KEYS | SEALED_BY_THE_BROWSERS_TOKEN | PUBLIC


def test_all_opens_before_a_rotation_within_it_and_after_it_and_the_old_key_opens_nothing(database, path):
    running = key_of(path)
    vault = fill(database, running)
    old = MasterKey.of(running.current)
    one = rotation(database, path)
    assert one.begin("operator:ada")
    assert vault.opened(database, running) == ALL, "what the old key wrapped opens beside the new one"
    late = fill(database, running, 2)
    assert one.wrap_anew("operator:ada") == 8
    assert rows_by_key(one) == {running.ids[0]: 16 - 3}, "one key signs, one seals, one turns, however often"
    assert rotation(database, path, LATER).retire("operator:ada") == [old.ids[0]]
    assert vault.opened(database, running) == late.opened(database, running) == ALL
    assert vault.opened(database, key_of(path)) == ALL
    assert vault.opened(database, old) == set()
    told = [entry.details for entry in AuditLog(database).read("master-key", "operator:ada")]
    assert told == [{"destroyed": [old.ids[0]]}, {"wrapped": 8}, {"made": running.ids[0]}]


def test_a_rotation_that_was_stopped_goes_on_without_another_key(database, path):
    vault = fill(database, key_of(path))
    one = rotation(database, path)
    one.begin("operator")
    with pytest.raises(KeyboardInterrupt):
        one.wrap_anew("operator", stop_after_the_first_table)
    hanging = rows_by_key(one)
    assert len(hanging) == 2 and None not in hanging, "some of it hangs on either"
    assert vault.opened(database, key_of(path)) == ALL
    again = rotation(database, path)
    assert not again.begin("operator") and again.wrap_anew("operator") > 0
    assert len(rows_by_key(again)) == 1
    assert vault.opened(database, key_of(path)) == ALL


def stop_after_the_first_table(_done, _of):
    raise KeyboardInterrupt


def test_the_old_key_is_not_destroyed_while_something_may_hang_on_it(database, path):
    running = key_of(path)
    vault = fill(database, running)
    rotation(database, path).begin("operator")
    with pytest.raises(MasterKeyError, match="8 rows hang on an older key"):
        rotation(database, path, LATER).retire("operator")
    rotation(database, path).wrap_anew("operator")
    with pytest.raises(MasterKeyError, match="Try again 5 minutes after"):
        rotation(database, path).retire("operator")
    assert len(running.ids) == 2
    rotation(database, path, LATER).retire("operator")
    assert rotation(database, path).retire("operator") == ()
    assert vault.opened(database, running) == ALL


def test_what_was_erased_while_a_rotation_read_it_does_not_come_back(database, path):
    running = key_of(path)
    vault = fill(database, running)
    one = rotation(database, path)
    one.begin("operator")
    column = COLUMNS[0]
    (batch,) = column.batches(database, 500)
    with database.write() as session:
        session.execute(delete(IdentityKeyRow))
    one._wrap_batch(column, batch)
    assert list(column.batches(database, 500)) == []
    assert vault.opened(database, running) == ALL, "the rest of it is there"


def test_what_was_put_anew_while_a_rotation_read_it_stays(database, path):
    running = key_of(path)
    vault = fill(database, running)
    one = rotation(database, path)
    one.begin("operator")
    column = COLUMNS[-1]
    (stale,) = column.batches(database, 500)
    with database.write() as session:
        session.get_one(ModeratorRow, vault.moderator_id).totp_sealed = second_factor.sealed(
            "A" * 32, vault.moderator_id, running
        )
    one._wrap_batch(column, stale)
    with database.read() as session:
        sealed = session.get_one(ModeratorRow, vault.moderator_id).totp_sealed
    assert second_factor.opened(sealed, vault.moderator_id, running) == "A" * 32


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_people_come_and_go_while_two_rotations_run_at_once_and_one_is_killed(database, database_url, path):
    """A third program, which has the key of before in hand, enrols meanwhile."""
    running = key_of(path)
    records = GalleryRecords(database, running)
    enrolled = [records.add_identity("LK", "victim") for _ in range(100)]
    variables = os.environ | {"LIKENESS_HOME": str(path.parent), "LIKENESS_DATABASE__URL": database_url}
    command = [sys.executable, "-m", "likeness", "keys", "rotate"]
    programs = [subprocess.Popen(command, env=variables, cwd=ROOT) for _ in range(2)]
    while len(running.ids) == 1:
        assert any(one.poll() is None for one in programs)
        enrolled.append(records.add_identity("LK", "victim"))
    programs[0].kill()
    enrolled += [records.add_identity("LK", "victim") for _ in range(10)]
    codes = [one.wait(60) for one in programs]
    assert codes[1] == 0
    assert len(running.ids) == 2, "two at once make one new key"
    rotation(database, path).wrap_anew("operator")  # what was wrapped between the look at the key and the commit
    rotation(database, path, LATER).retire("operator")
    assert len(GalleryRecords(database, key_of(path)).data_keys(enrolled)) == len(enrolled)
