"""The audit log's page: who may read it, how it is narrowed, proven and taken away, and that nothing goes unwritten."""

import json
import re
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from sqlalchemy import insert, update

from records.audit import Action, AuditLog, entry_hash
from records.audit_export import check_export
from records.people.schema_people import ModeratorRow
from records.schema_audit import AuditRow
from tests.support.clock import Clock
from tests.support.console_site import Visitor, make_desk, place_of, text_of
from web.console.audit_check import AuditCheck
from web.console.audit_words import ACTIONS

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROLES = ("moderator", "lead", "curator", "administrator", "auditor")


@pytest.fixture
def clock():
    return Clock(START)


@pytest.fixture
def desk(database, clock):
    people = [{"id": role, "login": role, "name": role.title(), "role": role} for role in ROLES]
    common = {"settings": "{}", "failures": 0, "created_at": START}
    with database.write() as session:
        session.execute(insert(ModeratorRow), [one | common for one in people])
    return make_desk(database, clock)


@pytest.fixture
def seat(desk, site):
    """Gives a visitor in whose name a session has begun."""

    def sit(login):
        visitor = Visitor(site)
        visitor.cookies["__Host-likeness"], _ = desk.sessions.begin(login)
        return visitor

    return sit


@pytest.fixture
def written(desk, clock):
    """Entries of two days: on the first a moderator took 60 cases, on the second a lead decided on one of them."""
    cases = [str(uuid.uuid4()) for _ in range(60)]
    for case in cases:
        desk.audit.append("moderator", "case_claimed", case)
    clock.now += timedelta(days=1)
    desk.audit.append("lead", "case_decided", cases[0], {"decision": "confirmed", "reason": "<other>"})
    return cases


@pytest.fixture
def auditor(written, seat):
    return seat("auditor")


def entries(page):
    """The lines of the log that the page shows."""
    listed = re.search(r'<ol class="log.*?</ol>', page.data.decode(), re.DOTALL)
    items = re.findall(r"<li>(.*?)</li>", listed[0], re.DOTALL) if listed else []
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", item)).strip() for item in items]


def test_it_is_read_by_auditors_and_administrators_only(seat):
    opened = {role: seat(role).get("/audit").status for role in ROLES}
    assert opened == dict.fromkeys(ROLES, 403) | {"auditor": 200, "administrator": 200}
    for path in ("/audit/verify", "/audit/export"):
        assert seat("lead").post(path, form_of="/account").status == 403


def test_an_auditor_begins_there(auditor):
    assert place_of(auditor.get("/")) == "/audit"


def test_an_entry_says_in_words_who_did_what(auditor, written):
    newest, before = entries(auditor.get("/audit"))[:2]
    assert re.search(rf"Lead Decided on a case {written[0]} .*decision=confirmed", newest)
    assert "reason=&lt;other&gt;" in newest
    assert re.search(rf"Moderator Took a case {written[-1]}", before)
    assert "做出" not in newest
    assert "作出决定" in entries(auditor.get("/audit", Accept_Language="zh-CN"))[0]


def test_every_action_that_can_be_noted_is_said_in_words():
    assert set(ACTIONS) == set(get_args(Action))


def test_the_whole_log_can_be_leafed_through_once(auditor, desk, written):
    path, seen = "/audit", []
    while path:
        page = auditor.get(path)
        seen += [int(line.split()[0]) for line in entries(page)]
        older = re.search(r'<a class="button" href="([^"]+)" data-key="o"', page.data.decode())
        path = older and older[1].replace("&amp;", "&")
    assert seen == list(range(desk.audit.read(limit=1)[0].number, 0, -1))


def test_it_is_narrowed_by_who_what_and_when(auditor):
    for asked, count in (
        ("actor=lead", 1),
        ("actor=Lead+&action=case_decided", 1),
        ("actor=lead&action=case_claimed", 0),
        ("action=case_decided", 1),
        ("since=2026-03-02", 1),
        ("until=2026-03-01&action=case_claimed", 50),
        ("since=2026-03-02&until=2026-03-02", 1),
        ("since=2027-01-01", 0),
        ("until=2020-01-01", 0),
        ("actor=&subject=&action=&since=2026-03-02&until=", 1),
        ("before=1", 0),
    ):
        page = auditor.get(f"/audit?{asked}")
        assert len(entries(page)) == count, asked
        assert ("No entry is like that." in text_of(page)) is (count == 0), asked


def test_it_is_narrowed_by_a_case_and_by_a_person(auditor, desk, written):
    assert [line.split()[0] for line in entries(auditor.get(f"/audit?subject={written[0]}"))] == ["61", "1"]
    desk.moderators.set_role("lead", "moderator", by="administrator")
    (changed,) = entries(auditor.get("/audit?subject=lead"))
    assert "Administrator Changed a person Lead role=moderator" in changed


@pytest.mark.parametrize(
    "asked", ["since=yesterday", "until=99999-01-01", "since=9999-12-31", "before=0", f"before={2**64}"]
)
def test_what_cannot_be_asked_is_told_so(auditor, asked):
    page = auditor.get(f"/audit?{asked}")
    assert (page.status, "This address could not be read" in text_of(page)) == (422, True)


def test_a_button_proves_the_log_whole_and_shows_the_hash_to_keep(auditor, desk, written):
    assert place_of(auditor.post("/audit/verify", form_of="/audit")) == "/audit"
    page = text_of(auditor.get("/audit"))
    newest = desk.audit.read(limit=1)[0]
    assert f"The log is whole up to entry {newest.number}." in page
    assert newest.hash in page


def test_a_button_names_the_first_broken_entry(auditor, desk, database, written):
    with database.write() as session:
        session.execute(update(AuditRow).where(AuditRow.number == 9).values(details="{"))
    auditor.post("/audit/verify", form_of="/audit")
    page = auditor.get(f"/audit?subject={written[8]}")
    assert "The log is broken from entry 9 on." in text_of(page)
    assert "unreadable={" in entries(page)[0]


def test_a_long_check_goes_on_in_the_background_and_tells_how_far_it_is(database, clock):
    audit = AuditLog(database, clock=clock)
    for number in range(1_200):
        audit.append("mo", "case_claimed", f"case-{number}")
    check = AuditCheck(audit, clock)
    with database.write():  # nothing is held up by it, nor holds it up
        check.start(0)
        running = check.state
        check.start(60)
    assert running.ended is None
    assert (check.state.ended, check.state.broken, check.state.newest.number) == (clock.now, None, 1_200)


def export_of(visitor, **asked):
    answer = visitor.post("/audit/export", asked, form_of="/audit")
    assert answer.status == 200
    assert re.fullmatch(
        r'attachment; filename="likeness-audit-\d{8}-\d{6}\.jsonl"', answer.headers["Content-Disposition"]
    )
    return answer.data.decode()


def verify(tmp_path, text):
    """What `likeness audit verify --file` says of the text, with its exit code; it has no database."""
    file = tmp_path / "export.jsonl"
    file.write_text(text)
    command = [sys.executable, "-m", "likeness", "audit", "verify", "--file", str(file)]
    environment = {"LIKENESS_DATABASE__URL": "postgresql://nobody@127.0.0.1:9/none", "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return ended.returncode, (ended.stdout or ended.stderr).strip()


def test_an_export_is_checked_without_a_database_and_is_itself_in_the_log(auditor, desk, written, tmp_path):
    text = export_of(auditor)
    newest = desk.audit.read(limit=1)[0]
    assert (newest.actor, newest.action, newest.subject) == ("auditor", "export", "audit_log")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["number"] for line in lines[:-1]] == list(range(1, newest.number + 1))
    assert lines[-1]["end"]["newest"] == {"number": newest.number, "hash": newest.hash}
    said = (
        f"The export is whole: {newest.number} of the entries 1 to {newest.number}. The hash of entry {newest.number}"
    )
    assert verify(tmp_path, text) == (0, f"{said} is {newest.hash}.")


def test_an_export_of_some_entries_says_what_is_left_out(auditor, written, tmp_path):
    text = export_of(auditor, subject=written[0])
    assert [json.loads(line).get("number") for line in text.splitlines()] == [1, 61, None]
    code, said = verify(tmp_path, text)
    assert (code, "2 of the entries 1 to 61; 59 between them were not asked for" in said) == (0, True)


def test_an_export_notes_what_was_asked_for_only_as_far_as_the_log_bears_it_already(auditor, desk, written):
    export_of(auditor, subject=written[0], actor="moderator", action="case_claimed", since="2026-03-01")
    export_of(auditor, subject="Mara Sample", actor="acct-mara", action="Mara")
    second, first = (entry.details["asked_for"] for entry in desk.audit.read(limit=2))
    assert first == {"subject": written[0], "actor": "moderator", "action": "case_claimed", "since": "2026-03-01"}
    assert second == {"subject": "unknown", "actor": "unknown", "action": "unknown"}


def test_an_export_that_was_tampered_with_is_found_out(auditor):
    lines = export_of(auditor).splitlines(keepends=True)
    assert check_export(lines).broken is None
    for tampered, line, why in (
        ([*lines[:3], lines[3].replace("case_claimed", "login"), *lines[4:]], 4, "The hash of entry 4 is not that"),
        (lines[:2] + lines[3:], 62, "The export had 62 entries, and 61 are here"),
        ([lines[1], lines[0], *lines[2:]], 2, "Entry 1 stands after entry 2"),
        (lines[:-1], 63, "The end is missing: the file was cut off."),
        ([*lines[:5], "no JSON\n", *lines[5:]], 6, "It is no line of an export."),
        ([*lines[:5], "[1]\n", *lines[5:]], 6, "It is no line of an export."),
        ([*lines[:5], "{}\n", *lines[5:]], 6, "It is no line of an export."),
        ([*lines[:-1], '{"end": 5}\n'], 63, "It is no line of an export."),
        ([*lines, lines[0]], 64, "It stands after the end"),
        ([], 1, "The end is missing"),
    ):
        found = check_export(tampered)
        assert (found.broken, found.why.startswith(why)) == (line, True), found


def test_an_entry_made_up_with_a_hash_to_match_does_not_fit_the_next_one(auditor):
    lines = export_of(auditor).splitlines(keepends=True)
    forged = json.loads(lines[3]) | {"action": "login"}
    at = datetime.fromisoformat(forged["at"])
    forged["hash"] = entry_hash(4, at, forged["actor"], "login", forged["subject"], "{}", forged["previous"])
    found = check_export([*lines[:3], json.dumps(forged), *lines[4:]])
    assert (found.broken, found.why.startswith("Entry 5 does not follow entry 4")) == (5, True)


def test_a_log_that_was_tampered_with_shows_in_its_export_too(auditor, database, written, tmp_path):
    for change, number in (({"details": "{"}, 9), ({"actor": "lee"}, 8)):
        with database.write() as session:
            session.execute(update(AuditRow).where(AuditRow.number == number).values(change))
        code, said = verify(tmp_path, export_of(auditor))
        assert (code, f"broken from line {number} on. The hash of entry {number}" in said) == (1, True), said


def test_a_hundred_thousand_entries_are_read_and_narrowed_quickly(auditor, desk, database, clock):
    rows = []
    for number in range(100, 100_100):
        rows.append(
            {"number": number, "at": START + timedelta(seconds=number), "actor": "moderator", "action": "face_viewed"}
        )
        rows[-1] |= {"subject": f"case-{number // 3}", "details": "{}", "hash": "0" * 64}
    with database.write() as session:
        for first in range(0, len(rows), 10_000):
            session.connection().execute(AuditRow.__table__.insert(), rows[first : first + 10_000])
    for asked in (
        "",
        "?actor=lead",
        "?action=export",
        "?subject=case-40",
        "?until=2026-02-28",
        "?since=2026-03-02&action=login",
    ):
        auditor.get(f"/audit{asked}")
        began = time.perf_counter()
        assert auditor.get(f"/audit{asked}").status == 200
        assert time.perf_counter() - began < 0.5, asked  # 50 ms on a quiet machine; without an index, seconds
