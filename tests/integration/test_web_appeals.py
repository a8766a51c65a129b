"""Statements of reasons and appeals over HTTP: what is said, to whom, and who may read and open what."""

import json
import re
import uuid
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from config import packaged
from records.casework.cases import NewCase
from tests.support.clock import START
from tests.support.console_site import PASSWORD, Visitor, make_desk, place_of, running_site, text_of

PEOPLE = {"mo": "moderator", "mia": "moderator", "lea": "lead", "aud": "auditor"}
SECRET = ("Ana Example", "idn_ana", "0.71", "0.55", "acct-77", "ana.real")
"""What no statement may say to the database: the person, the likeness, the account."""
SCHEMA = Draft202012Validator(
    json.loads((packaged("schemas") / "statement-of-reasons.schema.json").read_text()), format_checker=FormatChecker()
)


@pytest.fixture
def wording():
    """Settings of [console.statement] that differ."""
    return {}


@pytest.fixture
def desk(database, clock, wording):
    return make_desk(database, clock, console={"statement": wording})


@pytest.fixture
def people(desk):
    return {login: desk.moderators.add(login, login.title(), role, PASSWORD) for login, role in PEOPLE.items()}


@pytest.fixture
def log_in(desk, people):
    with running_site(desk) as address:

        def enter(login):
            visitor = Visitor(address)
            visitor.log_in(login)
            return visitor

        yield enter


@pytest.fixture
def confirmed(desk, people, clock):
    """Makes a case that mo has decided, final; gives its id."""

    def make(kind="same_person", decision="confirmed", final=True, **facts):
        clock.pass_by(seconds=1)
        finding = {"kind": kind, "identity_id": "idn_ana", "similarity": 0.71, "threshold": 0.55} | facts
        evidence = {"findings": [finding], "faces": 1, "picture_width": 800, "picture_height": 600}
        evidence |= {"model_pack": "test@1", "threshold": 0.55, "sure_threshold": 0.6, "gallery_version": 3}
        case_id = str(uuid.uuid4())
        new = {"id": case_id, "event_id": f"event-{case_id}", "account_id": "acct-77", "handle": "ana.real"}
        new |= {"display_name": "Ana Example", "account_created_at": None, "uploaded_at": START - timedelta(days=2)}
        new |= {"screened_at": START, "kind": kind, "identity_id": finding["identity_id"]}
        new |= {"identity_kind": "celebrity", "priority": 50, "held": False, "evidence": json.dumps(evidence)}
        assert desk.cases.open(NewCase(**new), None)
        decide(desk, people["mo"], case_id, decision)
        if final:
            close(desk, clock)
        return case_id

    return make


def decide(desk, moderator, case_id, decision):
    desk.claims.claim(case_id, moderator.id, moderator.role)
    return desk.decisions.decide(case_id, moderator.id, moderator.role, decision, "other")


def close(desk, clock):
    clock.pass_by(minutes=1)
    assert desk.decisions.finish_due() == 1
    clock.pass_by(minutes=1)


def fields_of(visitor, case_id):
    answer = visitor.get(f"/case/{case_id}/statement.json")
    assert answer.status == 200, text_of(answer)
    fields = json.loads(answer.data)
    SCHEMA.validate(fields)
    return fields


def text_for_user(visitor, case_id, language="en"):
    answer = visitor.get(f"/case/{case_id}/statement.txt?language={language}")
    assert answer.status == 200, text_of(answer)
    return answer.data.decode()


def exports(desk, case_id):
    return [one.details["form"] for one in desk.audit.read(subject=case_id) if one.action == "export"][::-1]


def test_a_confirmed_case_offers_a_statement_that_the_database_takes(log_in, confirmed, desk):
    case_id = confirmed()
    mo = log_in("mo")
    assert f'href="/case/{case_id}/statement"' in mo.get(f"/case/{case_id}").data.decode()
    fields = fields_of(mo, case_id)
    decision = desk.decisions.standing([case_id])[case_id]
    assert fields == {
        "decision_visibility": ["DECISION_VISIBILITY_CONTENT_REMOVED"],
        "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
        "incompatible_content_ground": "the rule against impersonation",
        "incompatible_content_explanation": fields["incompatible_content_explanation"],
        "content_type": ["CONTENT_TYPE_IMAGE"],
        "category": "STATEMENT_CATEGORY_SCAMS_AND_FRAUD",
        "category_specification": ["KEYWORD_IMPERSONATION_ACCOUNT_HIJACKING"],
        "territorial_scope": fields["territorial_scope"],
        "content_date": "2026-11-20",
        "application_date": "2026-11-22",
        "decision_facts": fields["decision_facts"],
        "source_type": "SOURCE_VOLUNTARY",
        "automated_detection": "Yes",
        "automated_decision": "AUTOMATED_DECISION_NOT_AUTOMATED",
        "puid": f"likeness-{decision.id}",
    }
    assert len(fields["territorial_scope"]) == 27


@pytest.mark.parametrize("kind", ["same_picture", "cropped_picture", "same_person", "look_alike_risk", "name_claim"])
def test_no_form_names_the_person_and_the_databases_not_the_account_either(log_in, confirmed, kind):
    case_id = confirmed(kind)
    mo = log_in("mo")
    for secret in SECRET:
        assert secret not in json.dumps(fields_of(mo, case_id))
    for language in ("en", "zh_Hans"):
        text = text_for_user(mo, case_id, language)
        assert "ana.real" in text
        assert not [secret for secret in SECRET[:4] if secret in text]


def test_a_picture_with_a_foreign_mark_is_no_impersonation_of_anybody(log_in, confirmed):
    case_id = confirmed("foreign_watermark", identity_id=None)
    fields = fields_of(log_in("mo"), case_id)
    assert fields["category_specification"] == ["KEYWORD_INAUTHENTIC_ACCOUNTS"]
    assert "carries a mark" in fields["decision_facts"]


@pytest.mark.parametrize(
    "wording",
    [
        {
            "platform": "Heartline",
            "restrictions": ["account_suspended", "account_terminated", "content_disabled"],
            "ground": "law",
            "clause": "Section 42 of the Act",
            "clause_url": "https://law.example/42",
            "territorial_scope": ["EEA"],
            "complaint": "Write to appeals@heartline.example.",
            "dispute_body": "Fair Settlement, https://fair.example",
            "court": "District Court of Example",
        }
    ],
)
def test_a_platform_says_what_it_restricts_by_which_law_and_where_to_object(log_in, confirmed):
    case_id = confirmed()
    mo = log_in("mo")
    fields = fields_of(mo, case_id)
    assert fields["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_DISABLED"]
    assert fields["decision_account"] == "DECISION_ACCOUNT_TERMINATED", "the graver one"
    assert fields["illegal_content_legal_ground"] == "Section 42 of the Act"
    assert fields["decision_ground_reference_url"] == "https://law.example/42"
    assert {"IS", "LI", "NO"} < set(fields["territorial_scope"])
    text = text_for_user(mo, case_id)
    for said in ("Heartline", "closed your account", "illegal: Section 42 of the Act.", "https://law.example/42"):
        assert said in text
    for said in ("European Economic Area", "appeals@heartline.example", "Fair Settlement", "District Court of Example"):
        assert said in text


def test_the_text_says_all_that_article_17_asks_for(log_in, confirmed):
    text = text_for_user(log_in("mo"), confirmed())
    asked = {
        "the restriction, where and for how long": "removed your profile picture.*without an end date.*European Union",
        "the facts, and whether by a notice": "shows another person.*Our own checks found this, not a notice",
        "the use of automated means": "A program compares.*did not decide: a person did",
        "the ground in the terms": "breaks our terms: the rule against impersonation",
        "redress": "object within six months.*out-of-court dispute settlement.*go to court",
    }
    assert not [what for what, said in asked.items() if not re.search(said, text, re.DOTALL)]


def test_the_schema_refuses_what_the_database_refuses(log_in, confirmed):
    fields = fields_of(log_in("mo"), confirmed())
    for spoilt in (
        fields | {"puid": "a b"},
        fields | {"account_id": "acct-77"},
        fields | {"category": "STATEMENT_CATEGORY_NON_CONSENSUAL_BEHAVIOUR"},
        fields | {"decision_ground": "DECISION_GROUND_ILLEGAL_CONTENT"},
        {name: value for name, value in fields.items() if name != "decision_visibility"},
        fields | {"territorial_scope": ["US"]},
        fields | {"content_date": "22.11.2026"},
    ):
        assert not SCHEMA.is_valid(spoilt)


def test_only_who_decided_and_leads_read_it_and_each_look_is_an_export(log_in, confirmed, desk):
    case_id = confirmed(final=False)
    mo, mia, lea, aud = (log_in(login) for login in PEOPLE)
    assert mo.get(f"/case/{case_id}/statement").status == 200, "as soon as it is decided"
    assert lea.get(f"/case/{case_id}/statement.json").status == 200
    assert mo.get(f"/case/{case_id}/statement.txt?language=zh_Hans").status == 200
    for page in ("statement", "statement.json", "statement.txt"):
        assert mia.get(f"/case/{case_id}/{page}").status == 403
        assert aud.get(f"/case/{case_id}/{page}").status == 403
    assert "Statement of reasons" not in text_of(mia.get(f"/case/{case_id}"))
    assert exports(desk, case_id) == ["page", "json", "text"]


def test_a_case_that_is_not_confirmed_has_none(log_in, confirmed):
    case_id = confirmed(decision="not_this_person")
    lea = log_in("lea")
    answer = lea.get(f"/case/{case_id}/statement")
    assert (answer.status, "no statement of reasons" in text_of(answer)) == (404, True)
    assert f"/case/{case_id}/statement" not in lea.get(f"/case/{case_id}").data.decode()


def test_an_appeal_is_noted_on_the_cases_page_and_judged_by_another_person(log_in, confirmed, desk, clock):
    case_id = confirmed()
    mo, mia, lea = (log_in(login) for login in ("mo", "mia", "lea"))
    sent = {"text": "It is <me>: my passport says so."}
    assert place_of(mo.post(f"/case/{case_id}/appeal", sent, form_of=f"/case/{case_id}")) == f"/case/{case_id}"
    assert mo.get(f"/case/{case_id}/statement").status == 404, "it is being judged anew"
    listed = text_of(lea.get("/appeals"))
    assert "It is <me>" in listed and "acct-77" in listed
    assert place_of(mo.post("/case/next", form_of="/queue")).startswith("/queue"), "who decided is not asked again"
    assert place_of(mia.post("/case/next", form_of="/queue")) == f"/case/{case_id}"
    page = text_of(mia.get(f"/case/{case_id}"))
    assert "It is <me>" in page and "Against: Impersonation" in page
    assert "Decisions on this case" not in page
    assert "Mo" not in re.findall(r"\b\w+\b", page.replace("Mo Li", "")), "not who decided"
    assert "Mia is working on it" in text_of(lea.get("/appeals"))
    decided = {"decision": "genuine_owner", "reason": "other"}
    mia.post(f"/case/{case_id}/decide", decided, form_of=f"/case/{case_id}")
    close(desk, clock)
    assert "Decided otherwise" in text_of(mia.get(f"/case/{case_id}"))
    assert "No appeal is open" in text_of(lea.get("/appeals"))


def test_what_cannot_be_appealed_says_why(log_in, confirmed, desk, clock, people):
    case_id = confirmed(final=False)
    mia = log_in("mia")

    def appeal(text="It is me."):
        return mia.post(f"/case/{case_id}/appeal", {"text": text}, form_of="/account")

    assert (appeal().status, "not final yet" in text_of(appeal())) == (409, True)
    close(desk, clock)
    assert (appeal(" ").status, "says nothing" in text_of(appeal(" "))) == (422, True)
    assert appeal("x" * 10_001).status == 422
    assert appeal().status == 303
    assert (appeal().status, "is open" in text_of(appeal())) == (409, True)
    decide(desk, people["lea"], case_id, "confirmed")
    close(desk, clock)
    assert (appeal().status, "A lead lets in" in text_of(appeal())) == (403, True)
    assert "The account’s holder appeals" not in text_of(mia.get(f"/case/{case_id}"))


def test_the_list_of_appeals_is_for_leads(log_in):
    assert log_in("mia").get("/appeals").status == 403
    assert "No appeal is open" in text_of(log_in("lea").get("/appeals"))
