"""The audit log: one chain whoever writes, and whatever is changed in it shows, on SQLite and on PostgreSQL."""

import hashlib
import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import ProgrammingError

from records.audit import AuditLog
from records.database import open_database
from records.schema_audit import AuditRow, AuditStateRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def log(database):
    return AuditLog(database, clock=lambda: NOON)


@pytest.fixture
def written(log):
    """The log with six entries."""
    for number in range(1, 7):
        log.append("mo", "case_decided", f"case-{number}", {"decision": "confirmed", "reason": "other"})
    return log


def execute(database, *statements):
    with database.write() as session:
        for statement in statements:
            session.execute(statement)


def linked(number, previous, at=NOON, actor="mo", action="login", subject="mo", details=None):
    """A row as the documentation describes its hash, by other means than the log's own."""
    content = [number, f"{at:%Y-%m-%dT%H:%M:%S.%f}+00:00", actor, action, subject, details or {}, previous]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {
        "number": number,
        "at": at,
        "actor": actor,
        "action": action,
        "subject": subject,
        "details": json.dumps(details or {}, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        "hash": hashlib.sha256(canonical.encode()).hexdigest(),
    }


def test_an_entry_is_read_as_it_was_written(log):
    details = {"decision": "confirmed", "faces": [1, 2.5, None], "note": "身份 \0 é"}
    assert log.append("mo", "case_decided", "case-1", details) == 1
    (entry,) = log.read()
    assert (entry.number, entry.at, entry.actor, entry.action, entry.subject) == (
        1,
        NOON,
        "mo",
        "case_decided",
        "case-1",
    )
    assert entry.details == details
    assert log.verify() is None


def test_the_hash_is_what_the_documentation_says(log):
    log.append("mo", "login", "mo")
    details = {"reason": "other", "decision": "confirmed", "note": "身份 <é>"}
    log.append("lee", "case_decided", 'case "1"', details)
    second, first = log.read()
    assert first.hash == linked(1, "0" * 64)["hash"]
    assert second.hash == linked(2, first.hash, NOON, "lee", "case_decided", 'case "1"', details)["hash"]


def test_the_newest_are_read_first_by_subject_by_actor_and_on_from_a_number(log):
    for actor, subject in (("mo", "a"), ("lee", "a"), ("mo", "b"), ("mo", "a")):
        log.append(actor, "case_claimed", subject)
    assert [one.number for one in log.read()] == [4, 3, 2, 1]
    assert [one.number for one in log.read(subject="a", actor="mo")] == [4, 1]
    assert [one.number for one in log.read(limit=2)] == [4, 3]
    assert [one.number for one in log.read(before=3, limit=1)] == [2]
    assert log.read(subject="c") == log.read(subject="a\0") == []


def test_an_attack_is_written_down_whatever_letters_it_is_made_of(log):
    log.append("unknown", "login_failed", "a\0b\udcff", {"agent": "\udcff\0"})
    assert log.read()[0].subject == "a\ufffdb?"
    assert log.verify() is None


def test_a_log_without_entries_is_whole(log):
    assert log.verify() is None


def test_a_log_that_nobody_touched_is_whole(written):
    assert written.verify() is None


@pytest.mark.parametrize(
    "change",
    [
        {"details": '{"decision":"not_this_person","reason":"other"}'},
        {"details": '{"decision":"confirmed", "reason":"other"}'},
        {"details": "{"},
        {"actor": "lee"},
        {"action": "case_claimed"},
        {"subject": "case-4"},
        {"at": NOON - timedelta(microseconds=1)},
        {"hash": "0" * 64},
    ],
    ids=str,
)
def test_an_entry_that_was_changed_is_named(database, written, change):
    execute(database, update(AuditRow).where(AuditRow.number == 3).values(change))
    broken = written.verify()
    assert broken.number == 3
    assert "not that of its content after entry 2" in broken.why


def test_a_changed_entry_with_a_hash_to_match_does_not_fit_the_next_one(database, written):
    second = written.read(before=3, limit=1)[0]
    execute(database, update(AuditRow).where(AuditRow.number == 3).values(linked(3, second.hash)))
    assert written.verify().number == 4


def test_the_last_entry_rewritten_with_its_hash_does_not_fit_what_the_state_holds(database, written):
    fifth = written.read(before=6, limit=1)[0]
    execute(database, update(AuditRow).where(AuditRow.number == 6).values(linked(6, fifth.hash)))
    broken = written.verify()
    assert (broken.number, "not the one that audit_state holds" in broken.why) == (6, True)


@pytest.mark.parametrize("removed", [1, 3])
def test_an_entry_that_was_removed_is_named(database, written, removed):
    execute(database, delete(AuditRow).where(AuditRow.number == removed))
    broken = written.verify()
    assert broken.number == removed
    assert broken.why == f"Entry {removed} is missing: entry {removed + 1} stands in its place."


def test_an_end_that_was_cut_off_is_named(database, written):
    execute(database, delete(AuditRow).where(AuditRow.number > 4))
    broken = written.verify()
    assert broken.number == 5
    assert broken.why == "The end is cut off: entries 5 to 6 are missing."
    execute(database, delete(AuditRow))
    assert written.verify().number == 1


def test_an_entry_put_in_between_is_named(database, written):
    second = written.read(before=3, limit=1)[0]
    moved = [update(AuditRow).where(AuditRow.number == n).values(number=n + 1) for n in range(6, 2, -1)]
    execute(database, *moved, insert(AuditRow).values(linked(3, second.hash)))
    assert written.verify().number == 4, "the third fits its place, and the one that was third does not follow it"


def test_an_entry_put_in_before_the_first_is_named(database, written):
    execute(database, insert(AuditRow).values(linked(0, "0" * 64)))
    broken = written.verify()
    assert (broken.number, broken.why) == (1, "Entry 1 is missing: entry 0 stands in its place.")


def test_an_entry_put_in_after_the_last_is_named(database, written):
    last = written.read(limit=1)[0]
    execute(database, insert(AuditRow).values(linked(7, last.hash)))
    broken = written.verify()
    assert (broken.number, "put in afterwards" in broken.why) == (7, True)


def test_entries_that_changed_places_are_named(database, written):
    places = ((3, -1), (4, 3), (-1, 4))
    execute(database, *(update(AuditRow).where(AuditRow.number == a).values(number=b) for a, b in places))
    assert written.verify().number == 3


def test_a_state_that_was_removed_or_set_back_shows(database, written):
    execute(database, update(AuditStateRow).values(last_number=5, last_hash=written.read(before=6)[0].hash))
    assert written.verify().number == 6
    execute(database, delete(AuditStateRow))
    assert "The row of audit_state is gone" in written.verify().why


def test_a_moment_that_is_none_is_a_finding_and_no_crash(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")  # PostgreSQL takes no such value
    database.migrate()
    log = AuditLog(database)
    log.append("mo", "login", "mo")
    for change in ("at = 'yesterday'", "actor = x'ff'", "details = x'ff'", "number = 'one'"):
        execute(database, text(f"UPDATE audit_log SET {change}"))
        assert log.verify().number == 1
    database.close()


def test_writers_at_the_same_time_make_one_chain(database):
    logs = [AuditLog(database) for _ in range(8)]

    def write(who):
        return [logs[who].append(f"mo-{who}", "face_viewed", f"case-{number}") for number in range(25)]

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(write, range(8)))
    assert sorted(number for own in numbers for number in own) == list(range(1, 201))
    assert all(own == sorted(own) for own in numbers)
    assert logs[0].verify() is None
    of_one = [one.subject for one in logs[0].read(actor="mo-3")]
    assert of_one == [f"case-{number}" for number in reversed(range(25))]


def test_an_entry_within_a_transaction_stands_or_falls_with_it(database, log):
    log.append("mo", "login", "mo")
    with pytest.raises(ZeroDivisionError), database.write() as session:
        log.append_in(session, "mo", "case_decided", "case-1")
        log.append_in(session, "mo", "case_decided", "case-2")
        _ = 1 / 0
    with database.write() as session:
        numbers = [log.append_in(session, "mo", "case_claimed", f"case-{one}") for one in range(3)]
    assert numbers == [2, 3, 4]
    assert [one.action for one in log.read()] == ["case_claimed"] * 3 + ["login"]
    assert log.verify() is None


def test_what_is_no_json_is_refused_and_leaves_nothing(log):
    for details in ({"score": float("nan")}, {"at": NOON}):
        with pytest.raises((TypeError, ValueError)):
            log.append("mo", "login", "mo", details)
    assert log.append("mo", "login", "mo") == 1


def test_a_hundred_thousand_entries_are_verified_in_little_memory_and_with_progress(database, log):
    rows, previous = [], "0" * 64
    for number in range(1, 100_001):
        rows.append(linked(number, previous, NOON + timedelta(seconds=number), details={"case": number}))
        previous = rows[-1]["hash"]
    with database.write() as session:
        for first in range(0, len(rows), 10_000):
            session.execute(insert(AuditRow), rows[first : first + 10_000])
        session.execute(update(AuditStateRow).values(last_number=number, last_hash=previous))
    del rows
    told = []
    tracemalloc.start()
    try:
        assert log.verify(lambda done, total: told.append((done, total))) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    assert told == [(done, 100_000) for done in range(1000, 100_001, 1000)]
    execute(database, update(AuditRow).where(AuditRow.number == 99_999).values(actor="lee"))
    assert log.verify().number == 99_999


def test_an_account_that_may_not_change_the_log_can_append_and_verify(postgres):
    owner = open_database(url := postgres.create_database())
    owner.migrate()
    name = f"console_{url.rpartition('_')[2]}"
    execute(
        owner,
        text(f"CREATE ROLE {name} LOGIN"),
        text(f"GRANT SELECT, INSERT ON audit_log TO {name}"),
        text(f"GRANT SELECT, UPDATE ON audit_state TO {name}"),
    )
    console = open_database(url.replace("postgres@", f"{name}@"))
    log = AuditLog(console)
    log.append("mo", "login", "mo")
    assert log.append("mo", "logout", "mo") == 2
    assert log.verify() is None
    for change in (update(AuditRow).values(actor="lee"), delete(AuditRow)):
        with pytest.raises(ProgrammingError, match="permission denied"):
            execute(console, change)
    console.close()
    owner.close()
