"""Cases reach ROOST Coop in its documented shape, each once, whatever Coop does; and none is lost."""

import json
import threading
import time
from functools import partial

import pytest
from sqlalchemy import delete, func, select

from config import SettingsError, load_settings
from consumers import coop as coop_module
from consumers.case_feed import new_case
from consumers.console_metrics import ConsoleMetrics
from consumers.coop import CoopAway, CoopRelay
from consumers.messages import ReviewForeignText, ReviewNameClaim, ReviewRunnerUp, ReviewSamePhoto
from records.casework.coop_reports import CoopReports
from records.casework.schema_around_cases import CoopReportRow
from records.schema import IdentityRow
from tests.support import running_service
from tests.support.console import MASTER_KEY, finding, review
from tests.support.coop import error_body, respond, running_coop
from web.desk import open_desk

eventually = partial(running_service.eventually, seconds=20)


@pytest.fixture
def coop():
    with running_coop() as one:
        yield one
    assert one.wrong == []


class Reporting:
    """A console that reports to a Coop."""

    def __init__(self, database, **settings):
        self.settings = load_settings(gallery={"retry_seconds": 0.2}, **settings)
        self.desk = open_desk(self.settings, database, MASTER_KEY)
        self.reports = CoopReports(database)
        self.metrics = ConsoleMetrics()
        self.stop = threading.Event()
        self.relay = CoopRelay(self.settings, self.reports, self.metrics, self.stop, pytest.fail)

    def open(self, **about):
        new = new_case(review(**about))
        assert self.desk.cases.open(new, None)
        return new.id

    def counted(self, result):
        return self.metrics.registry.get_sample_value("likeness_console_coop_reports_total", {"result": result})


@pytest.fixture
def console(database, coop):
    return Reporting(database, coop=coop.settings(), web={"public_address": "https://console.example.com"})


def test_a_case_is_told_with_what_a_person_needs_and_without_what_is_private(console, coop):
    ana = console.desk.gallery.add_identity("Ana Example", "celebrity", references=[])
    eva = console.desk.gallery.add_identity("Eva Private", "victim", references=[])
    rival = ReviewRunnerUp(identity_id=eva, identity_name="Eva Private", similarity=0.61)
    found = [
        finding("look_alike_risk", identity_id=ana, similarity=0.62, threshold=0.55, runner_up=rival),
        finding("same_person", identity_id=eva, identity_name="Eva Private", similarity=0.61, threshold=0.55),
    ]
    case_id = console.open(findings=found, url="https://img.example.com/1.jpg", event_id="event-7")
    assert console.relay.drain() == 1
    (report,) = coop.reports
    assert report["reporter"] == {"kind": "user", "id": "likeness", "typeId": "type-user"}
    assert report["reportedItem"] == {
        "id": case_id,
        "typeId": "type-avatar",
        "data": {
            "account_id": "acct-1",
            "event_id": "event-7",
            "finding_kinds": ["look_alike_risk", "same_person"],
            "explanation": "The face is like Ana Example's, and nearly as like a protected person's: compare with "
            "care. The face is very like a protected person's, more than a look-alike's may be.",
            "priority": 60,
            "images": ["https://img.example.com/1.jpg"],
            "case_url": f"https://console.example.com/case/{case_id}",
        },
    }
    assert report["reportedForReason"] == {"reason": report["reportedItem"]["data"]["explanation"]}
    text = json.dumps(report)
    assert "Eva Private" not in text and "0.6" not in text


@pytest.mark.parametrize(
    ("kind", "facts", "said"),
    [
        ("same_picture", {"same_photo": ("picture", "as_it_is", 1.0)}, "is the same picture as a reference photo of"),
        ("cropped_picture", {"same_photo": ("face", "mirrored", 0.4)}, "mirrored: it shows about 40% of it."),
        ("name_claim", {"name_claim": ReviewNameClaim(field="handle", text="ada")}, 'handle "ada" claims to be'),
        ("foreign_watermark", {}, 'carries the mark "@somebody"'),
        ("look_alike_risk", {"runner_up": None, "similarity": 0.7}, "small, blurred, turned or covered"),
    ],
)
def test_every_kind_of_finding_is_explained(console, coop, kind, facts, said):
    if "same_photo" in facts:
        by, transform, visible = facts["same_photo"]
        facts = {"same_photo": ReviewSamePhoto(by=by, distance=3, transform=transform, visible=visible)}
    if kind == "foreign_watermark":
        mark = ReviewForeignText(text="@somebody", looks_like="handle", box=(0, 0, 9, 9))
        facts = {"foreign_text": mark, "identity_id": None, "identity_kind": None, "runner_up": None}
    console.open(findings=[finding(kind, **facts)])
    console.relay.drain()
    assert said in coop.reports[0]["reportedItem"]["data"]["explanation"]


def test_without_a_picture_elsewhere_or_a_public_address_both_are_left_out(database, coop):
    console = Reporting(database, coop=coop.settings(policy_id="policy-9"))
    console.open()
    console.open(url="s3://avatars/1.jpg")
    assert console.relay.drain() == 2
    for report in coop.reports:
        assert not {"images", "case_url"} & report["reportedItem"]["data"].keys()
        assert report["reportedForReason"]["policyId"] == "policy-9"


def test_each_case_is_told_once_and_where_its_picture_lies_is_forgotten(console, coop, database):
    cases = [console.open(url=f"https://img.example.com/{number}.jpg") for number in range(3)]
    new = new_case(review(event_id="again"))
    assert (console.desk.cases.open(new, None), console.desk.cases.open(new, None)) == (True, False)
    assert console.relay.drain() == 4
    assert console.relay.drain() == 0
    assert coop.cases == [*cases, new.id]
    with database.read() as session:
        assert set(session.scalars(select(CoopReportRow.picture_url))) == {None}


def test_without_coop_nothing_is_noted_for_it(database):
    console = Reporting(database)
    console.open()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(CoopReportRow)) == 0


def test_what_was_decided_meanwhile_is_not_told(console, coop):
    case_id, other = console.open(), console.open()
    mo = console.desk.moderators.add("mo", "Mo", "moderator", "correct horse battery")
    console.desk.claims.claim(case_id, mo.id, mo.role)
    console.desk.decisions.decide(case_id, mo.id, mo.role, "not_this_person", "look_alike")
    assert console.relay.drain() == 1
    assert coop.cases == [other]


def hang_up(handler):
    handler.connection.close()


def answer_half(handler):
    handler.send_response(201)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")


def answer_rubbish(handler):
    handler.wfile.write(b"\x00\xff not HTTP at all\r\n\r\n")
    handler.close_connection = True


def be_silent(handler):
    time.sleep(3)
    handler.close_connection = True


@pytest.mark.parametrize(
    "misdeed",
    [500, 502, 503, 504, 408, 401, 403, 404, 418, hang_up, answer_rubbish, be_silent],
    ids=lambda one: one if isinstance(one, int) else one.__name__,
)
def test_what_passes_is_waited_out_and_the_case_told_then(console, coop, misdeed, monkeypatch):
    monkeypatch.setattr(coop_module, "READ_SECONDS", 0.5)
    console.relay = CoopRelay(console.settings, console.reports, console.metrics, console.stop, pytest.fail)
    case_id = console.open()
    coop.misdeeds = [misdeed]
    with pytest.raises(CoopAway):
        console.relay.drain()
    assert list(console.reports.waiting()) == [case_id]
    assert console.relay.drain() == 1
    assert coop.cases == [case_id]
    assert (console.counted("failed"), console.counted("taken"), console.counted("refused")) == (1, 1, 0)


def test_an_answer_that_never_ends_is_not_waited_for(console, coop):
    coop.misdeeds = [answer_half]
    console.open()
    before = time.monotonic()
    assert console.relay.drain() == 1
    assert time.monotonic() - before < 5


def test_a_redirect_is_not_followed_with_the_key(console, coop):
    console.open()
    coop.misdeeds = [lambda handler: respond(handler, 307, Location=f"{coop.address}/elsewhere")]
    with pytest.raises(CoopAway, match="307"):
        console.relay.drain()
    assert coop.asked == 1


def test_when_coop_says_how_long_to_wait_nobody_asks_before(console, coop):
    console.open()
    console.open()
    coop.misdeeds = [lambda handler: respond(handler, 429, Retry_After="7")]
    with pytest.raises(CoopAway) as away:
        console.relay.drain()
    assert (away.value.wait, coop.asked) == (7, 1)


UNTOLD = "no reason was given"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (error_body("Unknown field", pointer="/data/x"), "Unknown field /data/x"),
        (b'{"errors": [{"title": "Bad\\u0000 \\ud800\\u001b[2Jfield"}]}', "Bad [2Jfield"),
        (b"", UNTOLD),
        (b"{" * 100_000, UNTOLD),
        (b"[[[]]]", UNTOLD),
        (b"\xff", UNTOLD),
    ],
    ids=["words", "what no database and no terminal takes", "nothing", "too deep", "no errors", "no text"],
)
def test_what_coop_refuses_is_kept_with_the_reason_and_sent_again_only_when_asked(console, coop, said, why, caplog):
    case_id, other = console.open(), console.open()
    coop.misdeeds = [lambda handler: respond(handler, 400, said)]
    assert console.relay.drain() == 1
    assert coop.cases == [other]
    (refused,) = console.reports.refused()
    assert refused.case_id == case_id
    assert " ".join(refused.why.split()) == " ".join(f"400: {why}".split())
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert (console.relay.drain(), console.counted("refused")) == (0, 1)
    assert console.reports.retry() == 1
    assert console.relay.drain() == 1
    assert coop.cases == [other, case_id]


def test_one_case_that_coop_cannot_digest_holds_up_no_other(console, coop):
    bad = [console.open(), console.open()]
    good = [console.open() for _ in range(3)]
    coop.of_item = dict.fromkeys(bad, 500)
    for _ in range(2):
        with pytest.raises(CoopAway):
            console.relay.drain()
    assert coop.cases == good
    assert sorted(console.reports.waiting()) == sorted(bad)


def test_when_coop_is_down_it_is_not_asked_for_each_case(console, coop):
    for _ in range(10):
        console.open()
    coop.misdeeds = [503] * 100
    with pytest.raises(CoopAway):
        console.relay.drain()
    assert coop.asked == 3


def test_of_two_consoles_one_sends_at_a_time(console, coop, database):
    console.open()
    with CoopReports(database).alone() as alone:
        assert alone
        assert console.relay.drain() == 0
    assert console.relay.drain() == 1


def test_the_thread_goes_on_through_an_outage_and_ends_when_told(console, coop):
    coop.misdeeds = [503, hang_up, 500, 503]
    cases = [console.open() for _ in range(3)]
    console.relay.start()
    eventually(lambda: sorted(coop.cases) == sorted(cases))
    eventually(lambda: console.metrics.registry.get_sample_value("likeness_console_coop_waiting") == 0)
    console.stop.set()
    console.relay.close()
    assert not console.relay.alive


def test_an_erased_identity_is_named_no_more(console, coop, database):
    ana = console.desk.gallery.add_identity("Ana Example", "celebrity", references=[])
    console.open(findings=[finding(identity_id=ana)])
    with database.write() as session:
        session.execute(delete(IdentityRow).where(IdentityRow.id == ana))
    console.relay.drain()
    assert "Ana" not in json.dumps(coop.reports)


@pytest.mark.parametrize(
    ("coop_settings", "said"),
    [
        ({"url": "https://coop.example.com"}, "api_key"),
        ({"url": "http://coop.example.com", "api_key": "x"}, "https"),
        ({"only": True}, "url"),
    ],
)
def test_settings_that_would_lose_cases_or_the_key_are_refused(coop_settings, said):
    with pytest.raises(SettingsError, match=said):
        load_settings(coop=coop_settings)
