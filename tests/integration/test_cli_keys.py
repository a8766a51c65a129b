"""likeness keys and likeness privacy, as an operator types them."""

import json
from contextlib import closing

import pytest
from typer.testing import CliRunner

from config import load_settings
from likeness.doctor.records_checks import master_key
from likeness.main import app
from records.audit import AuditLog
from records.database import open_database
from records.errors import MasterKeyError
from records.keys.open_master_key import open_master_key
from tests.support.vault import ALL, fill


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    monkeypatch.delenv("LIKENESS_DATABASE__URL", raising=False)
    return tmp_path


@pytest.fixture
def database(home):
    with closing(open_database(load_settings().database_url)) as database:
        database.migrate()
        yield database


def key():
    settings = load_settings()
    return open_master_key(settings.keys, settings.master_key_file, create=True)


def call(*words):
    """What the program prints. Raises what it ends with."""
    ran = CliRunner().invoke(app, words, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_a_rotation_is_told_step_by_step(database):
    vault = fill(database, key())
    (old,) = json.loads(call("keys", "status", "--json"))["keys"]
    assert call("keys", "retire") == "There is no older key.\n"
    said = call("keys", "rotate")
    new = key().ids[0]
    then = f"`likeness keys retire` destroys what it follows: {old}."
    assert said == f"{new} is the current key now. 8 rows were wrapped anew. {then}\n"
    assert call("keys", "rotate").startswith(f"{new} is the current key. 0 rows were wrapped anew.")
    told = json.loads(call("keys", "status", "--json"))
    assert told["keys"] == [new, old] and set(map(str, told["rows"].values())) == {str({new: 1})}
    assert f"{new} is the current key, {old} an older one." in call("keys", "status")
    with pytest.raises(MasterKeyError, match="Try again 5 minutes after"):
        call("keys", "retire")
    assert vault.opened(database, key()) == ALL
    actors = {entry.actor for entry in AuditLog(database).read("master-key")}
    assert len(actors) == 1 and actors.pop().startswith("operator:")


def test_keys_are_copied_for_their_owner_only_and_put_back(database, home):
    vault = fill(database, key())
    copy = home / "keys"
    assert call("keys", "copy", str(copy)) == f"4 keys are in {copy}. Destroy the copies before it.\n"
    assert copy.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Exception, match="cannot be written: File exists"):
        call("keys", "copy", str(copy))
    assert call("keys", "put-back", str(copy)).startswith("4 keys are those of ")
    assert vault.opened(database, key()) == ALL


def test_a_look_at_the_keys_makes_none(database):
    with pytest.raises(MasterKeyError, match="There is no master key"):
        call("keys", "status")


def test_who_was_shown_what_is_told_by_the_program_and_what_is_kept(database):
    vault = fill(database, key())
    AuditLog(database).append("mo", "face_viewed", vault.report_id, {"picture": "challenge"})
    (read,) = map(json.loads, call("privacy", "reads", vault.report_id, "--json").splitlines())
    assert (read["who"], read["purpose"]) == ("mo", f"check of report {vault.report_id}")
    assert "was shown the challenge photo" in call("privacy", "reads", vault.report_id)
    assert call("privacy", "sheet").startswith("# Data protection impact sheet of ")
    assert json.loads(call("privacy", "sheet", "--json"))["counts"]["people_with_faces"] == 3


def test_the_doctor_tells_of_a_rotation_that_is_not_ended(database):
    fill(database, key())
    settings = load_settings()
    assert [one.state for one in master_key(settings, database)] == ["ok"]
    call("keys", "rotate")
    (opens, under_way) = master_key(settings, database)
    assert (opens.state, under_way.state) == ("ok", "warn") and "likeness keys retire" in under_way.mend
