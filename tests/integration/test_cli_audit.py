"""The audit log, by the program."""

import sqlite3
from contextlib import closing

import pytest

from records.audit import AuditLog
from records.database import open_database
from tests.support.program import Program


@pytest.fixture
def likeness(tmp_path):
    return Program(tmp_path / "home")


@pytest.fixture
def log(likeness):
    """The log that the program reads, with three entries."""
    likeness.home.mkdir()
    database = open_database(f"sqlite:///{likeness.home / 'likeness.db'}")
    database.migrate()
    log = AuditLog(database)
    log.append("mo", "login", "mo")
    log.append("mo", "case_decided", "case-1", {"decision": "confirmed"})
    log.append("operator:root", "export", "\x1b[31mred\nnext", {})
    yield log
    database.close()


def tamper(likeness, statement):
    with closing(sqlite3.connect(likeness.home / "likeness.db")) as database:
        database.execute(statement)
        database.commit()


def test_a_whole_log_is_proven_in_one_sentence_with_the_newest_hash(likeness, log):
    ended = likeness("audit", "verify")
    newest = log.read(limit=1)[0]
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"The audit log is whole, from entry 1 to entry 3, whose hash is {newest.hash}.\n"


def test_an_empty_log_is_whole(likeness):
    likeness("moderators", "list")
    ended = likeness("audit", "verify")
    assert (ended.code, ended.out) == (0, "The audit log is whole: it has no entry yet.\n")


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "UPDATE audit_log SET actor = 'lee' WHERE number = 2",
            "The audit log is broken from entry 2 on. The hash of entry 2 is not that of its content after entry 1: it "
            "was changed, moved or put in afterwards.",
        ),
        (
            "DELETE FROM audit_log WHERE number = 2",
            "The audit log is broken from entry 2 on. Entry 2 is missing: entry 3 stands in its place.",
        ),
        (
            "DELETE FROM audit_log",
            "The audit log is broken from entry 1 on. The end is cut off: entries 1 to 3 are missing.",
        ),
    ],
)
def test_a_broken_log_ends_with_1_and_names_the_first_broken_entry(likeness, log, statement, sentence):
    tamper(likeness, statement)
    ended = likeness("audit", "verify")
    assert (ended.code, ended.out, ended.err) == (1, "", f"{sentence}\n")


def test_entries_are_listed_newest_first_and_harmless_for_a_terminal(likeness, log):
    ended = likeness("audit", "list")
    numbers = [line.split()[1] for line in ended.out.splitlines() if line.startswith("│")]
    assert numbers == ["3", "2", "1"]
    assert "decision=confirmed" in ended.out
    assert "\x1b" not in ended.out and r"\x1b[31mred\nnext" in ended.out


def test_a_listing_is_narrowed_and_given_as_json_with_the_hashes(likeness, log):
    (entry,) = likeness("audit", "list", "--subject", "case-1", "--json").lines
    (kept,) = log.read(subject="case-1")
    assert (entry["number"], entry["actor"], entry["action"]) == (2, "mo", "case_decided")
    assert (entry["details"], entry["hash"]) == ({"decision": "confirmed"}, kept.hash)
    assert entry["at"] == kept.at.isoformat()
    assert [one["number"] for one in likeness("audit", "list", "--actor", "mo", "--json").lines] == [2, 1]
    assert [one["number"] for one in likeness("audit", "list", "--before", "3", "--limit", "1", "--json").lines] == [2]


def test_to_look_at_the_log_neither_makes_tables_nor_a_master_key(likeness):
    ended = likeness("audit", "verify")
    assert (ended.code, "migrate it first" in ended.sentence) == (2, True)
    assert not (likeness.home / "master.key").exists()


def test_what_is_asked_wrongly_is_told_in_one_sentence(likeness, log):
    assert likeness("audit", "list", "--subject", "\udcff").sentence == r"--subject is not text in UTF-8: '\udcff'."
    assert likeness("audit", "list", "--limit", "0").code == 2
