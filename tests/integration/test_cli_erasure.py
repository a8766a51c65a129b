"""Erasures, by the program: who was erased, whether anything is left, and erasing again after a restore."""

import base64
import json
import shutil
from contextlib import closing

import pytest

from records.database import open_database
from tests.support.program import Program
from tests.support.protection import CONTACT, Protection


@pytest.fixture
def likeness(tmp_path):
    return Program(tmp_path / "home", LIKENESS_KEYS__MASTER_KEY=base64.b64encode(bytes(32)).decode())


@pytest.fixture
def here(likeness):
    likeness.home.mkdir()
    with closing(open_database(f"sqlite:///{likeness.home / 'likeness.db'}")) as database:
        database.migrate()
        yield Protection(database)


def test_verify_shows_that_nothing_is_left_or_where_and_says_so_by_its_exit_code(likeness, here, tmp_path):
    taken, identity_id = here.protect()
    ended = likeness("erasure", "verify", taken.number, "--no-topic")
    assert ended.code == 2 and "was not erased" in ended.err
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    typed = taken.number.removeprefix("LK-").replace("-", " ").lower()
    for asked in (taken.number, typed, taken.report_id, identity_id):
        ended = likeness("erasure", "verify", asked, "--no-topic")
        assert (ended.code, ended.err) == (0, ""), ended.out
        assert taken.number in ended.out and "LEFT" not in ended.out
    forgotten = tmp_path / "export.json"
    forgotten.write_text(json.dumps({"contact": CONTACT}))
    ended = likeness("erasure", "verify", taken.number, "--no-topic", "--files", str(tmp_path), "--text", CONTACT)
    assert ended.code == 1 and "left in 1 of" in ended.err and "export.json" in ended.out
    assert CONTACT not in ended.out + ended.err, "what is looked for is not printed"
    for wrong in (["--files", str(tmp_path)], ["--text", CONTACT], ["--files", str(tmp_path), "--text", "a"]):
        assert likeness("erasure", "verify", taken.number, "--no-topic", *wrong).code == 2


def test_an_older_copy_that_is_put_back_is_cleaned_by_the_list_of_erasures(likeness, here, tmp_path):
    taken, identity_id = here.protect()
    here.database.empty_log()
    shutil.copy(likeness.home / "likeness.db", tmp_path / "older.db")
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    assert identity_id in likeness("erasure", "list").out
    listed = tmp_path / "erasures.jsonl"
    listed.write_text(likeness("erasure", "list", "--json").out)
    here.database.close()
    shutil.copy(tmp_path / "older.db", likeness.home / "likeness.db")
    ended = likeness("erasure", "replay", str(listed))
    assert (ended.code, ended.err) == (0, "")
    assert "came back and were erased again: 1." in ended.out and "likeness gallery publish" in ended.out
    assert likeness("erasure", "verify", taken.number, "--no-topic").code == 0
    assert "erased again: 0." in likeness("erasure", "replay", str(listed)).out
    listed.write_text('{"id": 7}\n')
    ended = likeness("erasure", "replay", str(listed))
    assert ended.code == 2 and "Line 1" in ended.err
