"""The API as a platform's tools use it, over HTTP: tokens and scopes, cases, decisions, pictures, what is refused."""

import base64
import json
import uuid
from datetime import timedelta

import numpy as np
import pytest
import urllib3
from openapi_spec_validator import validate
from sqlalchemy import update

from records.casework.cases import CasePicture, NewCase
from records.casework.schema_cases import CaseRow
from records.database import open_database
from records.people.api_tokens import SCOPES
from tests.support.clock import START
from tests.support.console_site import PASSWORD, Visitor, make_desk, running_site, text_of
from tests.support.portraits import jpeg

PEOPLE = {"mia": "moderator", "max": "moderator", "lea": "lead", "aud": "auditor"}


class Program:
    """A platform's tool with a token."""

    def __init__(self, site, token, **headers):
        self.site = site
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.headers |= headers
        self._pool = urllib3.PoolManager(retries=False, timeout=20)

    def get(self, path, **query):
        fields = {name: str(value) for name, value in query.items()}
        return self._pool.request("GET", f"{self.site}/api/v1{path}", fields=fields, headers=self.headers)

    def post(self, path, body=None, **headers):
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return self._pool.request("POST", f"{self.site}/api/v1{path}", json=body or {}, headers=sent)

    def act(self, path, login, **body):
        return self.post(path, {"acting_for": login, **body})


@pytest.fixture
def desk(database, clock):
    desk = make_desk(database, clock)
    for login, role in PEOPLE.items():
        desk.moderators.add(login, login.title(), role, PASSWORD)
    return desk


@pytest.fixture
def program(site, desk):
    """A program that may do everything."""
    return Program(site, desk.tokens.add("tool", SCOPES, by="system")[0])


@pytest.fixture
def open_case(desk, clock):
    """Opens a case of the queue `faces`; gives its id."""

    def make(shown=False, **facts):
        clock.pass_by(seconds=1)
        case_id = str(uuid.uuid4())
        finding = {"kind": "same_person", "priority": 60, "similarity": 0.7, "threshold": 0.55, "identity_id": "idn_a"}
        evidence = {"findings": [finding], "faces": 1, "threshold": 0.55, "sure_threshold": 0.6, "model_pack": "test@1"}
        new = {"id": case_id, "event_id": f"event-{case_id}", "account_id": "acct-1", "handle": "ana"}
        new |= {"display_name": "Ana", "account_created_at": START, "uploaded_at": START, "screened_at": START}
        new |= {"kind": "same_person", "identity_id": None, "identity_kind": "celebrity", "priority": 50, "held": False}
        picture = CasePicture(avatar(), {"avatar": [], "references": {}}) if shown else None
        assert desk.cases.open(NewCase(**new | {"evidence": json.dumps(evidence)} | facts), picture)
        return case_id

    return make


def avatar():
    return jpeg(np.full((60, 80, 3), 120, np.uint8))


def login_id(desk, login):
    return desk.moderators.by_login(login).id


def reason_of(answer):
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status
    assert document["type"] == f"urn:likeness:problem:{document['reason']}"
    assert document["detail"].endswith(".")
    return answer.status, document["reason"]


def decide(program, case_id, login="mia", key=None, **body):
    said = {"acting_for": login, "decision": "not_this_person", "reason": "look_alike"} | body
    return program.post(f"/cases/{case_id}/decide", said, **({"Idempotency_Key": key} if key else {}))


def close(desk, clock):
    clock.pass_by(seconds=60)
    desk.decisions.finish_due()
    clock.pass_by(seconds=6)


def test_a_program_decides_a_case_for_a_moderator_and_learns_when_it_is_final(desk, clock, program, open_case):
    case_id = open_case()
    clock.pass_by(seconds=6)
    (listed,) = program.get("/cases", state="open", queue="faces").json()["cases"]
    assert listed["id"] == case_id
    claimed = program.act(f"/cases/{case_id}/claim", "mia")
    assert (claimed.status, claimed.json()["claimed_by"]) == (200, login_id(desk, "mia"))
    decided = decide(program, case_id, note="another nose").json()
    assert (decided["decision"]["state"], decided["case"]["state"]) == ("pending", "decided")
    assert program.get("/decisions").json()["decisions"] == []
    close(desk, clock)
    page = program.get("/decisions").json()
    assert [(one["case_id"], one["decision"], one["state"]) for one in page["decisions"]] == [
        (case_id, "not_this_person", "final")
    ]
    assert program.get("/decisions", cursor=page["next"]).json() == {"decisions": [], "next": page["next"]}
    assert program.get(f"/cases/{case_id}").json()["decisions"][0]["note"] == "another nose"


def test_what_a_program_did_stands_in_the_audit_log_under_its_name(desk, clock, site, open_case):
    text, token = desk.tokens.add("tool", SCOPES, by="operator:root")
    program, case_id, mia = Program(site, text), open_case(shown=True), login_id(desk, "mia")
    program.act(f"/cases/{case_id}/claim", "mia")
    assert program.get(f"/cases/{case_id}/avatar.jpg", acting_for="mia").data == avatar()
    made = decide(program, case_id).json()["decision"]["id"]
    program.act(f"/decisions/{made}/undo", "mia")
    entries = list(reversed(desk.audit.read(actor=f"token:{token.id}")))
    assert [entry.action for entry in entries] == ["case_claimed", "face_viewed", "case_decided", "decision_undone"]
    assert {entry.details["acting_for"] for entry in entries} == {mia}
    assert {entry.subject for entry in entries} == {case_id}
    (added,) = desk.audit.read(subject=token.id)
    assert (added.actor, added.action, text in json.dumps(dict(added.details))) == (
        "operator:root",
        "token_added",
        False,
    )


def test_a_repeat_under_the_same_key_decides_nothing_and_gives_the_same_decision(program, open_case):
    case_id = open_case()
    program.act(f"/cases/{case_id}/claim", "mia")
    first = decide(program, case_id, key="a-1")
    again = decide(program, case_id, key="a-1")
    assert (first.status, again.status) == (200, 200)
    assert first.json() == again.json()
    assert len(program.get(f"/cases/{case_id}").json()["decisions"]) == 1
    assert reason_of(decide(program, case_id)) == (409, "claim_lost")
    assert reason_of(decide(program, case_id, key="a-1", reason="other")) == (422, "key_reused")
    assert reason_of(decide(program, case_id, key="a-1", note="It is her.")) == (422, "key_reused")
    assert reason_of(decide(program, case_id, key="a-2")) == (409, "claim_lost")


def test_four_eyes_hold_across_api_and_pages(desk, program, site, open_case):
    case_id = open_case(identity_kind="victim", kind="same_person")
    program.act(f"/cases/{case_id}/claim", "mia")
    assert decide(program, case_id).json()["case"]["stage"] == "second"
    assert reason_of(program.act(f"/cases/{case_id}/claim", "mia")) == (409, "decided_by_you")
    assert program.get(f"/cases/{case_id}").json()["decisions"] == []  # the second one judges alone
    visitor = Visitor(site)
    visitor.log_in("mia")
    assert visitor.post(f"/case/{case_id}/claim", form_of="/queue").status == 409
    assert program.act(f"/cases/{case_id}/claim", "max").status == 200
    assert decide(program, case_id, "max").json()["case"]["state"] == "decided"


def test_who_holds_a_case_on_the_pages_holds_it_for_programs_too(desk, program, open_case):
    case_id = open_case()
    desk.claims.claim(case_id, login_id(desk, "max"), "moderator")
    assert reason_of(program.act(f"/cases/{case_id}/claim", "mia")) == (409, "held_by_another")
    assert reason_of(decide(program, case_id)) == (409, "claim_lost")
    assert reason_of(program.act(f"/cases/{case_id}/renew", "mia")) == (409, "claim_lost")
    assert program.act(f"/cases/{case_id}/renew", "max").json()["claimed_until"]
    assert program.act(f"/cases/{case_id}/release", "max").status == 204
    assert program.act(f"/cases/{case_id}/claim", "mia").status == 200


def test_a_page_of_cases_follows_the_other_and_none_comes_twice(clock, program, open_case):
    opened = [open_case(account_id=f"acct-{number % 2}") for number in range(7)]
    clock.pass_by(seconds=6)
    seen, cursor = [], {}
    while True:
        page = program.get("/cases", limit=3, **cursor).json()
        seen += [case["id"] for case in page["cases"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == opened
    assert [case["id"] for case in program.get("/cases", account="acct-1").json()["cases"]] == opened[1::2]
    since = (START + timedelta(seconds=6)).isoformat()
    assert [case["id"] for case in program.get("/cases", opened_since=since).json()["cases"]] == opened[5:]
    assert program.get("/cases", queue="victims").json()["cases"] == []
    assert program.get("/cases", identity="nobody").json()["cases"] == []


def test_copies_that_test_reviewers_never_show(desk, database, clock, program, open_case):
    case_id, plain = open_case(), open_case()
    with database.write() as session:
        session.execute(update(CaseRow).where(CaseRow.id == case_id).values(golden_id="golden"))
    clock.pass_by(seconds=6)
    assert [case["id"] for case in program.get("/cases").json()["cases"]] == [plain]
    for answer in (
        program.get(f"/cases/{case_id}"),
        program.get(f"/cases/{case_id}/avatar.jpg", acting_for="lea"),
        program.act(f"/cases/{case_id}/claim", "mia"),
        decide(program, case_id),
        program.post(f"/cases/{case_id}/appeals", {"text": "no"}),
    ):
        assert reason_of(answer) == (404, "unknown_case")


def test_a_picture_is_served_to_who_holds_the_case_then_to_leads_and_kept_by_nobody(program, open_case):
    case_id = open_case(shown=True)
    assert program.get(f"/cases/{case_id}").json()["avatar"] == f"/api/v1/cases/{case_id}/avatar.jpg"
    assert reason_of(program.get(f"/cases/{case_id}/avatar.jpg", acting_for="mia")) == (409, "claim_lost")
    program.act(f"/cases/{case_id}/claim", "mia")
    for login in ("lea", "max"):
        assert reason_of(program.get(f"/cases/{case_id}/avatar.jpg", acting_for=login)) == (409, "claim_lost")
    answer = program.get(f"/cases/{case_id}/avatar.jpg", acting_for="mia")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "private, no-store")
    decide(program, case_id)
    assert program.get(f"/cases/{case_id}/avatar.jpg", acting_for="lea").status == 200
    assert reason_of(program.get(f"/cases/{case_id}/avatar.jpg", acting_for="mia")) == (409, "claim_lost")
    bare = open_case()
    assert program.get(f"/cases/{bare}").json()["avatar"] is None
    program.act(f"/cases/{bare}/claim", "lea")
    assert reason_of(program.get(f"/cases/{bare}/avatar.jpg", acting_for="lea")) == (410, "picture_gone")


def test_a_confirmed_case_has_a_statement_and_an_appeal_opens_it_again(desk, clock, program, open_case):
    case_id = open_case()
    assert reason_of(program.get(f"/cases/{case_id}/statement")) == (404, "no_statement")
    program.act(f"/cases/{case_id}/claim", "mia")
    decide(program, case_id, decision="confirmed", reason="same_person")
    assert reason_of(program.post(f"/cases/{case_id}/appeals", {"text": "It is me."})) == (409, "appeal_too_early")
    close(desk, clock)
    assert program.get(f"/cases/{case_id}").json()["statement"] == f"/api/v1/cases/{case_id}/statement"
    statement = program.get(f"/cases/{case_id}/statement").json()
    assert statement["fields"]["automated_decision"] == "AUTOMATED_DECISION_NOT_AUTOMATED"
    assert statement["texts"]["en"]
    appealed = program.post(f"/cases/{case_id}/appeals", {"text": "It is me."})
    assert (appealed.status, appealed.json()["state"]) == (201, "open")
    assert program.get(f"/cases/{case_id}").json()["stage"] == "appeal"
    assert reason_of(program.act(f"/cases/{case_id}/claim", "mia")) == (409, "decided_by_you")


def test_queues_are_counted(program, open_case):
    case_id = open_case()
    open_case()
    program.act(f"/cases/{case_id}/claim", "mia")
    counts = {one["queue"]: (one["open"], one["claimed"]) for one in program.get("/queues").json()}
    assert counts["faces"] == (2, 1)
    assert counts["victims"] == (0, 0)


def test_nobody_enters_without_a_token_in_force(desk, clock, site):
    text, token = desk.tokens.add("short", SCOPES, expires_at=clock() + timedelta(hours=1), by="system")
    assert Program(site, text).get("/queues").status == 200
    for wrong in (None, "lk_wrong", "", text[:-1], text + "x", text.upper()):
        answer = Program(site, wrong).get("/queues")
        assert reason_of(answer) == (401, "no_token")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    clock.pass_by(hours=1)
    assert reason_of(Program(site, text).get("/queues")) == (401, "no_token")
    text, token = desk.tokens.add("revoked", SCOPES, by="system")
    desk.tokens.revoke(token.id, by="system")
    assert reason_of(Program(site, text).get("/queues")) == (401, "no_token")


def test_a_login_of_the_pages_opens_nothing_here(site):
    visitor = Visitor(site)
    visitor.log_in("lea")
    assert reason_of(visitor.get("/api/v1/queues")) == (401, "no_token")


@pytest.mark.parametrize(
    ("scope", "asked"),
    [
        ("cases:read", lambda program, case: program.get(f"/cases/{case}")),
        ("cases:read", lambda program, case: program.get("/decisions")),
        ("cases:read", lambda program, case: program.get(f"/cases/{case}/statement")),
        ("cases:decide", lambda program, case: program.act(f"/cases/{case}/claim", "mia")),
        ("cases:decide", lambda program, case: decide(program, case)),
        ("pictures:read", lambda program, case: program.get(f"/cases/{case}/avatar.jpg", acting_for="lea")),
        ("appeals:write", lambda program, case: program.post(f"/cases/{case}/appeals", {"text": "no"})),
    ],
)
def test_a_token_without_the_scope_is_turned_away_and_that_is_noted(desk, site, open_case, scope, asked):
    case_id = open_case()
    text, token = desk.tokens.add("narrow", set(SCOPES) - {scope}, by="system")
    assert reason_of(asked(Program(site, text), case_id)) == (403, "scope_missing")
    (entry,) = desk.audit.read(actor=token.actor)
    assert (entry.action, entry.details["scope"]) == ("forbidden", scope)


def test_only_somebody_who_works_cases_is_acted_for(desk, program, open_case):
    case_id = open_case()
    desk.moderators.disable(login_id(desk, "max"))
    assert reason_of(program.act(f"/cases/{case_id}/claim", "aud")) == (403, "wrong_role")
    assert reason_of(program.act(f"/cases/{case_id}/claim", "nobody")) == (422, "unknown_moderator")
    assert reason_of(program.act(f"/cases/{case_id}/claim", "max")) == (422, "unknown_moderator")


def test_what_cannot_be_read_is_said_field_by_field(program, open_case):
    case_id = open_case()
    program.act(f"/cases/{case_id}/claim", "mia")
    answer = program.post(f"/cases/{case_id}/decide", {"acting_for": "mia", "decision": "ban", "reason": "other"})
    assert reason_of(answer) == (422, "unreadable_request")
    assert answer.json()["errors"][0]["where"] == "body.decision"
    assert reason_of(decide(program, case_id, reason="because")) == (422, "reason_missing")
    assert reason_of(decide(program, case_id, identity_id="nobody")) == (422, "decision_not_offered")
    assert reason_of(program.get("/cases", cursor="!")) == (422, "wrong_cursor")
    assert reason_of(program.get("/cases", limit=1000)) == (422, "unreadable_request")
    assert reason_of(program.get("/cases", opened_since="yesterday")) == (422, "unreadable_request")
    assert reason_of(program.get("/cases/none")) == (404, "unknown_case")
    assert reason_of(program.get("/cases/%00")) == (422, "unreadable_request")
    assert reason_of(program.get("/nowhere")) == (404, "not_found")
    assert reason_of(program.post("/cases")) == (405, "wrong_method")
    assert reason_of(program.act("/decisions/none/undo", "mia")) == (404, "unknown_decision")
    assert reason_of(program.post(f"/cases/{case_id}/claim", {"acting_for": "m" * 300_000})) == (413, "too_large")


def test_no_body_finds_a_fault(program, open_case):
    case_id = open_case()
    sent = program.headers | {"Content-Type": "application/json"}
    bodies = (
        b'{"acting_for": "\\ud800"}',
        b'{"acting_for": "mia", "\\ud800": 1}',
        b'{"acting_for": "mia", "decision": "\\udfff", "reason": "other"}',
        b'{"acting_for": "mia", "decision": "confirmed", "reason": "\\ud800", "note": "\\ud800"}',
        b'{"acting_for": "mia", "decision": "confirmed", "reason": "other", "identity_id": "\\ud800"}',
        b'{"text": "\\ud800"}',
        b'{"acting_for": "a\\u0000b"}',
        b"[" * 90_000,
        b"\xff\xfe",
        b'{"acting_for": ' + b"9" * 9_000 + b"}",
    )
    for body in bodies:
        for what in ("claim", "decide", "appeals"):
            url = f"{program.site}/api/v1/cases/{case_id}/{what}"
            answer = urllib3.request("POST", url, body=body, headers=sent)
            assert reason_of(answer)[1] in ("unreadable_request", "unknown_moderator"), body


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_moments_at_the_ends_of_time_are_read_or_refused(program, at):
    cursor = base64.urlsafe_b64encode(f"{at} x".encode()).decode().rstrip("=")
    for path, query in (("/cases", "opened_since"), ("/decisions", "since")):
        assert program.get(path, **{query: at}).status in (200, 422)
        assert program.get(path, cursor=cursor).status in (200, 422)


def test_a_program_that_asks_too_often_is_told_when_to_come_back(program):
    answers = [program.get("/queues") for _ in range(201)]
    assert [answer.status for answer in answers] == [200] * 200 + [429]
    assert reason_of(answers[-1]) == (429, "too_many")
    assert answers[-1].headers["Retry-After"] == "1"


def test_when_a_token_was_used_is_known_to_the_minute(desk, clock, site):
    text, _ = desk.tokens.add("tool", SCOPES, by="system")
    assert desk.tokens.list()[0].used_at is None
    for _ in range(3):
        Program(site, text).get("/queues")
        clock.pass_by(seconds=25)
    assert desk.tokens.list()[0].used_at == START
    Program(site, text).get("/queues")
    assert desk.tokens.list()[0].used_at == START + timedelta(seconds=75)


def test_the_openapi_document_is_valid_complete_and_for_everybody(site):
    document = Program(site, None).get("/openapi.json").json()
    validate(document)
    assert document["servers"] == [{"url": "/api/v1"}]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"] and operation["operationId"] and operation["summary"], (path, method)
            assert operation["security"] == [{"token": []}]
            assert {"401", "403", "422", "429", "503"} <= operation["responses"].keys()
            refusals = [answer for status, answer in operation["responses"].items() if int(status) >= 400]
            assert {kind for answer in refusals for kind in answer["content"]} == {"application/problem+json"}


def test_where_cases_are_worked_in_coop_pages_give_none_out_and_the_api_still_decides(database, clock):
    coop = {"url": "https://coop.example.com", "api_key": "x", "only": True}
    coop |= {"item_type_id": "a", "reporter_type_id": "b"}
    desk = make_desk(database, clock, coop=coop)
    desk.moderators.add("mia", "Mia", "moderator", PASSWORD)
    case_id = str(uuid.uuid4())
    about = {"id": case_id, "event_id": "event-1", "account_id": "acct-1", "handle": None, "display_name": None}
    about |= {"account_created_at": None, "uploaded_at": None, "screened_at": START, "kind": "same_person"}
    about |= {"identity_id": None, "identity_kind": "celebrity", "priority": 50, "held": False}
    known = dict.fromkeys(("model_pack", "gallery_version", "threshold", "faces", "picture_width", "picture_height"))
    about |= {"evidence": json.dumps(known | {"findings": []})}
    assert desk.cases.open(NewCase(**about), None)
    with running_site(desk) as site:
        visitor = Visitor(site)
        visitor.log_in("mia")
        for path in ("/case/next", f"/case/{case_id}/claim", "/campaign/picture/none/claim"):
            answer = visitor.post(path, form_of="/queue", Accept="application/json")
            assert (answer.status, answer.json()["error"]) == (409, "worked_in_coop")
        for path in ("/queue", f"/case/{case_id}"):
            page = text_of(visitor.get(path))
            assert "Cases are worked in Coop." in page
            assert not any(button in page for button in ("Start", "Work only this", "Take this case", "Take the next"))
        program = Program(site, desk.tokens.add("coop", SCOPES, by="system")[0])
        assert program.act(f"/cases/{case_id}/claim", "mia").status == 200
        assert decide(program, case_id).status == 200


def test_while_the_database_is_away_programs_are_told_to_try_again(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")  # nobody has made its tables
    with running_site(make_desk(database)) as site:
        answer = Program(site, "lk_any").get("/queues")
    assert reason_of(answer) == (503, "schema_mismatch")
    assert answer.headers["Retry-After"] == "10"
    database.close()
