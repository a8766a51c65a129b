"""Copies of the database and of the keys lie apart: who was erased stays erased when an older copy is put back."""

import json
import shutil
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from records.announcer import utc_now
from records.audit import AuditLog
from records.database import open_database
from records.errors import KeyCopyUnreadable, MasterKeyError, NotSealed
from records.gallery import GalleryRecords
from records.keys.copies import KEYS, copy_keys, put_back
from records.keys.keyring import MasterKey
from records.keys.rotation import KeyRotation
from records.keys.sealing import SealingKeys
from records.keys.signing import SigningKeys
from records.keys.vector_key import vector_key
from records.reports.erasure import Erasure
from tests.support.postgres import find_programs
from tests.support.sealed_reports import sealed
from tests.support.vault import ALL, MASTER, fill

A_WHILE = timedelta(minutes=2)


def back_up(database, folder: Path) -> Path:
    """A copy of the database as operators make it: of PostgreSQL without the tables of keys, of SQLite the file."""
    if not database.postgresql:
        database.empty_log()
        return Path(shutil.copy(database.engine.url.database, folder / "older.db"))
    copy = folder / "older.sql"
    apart = [f"--exclude-table-data={column.table.name}" for column in KEYS]
    program(database.engine.url, "pg_dump", *apart, f"--file={copy}")
    return copy


def restored(copy: Path, postgres) -> str:
    """The URL of a database made from the copy."""
    if copy.suffix == ".db":
        return f"sqlite:///{copy}"
    url = postgres.create_database()
    program(make_url(url), "psql", "--quiet", f"--file={copy}")
    return url


def program(url, name, *arguments):
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    subprocess.run([find_programs() / name, f"--dbname={address}", *arguments], check=True, stdout=subprocess.DEVNULL)


def erase(database, vault):
    erasure = Erasure(database, MASTER, AuditLog(database))
    erasure.remove_identity(vault.identity_id, "operator:ada")
    erasure.withdraw(vault.report_id, "withdrawn", "reporter")
    with database.write() as session:
        session.execute(text("DELETE FROM case_pictures WHERE case_id = :case"), {"case": vault.case_id})


def test_an_older_copy_with_the_newest_keys_opens_all_but_who_was_erased(database, postgres, tmp_path):
    stays, goes = fill(database, MASTER, 1), fill(database, MASTER, 2)
    older = back_up(database, tmp_path)
    erase(database, goes)
    newest_keys = list(copy_keys(database, utc_now() + A_WHILE))
    with closing(open_database(restored(older, postgres))) as restored_one:
        done = put_back(restored_one, newest_keys)
        assert (done.identities, done.reports) == ((goes.identity_id,), (goes.report_id,))
        assert stays.opened(restored_one, MASTER) == ALL
        erasure = Erasure(restored_one, MASTER, AuditLog(restored_one))
        for identity_id in done.identities:
            erasure.remove_identity(identity_id, "operator:ada")
        for report_id in done.reports:
            erasure.withdraw(report_id, "operator", "operator:ada")
        assert [one.id for one in GalleryRecords(restored_one, MASTER).identities()] == [stays.identity_id]
        with restored_one.read() as session:
            left = [session.scalar(text(f"SELECT count(*) FROM {column.table.name}")) for column in KEYS]
        assert left == [1, 1, 1, 2], "a day's probes have no owner: their keys go when the day is past"
        assert put_back(restored_one, newest_keys).dropped == 0, "once more it changes nothing"


def test_keys_that_came_after_the_copy_of_them_stay(database):
    early = fill(database, MASTER, 1)
    keys = list(copy_keys(database, utc_now()))
    late = fill(database, MASTER, 2)
    assert put_back(database, keys).dropped == 0
    assert early.opened(database, MASTER) == late.opened(database, MASTER) == ALL


def test_a_copy_that_is_not_the_newest_brings_nobody_back(database):
    stays, goes = fill(database, MASTER, 1), fill(database, MASTER, 2)
    keys = list(copy_keys(database, utc_now()))
    erase(database, goes)
    put_back(database, keys)
    with database.read() as session:
        left = [session.scalar(text(f"SELECT count(*) FROM {column.table.name}")) for column in KEYS[:3]]
    assert left == [1, 1, 1]
    assert stays.opened(database, MASTER) == ALL


def test_once_the_master_key_is_destroyed_copies_with_keys_open_nothing(database):
    """Also of a copy that somebody made with the keys in it, as a disk's snapshot does."""
    vault = fill(database, MASTER)
    older = list(copy_keys(database, utc_now()))
    new = MasterKey.of(b"\1" * 32, MASTER.current)
    assert KeyRotation(database, new, AuditLog(database)).wrap_anew("operator") == 8
    only_new = MasterKey.of(b"\1" * 32)
    assert vault.opened(database, only_new) == ALL
    newest = list(copy_keys(database, utc_now()))
    put_back(database, older)
    assert vault.opened(database, only_new) == {"signing", "sealing", "vectors", "second factor"}
    put_back(database, newest)
    assert vault.opened(database, only_new) == ALL


def test_from_a_copy_older_than_the_last_retired_master_key_opens_what_the_guide_says(database, postgres, tmp_path):
    vault = fill(database, MASTER)
    report = sealed(b"a report", SealingKeys(database, MASTER).public_key())
    older, turning = back_up(database, tmp_path), vector_key(database, MASTER)
    new = MasterKey.of(b"\1" * 32, MASTER.current)
    KeyRotation(database, new, AuditLog(database)).wrap_anew("operator")
    newest_keys, only_new = list(copy_keys(database, utc_now() + A_WHILE)), MasterKey.of(new.current)
    with closing(open_database(restored(older, postgres))) as restored_one:
        for ask in (
            lambda: vector_key(restored_one, only_new),
            lambda: SealingKeys(restored_one, only_new).open(report),
        ):
            with pytest.raises(MasterKeyError):
                ask()
        put_back(restored_one, newest_keys)
        with pytest.raises(NotSealed):
            SealingKeys(restored_one, only_new).open(report)
        assert vault.opened(restored_one, only_new) == ALL - {"signing", "sealing", "second factor"}
        anew = vector_key(restored_one, only_new)
        assert anew != turning and vector_key(restored_one, only_new) == anew, "all processes have the same one"
        assert SigningKeys(restored_one, only_new).sign(b"a receipt").key != vault.signing_key
        sealing = SealingKeys(restored_one, only_new)
        assert sealing.open(sealed(b"again", sealing.public_key())) == b"again"


def test_a_copy_holds_the_keys_wrapped_only_and_is_whole_or_refused(database):
    fill(database, MASTER)
    keys = list(copy_keys(database, utc_now()))
    assert {json.loads(line)[0] for line in keys[1:-1]} == {column.table.name for column in KEYS}
    for broken in (keys[:-1], keys[1:], [*keys[:2], *keys[3:]], [], ["{}", "{}"], ["x"], [keys[0], "[1]", keys[-1]]):
        with pytest.raises(KeyCopyUnreadable):
            put_back(database, broken)
