"""Who may log in to the console, by the program."""

import os
import pty
import select
import subprocess
import sys
import time

import pyotp
import pytest

from config import load_settings
from records.audit import AuditLog
from records.database import open_database
from records.errors import LoginLocked, WrongLogin
from records.keys.open_master_key import open_master_key
from records.people.moderators import ModeratorRecords
from tests.support.program import Program

PASSWORD = "correct horse battery"
OTHER = "another horse battery"
ADD_LEE = ("moderators", "add", "Lee", "--name", "Lee Wu", "--role", "lead")
SECONDS = 120


@pytest.fixture
def likeness(tmp_path):
    return Program(tmp_path / "home", LOGNAME="root")


@pytest.fixture
def moderators(likeness):
    """The records that the program works on."""
    likeness.home.mkdir()
    database = open_database(f"sqlite:///{likeness.home / 'likeness.db'}")
    database.migrate()
    yield ModeratorRecords(database, open_master_key(load_settings().keys, likeness.home / "master.key", create=True))
    database.close()


@pytest.fixture
def mo(moderators):
    return moderators.add("mo", "Mo Li", "moderator", PASSWORD)


def command(likeness, *words, **how):
    """A process of its own whose standard input the test has in hand."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")}
    variables |= {"LIKENESS_HOME": str(likeness.home), "LOGNAME": "root"}
    return subprocess.Popen([sys.executable, "-m", "likeness", *words], env=variables, start_new_session=True, **how)


def with_input(likeness, given, *words):
    """(exit code, stdout, stderr) of the command when `given` are the bytes on its standard input."""
    pipe = subprocess.PIPE
    process = command(likeness, *words, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = process.communicate(given, timeout=SECONDS)
    return process.returncode, out.decode(), err.decode()


def at_a_terminal(likeness, typed, *words):
    """(exit code, all that the terminal showed) when somebody answers the prompts with the lines `typed`."""
    ours, theirs = pty.openpty()
    process = command(likeness, *words, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    answers, shown, deadline = iter(typed), b"", time.monotonic() + SECONDS
    answered = 0
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            if shown.count(b": ") > answered and shown.endswith(b": "):
                answered = shown.count(b": ")
                os.write(ours, next(answers).encode() + b"\n")
        return process.wait(10), shown.decode()
    finally:
        process.kill()
        os.close(ours)


def test_somebody_is_added_with_a_password_from_stdin_and_logs_in(likeness, moderators):
    code, out, err = with_input(likeness, f"{PASSWORD}\n".encode(), *ADD_LEE, "--password-stdin")
    lee = moderators.check_password("lee", PASSWORD)
    assert (code, out, err) == (0, f"lee may log in as lead; id {lee.id}.\n", "")
    assert (lee.name, lee.role) == ("Lee Wu", "lead")


def test_a_password_is_typed_twice_and_never_shown(likeness, moderators, mo):
    code, shown = at_a_terminal(likeness, [OTHER, OTHER], "moderators", "password", "mo")
    assert code == 0, shown
    assert "Password: " in shown and "Once more: " in shown and OTHER not in shown
    assert moderators.check_password("mo", OTHER) == mo


def test_passwords_that_differ_change_nothing(likeness, moderators, mo):
    code, shown = at_a_terminal(likeness, [OTHER, PASSWORD], "moderators", "password", "mo")
    assert (code, "The two passwords differ; nothing was changed." in shown) == (2, True)
    assert moderators.check_password("mo", PASSWORD) == mo


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (b"eleven char\n", "The password is too short; take at least 12 characters."),
        (b"", "The password is too short; take at least 12 characters."),
        (b"\xff" * 12, "The password on stdin is not text in UTF-8."),
        (b"correct horse\nbattery\n", "The password on stdin must be one line."),
    ],
)
def test_an_unfit_password_on_stdin_is_refused_in_one_sentence(likeness, moderators, mo, given, sentence):
    ended = with_input(likeness, given, "moderators", "password", "mo", "--password-stdin")
    assert ended == (2, "", f"likeness: {sentence}\n")
    assert moderators.check_password("mo", PASSWORD) == mo


def test_no_password_is_taken_from_the_arguments_nor_waited_for_where_nobody_types(likeness, moderators):
    assert likeness(*ADD_LEE).sentence == (
        "Nobody can be asked for the password here: give it on stdin with --password-stdin."
    )
    assert likeness(*ADD_LEE, "--password", PASSWORD).code == 2
    assert moderators.list() == ()


def test_moderators_are_listed_without_their_secrets(likeness, moderators, mo):
    moderators.disable(moderators.add("lee", "李 [bold]", "lead", PASSWORD).id)
    table = likeness("moderators", "list").out
    assert "李 [bold]" in table and "disabled" in table
    listed = likeness("moderators", "list", "--json").lines
    assert [(one["login"], one["disabled"]) for one in listed] == [("lee", True), ("mo", False)]
    assert sorted(listed[1]) == ["disabled", "has_password", "has_totp", "id", "login", "name", "role"]


def test_a_role_is_changed(likeness, moderators, mo):
    assert likeness("moderators", "role", "MO", "curator").out == "mo was moderator and is curator now.\n"
    assert moderators.get(mo.id).role == "curator"
    assert likeness("moderators", "role", "mo", "boss").code == 2


def test_who_comes_by_openid_connect_is_added_without_a_password(likeness, moderators):
    assert likeness(*ADD_LEE, "--openid-connect").code == 0
    assert not moderators.by_login("lee").has_password
    with pytest.raises(WrongLogin):
        moderators.check_password("lee", "")
    assert likeness(*ADD_LEE, "--openid-connect", "--password-stdin").code == 2


def test_the_last_administrator_stays_one(likeness, moderators):
    ada = moderators.add("ada", "Ada", "administrator", PASSWORD)
    for words in (("role", "ada", "lead"), ("disable", "ada")):
        ended = likeness("moderators", *words)
        assert (ended.code, "last administrator" in ended.sentence) == (2, True)
    assert moderators.get(ada.id) == ada


def test_who_is_disabled_logs_in_again_once_enabled(likeness, moderators, mo):
    assert likeness("moderators", "disable", "mo").out == "mo may not log in any more.\n"
    with pytest.raises(WrongLogin):
        moderators.check_password("mo", PASSWORD)
    assert likeness("moderators", "enable", "mo").out == "mo may log in.\n"
    assert moderators.check_password("mo", PASSWORD) == mo


def test_who_is_locked_out_is_let_in_again(likeness, moderators, mo):
    for _ in range(5):
        with pytest.raises(WrongLogin):
            moderators.check_password("mo", OTHER)
    with pytest.raises(LoginLocked):
        moderators.check_password("mo", PASSWORD)
    assert likeness("moderators", "enable", "mo").code == 0
    assert moderators.check_password("mo", PASSWORD) == mo


def test_a_lost_second_factor_is_taken_away(likeness, moderators, mo):
    secret = moderators.enrol_totp(mo.id)
    moderators.confirm_totp(mo.id, secret, pyotp.TOTP(secret).now())
    assert "yes" in likeness("moderators", "list").out
    assert "until a second factor is set up anew" in likeness("moderators", "reset-totp", "mo").out
    assert not moderators.get(mo.id).has_totp


def test_each_command_is_in_the_audit_log_with_who_ran_it(likeness, moderators, mo):
    likeness("moderators", "role", "mo", "lead")
    likeness("moderators", "disable", "mo")
    database = open_database(f"sqlite:///{likeness.home / 'likeness.db'}")
    entries = AuditLog(database).read(actor="operator:root", subject=mo.id)
    assert [dict(one.details) for one in entries] == [{"disabled": True}, {"role": "lead"}]
    database.close()


def test_who_is_not_there_is_told_in_one_sentence(likeness):
    for words in (("role", "nobody", "lead"), ("disable", "nobody"), ("enable", "nobody"), ("reset-totp", "nobody")):
        ended = likeness("moderators", *words)
        assert (ended.code, ended.sentence) == (2, "There is no moderator nobody.")
    assert likeness("moderators", "disable", " ").sentence == "A login cannot be blank."
    assert "is not text in UTF-8" in likeness("moderators", "disable", "\udcff").sentence
