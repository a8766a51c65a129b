"""Reports by the API, as a platform's own form and a trusted flagger send them, over HTTP, with real photos."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from openapi_spec_validator import validate

from config import load_settings
from likeness.console_enrolling import open_enrolling
from records.errors import LoginLocked, WrongPin
from records.gallery import GalleryRecords
from records.people import lock_out
from records.references import LEAST_PDQ_QUALITY
from records.reports.access import ReportAccess
from tests.integration.test_web_api import Program, reason_of
from tests.support.console import looking
from tests.support.console_site import MASTER, make_desk, running_site
from tests.support.portraits import fit, jpeg, read_rgb

__all__ = ["looking"]


@pytest.fixture(scope="module")
def enrols(looking):
    with closing(open_enrolling(load_settings(), looking, records=None)) as opened:
        yield opened


@pytest.fixture
def desk(database, clock, enrols):
    return make_desk(database, clock, enrols, web={"public_address": "https://help.example.com"})


@pytest.fixture
def platform(site, desk):
    """The platform's program; `token`: what is kept of its token."""
    text, token = desk.tokens.add("form", ["reports:write"], by="system")
    program = Program(site, text)
    program.token = token
    return program


@pytest.fixture
def flagger(site, desk):
    return Program(site, desk.tokens.add("helpline", ["reports:flag"], by="system")[0])


@pytest.fixture
def access(database, desk, clock):
    return ReportAccess(database, desk.audit, idle=timedelta(minutes=30), clock=clock)


@pytest.fixture(scope="module")
def photo(portraits):
    """The bytes of a portrait by its name."""
    return lambda name: portraits[name].read_bytes()


def coded(content):
    return base64.b64encode(content).decode()


def form(*photos, your_id="ticket-1", **fields):
    """A report of an adult whom the platform has checked."""
    consent = {"matching": True, "contact": True, "text_version": "2026-02", "given_at": "2026-11-22T08:00:00Z"}
    details = {"contact": "ana@example.com", "links": ["@lena.b"], "accounts": ["acct-ana"], "words": "It is me."}
    report = {"your_id": your_id, "language": "en", "months": 12, "consent": consent, "details": details}
    report |= {"photos": [coded(one) for one in photos], "checked": "Passport and live video."}
    return report | fields


def problems(answer):
    """Where a refused report is wrong, and what it is."""
    assert reason_of(answer) in ((422, "report_unfit"), (422, "unreadable_request"))
    return {one["where"]: one["what"] for one in answer.json()["errors"]}


def test_a_report_is_taken_in_with_case_number_and_pin_and_all_it_says_is_there_for_moderators(
    desk, access, platform, photo
):
    challenge = {"photo": coded(photo("person_b_2.jpg")), "code": "7QX4M"}
    answer = platform.post("/reports", form(photo("person_b_1.jpg"), challenge=challenge))
    taken = answer.json()
    assert (answer.status, taken["state"], taken["your_id"]) == (201, "received", "ticket-1")
    assert taken["status_page"] == "https://help.example.com/report/status"
    assert access.find(access.enter(taken["number"], taken["pin"])).id == taken["id"]
    report, details = desk.report_reading.get(taken["id"]), desk.report_reading.details(taken["id"])
    assert (report.kind, report.lane, report.source) == ("photos", "platform", platform.token.actor)
    assert (report.months, report.consent_text, report.consent_contact) == (12, "2026-02", True)
    assert report.consented_at.isoformat() == "2026-11-22T08:00:00+00:00"
    assert (details.contact, details.links, details.accounts) == ("ana@example.com", ("@lena.b",), ("acct-ana",))
    assert (details.words, details.checked) == ("It is me.", "Passport and live video.")
    (kept,) = desk.report_reading.photo_ids(report.id, "face")
    assert set(desk.report_reading.photo(report.id, kept).embeddings) == {"opencv-zoo@1"}
    (shown,) = desk.report_reading.photo_ids(report.id, "challenge")
    assert desk.report_reading.challenge(report.id, shown).code == "7QX4M"
    (entry,) = desk.audit.read(subject=report.id)
    assert (entry.actor, entry.action) == (platform.token.actor, "report_received")


def test_a_report_that_comes_again_is_there_once_and_its_pin_is_told_once(database, platform, photo):
    sent = form(photo("person_b_1.jpg"))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: platform.post("/reports", sent), range(4)))
    assert sorted(one.status for one in answers) == [200, 200, 200, 201]
    assert len({(one.json()["id"], one.json()["number"]) for one in answers}) == 1
    assert [one.status for one in answers if one.json()["pin"]] == [201]
    assert len(platform.get("/reports", your_id="ticket-1").json()) == 1
    assert platform.post("/reports", form(photo("person_b_1.jpg"), your_id="ticket-2")).status == 201


def test_a_trusted_flagger_has_a_lane_of_their_own_and_minors_have_the_specialists(desk, platform, flagger, photo):
    lanes = {}
    for program, more in ((flagger, {}), (platform, {}), (flagger, {"minor": True}), (platform, {"minor": True})):
        photos = () if more else (photo("person_b_1.jpg"),)
        answer = program.post("/reports", form(*photos, your_id=f"r-{len(lanes)}", **more)).json()
        report = desk.report_reading.get(answer["id"])
        lanes[len(lanes)] = report.lane, report.kind
    flagged, own, *minors = lanes.values()
    assert (flagged, own) == (("trusted_flagger", "photos"), ("platform", "photos"))
    assert minors == [("specialist", "words")] * 2


def test_hashes_of_photos_that_stay_with_the_person_are_taken_in_place_of_photos(desk, platform):
    one = {"pdq": "0f" * 32, "quality": 100, "width": 640, "height": 480}
    taken = platform.post("/reports", form(hashes=[one], checked=None)).json()
    (kept,) = desk.report_reading.photo_ids(taken["id"], "face")
    found = desk.report_reading.photo(taken["id"], kept)
    assert (found.pdq, found.quality, found.width, found.height) == (b"\x0f" * 32, 100, 640, 480)
    assert desk.report_reading.get(taken["id"]).kind == "hashes"


def test_each_photo_that_cannot_be_used_is_named_with_its_reason_and_nothing_is_taken_in(platform, photo, portraits):
    good, other = photo("person_b_1.jpg"), photo("person_b_2.jpg")
    tiny = jpeg(fit(read_rgb(portraits["person_b_1.jpg"]), 60))
    answer = platform.post("/reports", form(good, b"no picture", tiny, good))
    wrong = {where: what.partition(":")[0] for where, what in problems(answer).items()}
    assert wrong == {
        "body.photos.1": "not_a_picture",
        "body.photos.2": "no_face",
        "body.photos.3": "sent_twice",
    }
    assert platform.get("/reports", your_id="ticket-1").json() == []
    faceless = {"photo": coded(b"\xff\xd8\xff\xe0 torn"), "code": "7QX4M"}
    assert set(problems(platform.post("/reports", form(other, challenge=faceless)))) == {"body.challenge.photo"}


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"checked": None}, "body"),
        ({"photos": []}, "body"),
        ({"hashes": [{"pdq": "0f" * 32, "quality": 90, "width": 1, "height": 1}]}, "body"),
        ({"minor": True}, "body"),
        ({"minor": True, "photos": [], "details": {}}, "body"),
        ({"photos": ["not base64!"]}, "body.photos.0"),
        ({"photos": ["AAAA"] * 6}, "body.photos"),
        ({"months": 25}, "body.months"),
        ({"months": 0}, "body.months"),
        ({"your_id": ""}, "body.your_id"),
        ({"your_id": "a\nb"}, "body.your_id"),
        ({"language": "English"}, "body.language"),
        ({"details": {"words": "a\0b"}}, "body.details.words"),
        ({"details": {"contact": "call me"}}, "body"),
        ({"details": {"link": "x"}}, "body.details.link"),
        ({"surprise": 1}, "body.surprise"),
    ],
)
def test_what_a_report_must_be_is_said_field_by_field(platform, changed, where):
    assert where in problems(platform.post("/reports", form(b"x") | changed))


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"matching": False}, "body.consent.matching"),
        ({"contact": False}, "body"),
        ({"given_at": "2026-11-23T08:00:00Z"}, "body.consent.given_at"),
        ({"given_at": "yesterday"}, "body.consent.given_at"),
    ],
)
def test_without_consent_nothing_is_taken_in(platform, changed, where):
    sent = form(b"x")
    sent["consent"] |= changed
    assert where in problems(platform.post("/reports", sent))
    assert platform.get("/reports", your_id="ticket-1").json() == []


def test_nobody_has_to_say_of_a_minor_that_they_agreed_to_be_compared(desk, platform):
    consent = {"contact": False, "text_version": "2026-02", "given_at": "2026-11-22T08:00:00Z"}
    for number, more in enumerate(({}, {"matching": False})):
        sent = form(your_id=f"r-{number}", minor=True, checked=None, consent=consent | more, details={"words": "Help."})
        answer = platform.post("/reports", sent)
        assert answer.status == 201
        assert desk.report_reading.get(answer.json()["id"]).kind == "words"


def test_a_hash_that_would_protect_nobody_is_told_with_what_mends_it(platform):
    flat = {"pdq": "0f" * 32, "quality": LEAST_PDQ_QUALITY - 1, "width": 640, "height": 480}
    sent = form(hashes=[flat | {"quality": LEAST_PDQ_QUALITY}, flat], checked=None)
    said = problems(platform.post("/reports", sent))
    assert list(said) == ["body.hashes.1.quality"] and "ask the person for another photo" in said[next(iter(said))]
    assert platform.get("/reports", your_id="ticket-1").json() == []


def test_a_program_follows_its_reports_and_learns_their_state_alone(platform, flagger, photo):
    taken = platform.post("/reports", form(photo("person_b_1.jpg"))).json()
    seen = platform.get(f"/reports/{taken['id']}").json()
    assert seen == {name: value for name, value in taken.items() if name not in ("pin", "status_page")}
    assert set(seen) == {"id", "your_id", "number", "state", "received_at", "ends_at"}
    assert platform.get("/reports", your_id="ticket-1").json() == [seen]
    for asked in ("", "/pin", "/withdraw"):
        ask = flagger.post if asked else flagger.get
        assert reason_of(ask(f"/reports/{taken['id']}{asked}")) == (404, "unknown_report")
    assert flagger.get("/reports", your_id="ticket-1").json() == []
    assert reason_of(platform.get("/reports/rpt_none")) == (404, "unknown_report")


def test_a_language_tag_becomes_the_language_in_which_the_person_is_written_to(desk, platform):
    for tag, code in {"zh-Hans": "zh_Hans", "zh-CN": "zh_Hans", "en-GB": "en", "fr": "fr"}.items():
        taken = platform.post("/reports", form(your_id=tag, language=tag, minor=True, checked=None)).json()
        assert desk.report_reading.get(taken["id"]).language == code


def test_a_new_pin_takes_the_place_of_the_old_one_and_is_noted(desk, access, platform, photo):
    taken = platform.post("/reports", form(photo("person_b_1.jpg"))).json()
    browser = access.enter(taken["number"], taken["pin"])
    for _ in range(lock_out.ATTEMPTS):
        with pytest.raises((WrongPin, LoginLocked)):
            access.enter(taken["number"], "00000000")
    renewed = platform.post(f"/reports/{taken['id']}/pin").json()
    assert (renewed["number"], renewed["pin"] == taken["pin"]) == (taken["number"], False)
    assert access.find(browser) is None
    with pytest.raises(WrongPin):
        access.enter(taken["number"], taken["pin"])
    assert access.find(access.enter(taken["number"], renewed["pin"])).id == taken["id"]
    entry = next(entry for entry in desk.audit.read(subject=taken["id"]) if entry.action == "report_changed")
    assert (entry.actor, dict(entry.details)) == (platform.token.actor, {"what": "pin"})


def test_a_report_that_is_withdrawn_leaves_a_signed_receipt_and_nothing_else(database, platform, photo, desk):
    taken = platform.post("/reports", form(photo("person_b_1.jpg"))).json()
    withdrawn = platform.post(f"/reports/{taken['id']}/withdraw").json()
    assert (withdrawn["state"], withdrawn["id"]) == ("withdrawn", taken["id"])
    assert taken["number"] in json.dumps(withdrawn["receipt"])
    assert desk.report_reading.photo_ids(taken["id"], "face") == []
    assert platform.post(f"/reports/{taken['id']}/withdraw").json() == withdrawn
    again = platform.post("/reports", form(photo("person_b_1.jpg")))
    assert (again.status, again.json()["state"]) == (200, "withdrawn")
    (entry,) = (entry for entry in desk.audit.read(subject=taken["id"]) if entry.action == "report_withdrawn")
    assert entry.actor == platform.token.actor


def test_who_is_erased_by_the_platform_gets_a_last_word_where_they_may_be_written_to(desk, photo):
    words, token = [], desk.tokens.add("form", ["reports:write"], by="system")[0]
    with running_site(replace(desk, last_word=words.append)) as address:
        platform = Program(address, token)
        taken = platform.post("/reports", form(photo("person_b_1.jpg"))).json()
        silent = form(photo("person_b_1.jpg"), your_id="ticket-2", details={})  # they may be written to, but where?
        for report_id in (taken["id"], taken["id"], platform.post("/reports", silent).json()["id"]):
            assert platform.post(f"/reports/{report_id}/withdraw").json()["state"] == "withdrawn"
    assert [(one.kind, one.address) for one in words] == [("erased", "ana@example.com")]


def test_only_a_token_for_reports_opens_this_door_and_only_to_it_large_bodies_come(desk, site, platform, photo):
    large = form(*[photo("person_b_1.jpg")] * 2, details={"words": "x" * 10_001})
    reader, token = desk.tokens.add("reader", ["cases:read"], by="system")
    assert reason_of(Program(site, reader).post("/reports", form())) == (403, "scope_missing")
    assert desk.audit.read(actor=token.actor)[0].details["scope"] == "reports:write or reports:flag"
    assert reason_of(Program(site, reader).post("/reports", large)) == (413, "too_large")
    assert reason_of(Program(site, "lk_wrong").post("/reports", large)) == (413, "too_large")
    assert reason_of(Program(site, None).post("/reports", form(b"x"))) == (401, "no_token")
    assert reason_of(platform.get("/queues")) == (403, "scope_missing")
    assert "body.details.words" in problems(platform.post("/reports", large))
    assert reason_of(platform.post("/reports", form(b"x" * 46_000_000))) == (413, "too_large")


def test_who_sends_reports_too_often_is_held_back(platform):
    answers = [platform.post("/reports", form(your_id=f"r-{n}", minor=True, checked=None)) for n in range(21)]
    assert [one.status for one in answers] == [201] * 20 + [429]
    assert reason_of(answers[-1]) == (429, "too_many")


def test_the_description_is_whole_and_tells_of_reports(site):
    document = Program(site, None).get("/openapi.json").json()
    validate(document)
    assert {"post", "get"} == set(document["paths"]["/reports"])
    asked = document["paths"]["/reports"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert asked == {"$ref": "#/components/schemas/ReportForm"}


def test_the_gallery_is_as_it_was_however_many_reports_come(database, platform, photo):
    platform.post("/reports", form(photo("person_b_1.jpg")))
    assert GalleryRecords(database, MASTER).latest_sequence() == 0
