"""The report page over HTTP: the whole way, what is told on it, what is stored at its end, and who is turned away."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import cv2
import numpy as np
import pytest
from sqlalchemy import func, select

from config import load_settings
from consumers.open_detector import open_watched_looking
from detector.enrolment import EnrolmentRefused
from likeness.console_enrolling import open_enrolling
from records.audit import AuditFilter
from records.database import open_database
from records.gallery import GalleryRecords
from records.reports.erasure import ANSWER_DAYS
from records.reports.schema_reports import ReportAttemptRow
from records.schema import IdentityRow, OutboxEntry
from tests.support.console_site import (
    MASTER,
    PASSWORD,
    Visitor,
    hidden_fields,
    make_desk,
    place_of,
    running_site,
    text_of,
)
from tests.support.odd_pictures import group, huge_png, landscape
from tests.support.portraits import covered_up, fit, jpeg, read_rgb
from web.report.consent_texts import VERSION
from web.report.limits import PHOTOS
from web.security import DRAFT_COOKIE, REPORT_UPLOADS

CONSENT = {"matching": "yes", "months": "12"}
DETAILS = {
    "links": "@thief.one\nhttps://example.com/p/thief-two\n\n@thief.one",
    "accounts": "ana_real",
    "words": "I found it on Monday.",
}
WORDS = {"words": "Somebody uses my photo.", "links": "@x", "agreed": "yes", "months": "12"}
MAIL = {"contact": "yes", "email": "kid@example.org"}
CODE = {"pdq": "5a" * 32, "quality": 92, "width": 800, "height": 600}


ODD_CODES = [
    "",
    "null",
    "{}",
    "[]",
    "[1]",
    "[[]]",
    "[" * 5000,
    json.dumps([CODE | {"pdq": "5A" * 32}]),
    json.dumps([CODE | {"pdq": "5a" * 31}]),
    json.dumps([CODE | {"pdq": None}]),
    json.dumps([CODE | {"quality": 49}]),
    json.dumps([CODE | {"quality": 101}]),
    json.dumps([CODE | {"quality": True}]),
    json.dumps([CODE | {"width": 0}]),
    json.dumps([CODE | {"height": 1e400}]),
    json.dumps([{name: CODE[name] for name in ("pdq", "quality", "width")}]),
]


@pytest.fixture(scope="module")
def looking(models):
    with closing(open_watched_looking(load_settings(home=models.parent), lambda how: None)) as opened:
        yield opened


@pytest.fixture
def open_desk_of(looking, models, clock):
    """Makes a desk over a database, which judges photos with the default model pack in a worker process."""
    opened = []

    def make(database, **settings):
        enrols = open_enrolling(load_settings(home=models.parent), looking, GalleryRecords(database, MASTER))
        opened.append(enrols)
        return make_desk(database, clock, enrols=enrols, **settings)

    yield make
    for enrols in opened:
        enrols.close()


@pytest.fixture
def both_desk(database, open_desk_of):
    """Over each kind of database."""
    return open_desk_of(database)


@pytest.fixture
def desk(tmp_path, open_desk_of):
    """Over SQLite."""
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    yield open_desk_of(database)
    database.close()


@pytest.fixture
def visitor(site):
    return Visitor(site)


@pytest.fixture
def ana(portraits):
    """Two photos of one woman."""
    return [portraits[f"person_b_{number}.jpg"].read_bytes() for number in (1, 2)]


def small(path):
    """A copy in which the face is some 40 pixels wide."""
    return jpeg(fit(read_rgb(path), 120))


def in_dark_glasses(engine, path):
    picture = read_rgb(path)
    return jpeg(covered_up(picture, engine.detect(picture).landmarks[0], "eyes"))


def begin(visitor, writer="adult", kind="photos"):
    """At the consents, or the words."""
    return place_of(visitor.post("/report", {"writer": writer, "kind": kind}, form_of="/report"))


def consent(visitor, **fields):
    begin(visitor)
    return visitor.post("/report/consent", CONSENT | fields, form_of="/report/consent")


def add(visitor, *photos, form_of="/report/photos"):
    for number, photo in enumerate(photos):
        answer = visitor.upload("/report/photos", {}, [("photo", f"me-{number}.jpg", photo)], form_of=form_of)
    return answer


def up_to_challenge(visitor, *photos, **fields):
    consent(visitor, **fields)
    add(visitor, *photos)
    visitor.post("/report/details", DETAILS, form_of="/report/details")


def up_to_check(visitor, *photos, **fields):
    """All but sent; the last photo is the one with the code."""
    up_to_challenge(visitor, *photos[:-1], **fields)
    shown = [("photo", "me.jpg", photos[-1])]
    return visitor.upload("/report/challenge", {}, shown, form_of="/report/challenge")


def send(visitor):
    return visitor.post("/report/check", {"true": "yes"}, form_of="/report/check")


def shown_once(visitor):
    """Case number and PIN."""
    page = visitor.get("/report/sent").data.decode()
    number, pin = re.findall(r"<output[^>]*>([^<]+)</output>", page)
    return number, pin.replace(" ", "")


def reports_of(desk, *, lanes=("standard", "specialist")):
    return desk.report_reading.list(lanes, ("received",))


def test_a_report_goes_its_whole_way_and_nothing_reaches_the_gallery(both_desk, database, ana):
    with running_site(both_desk) as address:
        visitor = Visitor(address)
        assert begin(visitor) == "/report/consent"
        agreed = visitor.post(
            "/report/consent", CONSENT | {"contact": "yes", "email": "ana@example.org"}, form_of="/report/consent"
        )
        assert place_of(agreed) == "/report/photos"
        assert place_of(add(visitor, *ana)) == "/report/photos"
        assert place_of(visitor.post("/report/details", DETAILS, form_of="/report/details")) == "/report/challenge"
        code = re.search(r'class="code"[^>]*>(\w{5})<', visitor.get("/report/challenge").data.decode()).group(1)
        shown = [("photo", "me.jpg", ana[0])]
        assert (
            place_of(visitor.upload("/report/challenge", {}, shown, form_of="/report/challenge")) == "/report/challenge"
        )
        assert visitor.get("/report/challenge.jpg").data.startswith(b"\xff\xd8")
        assert "2 photos" in text_of(visitor.get("/report/check"))
        assert place_of(send(visitor)) == "/report/sent"
        number, pin = shown_once(visitor)
    (report,) = reports_of(both_desk)
    facts = report.number, report.kind, report.lane, report.source, report.language, report.months
    assert facts == (number, "photos", "standard", "page", "en", 12)
    assert (report.consent_text.endswith(".en"), report.consent_contact, report.identity_id) == (True, True, None)
    details = both_desk.report_reading.details(report.id)
    assert details.links == ("@thief.one", "https://example.com/p/thief-two")
    assert (details.contact, details.accounts, details.words) == (
        "ana@example.org",
        ("ana_real",),
        "I found it on Monday.",
    )
    faces = both_desk.report_reading.photo_ids(report.id, "face")
    photos = [both_desk.report_reading.photo(report.id, photo_id) for photo_id in faces]
    assert [list(photo.embeddings) for photo in photos] == [[both_desk.enrols.pack]] * 2
    assert all(photo.fingerprint and photo.photo_jpeg.startswith(b"\xff\xd8") for photo in photos)
    (challenge_id,) = both_desk.report_reading.photo_ids(report.id, "challenge")
    challenge = both_desk.report_reading.challenge(report.id, challenge_id)
    assert challenge.code == code and challenge.embedding is not None
    (noted,) = both_desk.audit.find(AuditFilter(report.id, action="report_received"))
    assert noted.details == {"kind": "photos"}
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(IdentityRow)) == 0
        assert session.scalar(select(func.count()).select_from(OutboxEntry)) == 0
    assert len(pin) == 8 and both_desk.report_access.enter(number, pin)


def test_what_happens_with_photos_is_said_before_any_is_asked_for(visitor):
    said = visitor.get("/report")
    assert "What happens with your photos" in text_of(said)
    assert 'type="file"' not in said.data.decode()
    assert visitor.get("/report/photos").status == 410
    begin(visitor)
    assert place_of(visitor.get("/report/photos")) == "/report/consent", "no photo without consent"
    assert place_of(visitor.get("/report/check")) == "/report/consent"


def test_nothing_is_ticked_before_and_what_is_missing_is_said(visitor):
    begin(visitor)
    assert " checked" not in visitor.get("/report/consent").data.decode()
    answer = visitor.post("/report/consent", {"contact": "yes", "email": "not an address"}, form_of="/report/consent")
    assert answer.status == 422
    said = text_of(answer)
    assert "Without this we cannot look for your face" in said and "Choose how long." in said
    assert "Write the e-mail address as name@example.com." in said
    assert 'value="not an address"' in answer.data.decode()
    assert place_of(visitor.get("/report/photos")) == "/report/consent"
    assert visitor.post("/report/consent", CONSENT | {"months": "240"}, form_of="/report/consent").status == 422


def test_an_address_is_kept_only_of_who_wants_mail(desk, visitor, ana):
    up_to_check(visitor, *ana, email="ana@example.org")
    send(visitor)
    (report,) = reports_of(desk)
    assert (report.consent_contact, desk.report_reading.details(report.id).contact) == (False, "")


class TestPhotos:
    ADVICE = {
        "landscape": "We find no face in it",
        "text": "This is no picture that we can open",
        "huge": "The file is too large",
        "small": "Your face is too small in it",
        "blurred": "Your face is blurred in it",
        "covered": "without sunglasses or mask",
    }

    @pytest.mark.parametrize("what", ADVICE)
    def test_that_will_not_do_are_told_why_and_are_not_kept(self, desk, visitor, engine, portraits, what):
        hostile = {
            "landscape": landscape,
            "text": lambda: b"<script>alert(1)</script>",
            "huge": huge_png,
            "small": lambda: small(portraits["person_b_1.jpg"]),
            "blurred": lambda: jpeg(cv2.GaussianBlur(read_rgb(portraits["person_b_1.jpg"]), (0, 0), 14)),
            "covered": lambda: in_dark_glasses(engine, portraits["person_b_1.jpg"]),
        }
        consent(visitor)
        add(visitor, hostile[what]())
        said = text_of(visitor.get("/report/photos"))
        assert self.ADVICE[what] in said
        assert "Go on" not in said
        assert place_of(visitor.get("/report/details")) == "/report/photos"
        assert not desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE]).chosen

    def test_with_two_faces_ask_which_one_is_theirs(self, desk, visitor, portraits):
        consent(visitor)
        add(visitor, group(portraits, "person_a_1.jpg", "person_b_1.jpg"))
        page = visitor.get("/report/photos")
        assert "Which one is yours?" in text_of(page) and "Go on" not in text_of(page)
        photo = re.search(r'name="photo" value="(\w+)"', page.data.decode()).group(1)
        crops = [visitor.get(f"/report/photos/{photo}/{face}.jpg").data for face in (0, 1)]
        assert crops[0] != crops[1] and crops[0].startswith(b"\xff\xd8")
        visitor.post("/report/photos/choose", {"photo": photo, "face": "1"}, form_of="/report/photos")
        draft = desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE])
        (chosen,) = draft.chosen
        assert chosen is draft.photos[0].faces[1]
        assert place_of(visitor.post("/report/details", {}, form_of="/report/details")) == "/report/challenge"

    def test_are_removed_and_added_again_and_one_is_not_taken_twice(self, visitor, ana):
        consent(visitor)
        add(visitor, ana[0], ana[0])
        page = visitor.get("/report/photos")
        assert "You have added this photo already" in text_of(page)
        first = re.search(r'name="photo" value="(\w+)"', page.data.decode()).group(1)
        visitor.post("/report/photos/remove", {"photo": first}, form_of="/report/photos")
        assert visitor.get(f"/report/photos/{first}/0.jpg").status == 404
        add(visitor, ana[0])
        assert "Go on" in text_of(visitor.get("/report/photos"))

    def test_are_five_at_most(self, desk, visitor, ana):
        consent(visitor)
        token = visitor.cookies[DRAFT_COOKIE]
        add(visitor, ana[0])
        (one,) = desk.report_drafts.find(token).photos
        five = tuple(type(one)(f"photo{n}", one.name, one.faces, 0) for n in range(5))
        desk.report_drafts.change(token, lambda draft: with_photos(draft, five))
        page = visitor.get("/report/photos")
        assert 'type="file"' not in page.data.decode() and "That is all that we need." in text_of(page)
        answer = visitor.upload("/report/photos", {}, [("photo", "six.jpg", ana[1])], form_of="/report/photos")
        assert answer.status == 422 and "Five photos are enough" in text_of(answer)
        assert len(desk.report_drafts.find(token).photos) == 5

    def test_that_are_too_large_to_be_read_are_told_so_on_a_page_of_this_door(self, visitor):
        consent(visitor)
        answer = add(visitor, bytes(21_000_000))
        assert answer.status == 413
        assert "choose a smaller copy" in text_of(answer) and 'href="/report"' in answer.data.decode()

    def test_are_not_even_read_of_who_has_no_draft(self, visitor):
        assert (
            visitor.upload("/report/photos", {}, [("photo", "x.jpg", bytes(400_000))], form_of="/report").status == 413
        )

    @pytest.mark.parametrize("path", REPORT_UPLOADS)
    def test_are_not_even_read_where_the_draft_is_made_up_or_over(self, desk, visitor, clock, path):
        consent(visitor)
        over = visitor.cookies[DRAFT_COOKIE]
        clock.pass_by(minutes=desk.settings.reports.draft_minutes)
        for token in ("made-up", "\xff", over):
            visitor.cookies[DRAFT_COOKIE] = token
            sent = visitor.upload(path, {}, [("photo", "x.jpg", bytes(21_000_000))], form_of="/report")
            assert sent.status == 410, "said without a look at how much came"
            assert "Your report is not here any more" in text_of(sent)

    def test_are_looked_at_only_so_often(self, desk, site, clock, monkeypatch):
        monkeypatch.setattr(desk.enrols, "judge", lambda photos: [[EnrolmentRefused("no_face", "")] for _ in photos])
        visitor = Visitor(site)
        consent(visitor)
        answers = [add(visitor, b"x").status for _ in range(PHOTOS + 1)]
        assert answers == [303] * PHOTOS + [429]
        clock.pass_by(minutes=1)
        assert add(visitor, b"x").status == 303

    def test_cannot_be_taken_in_where_nobody_can_judge_them(self, tmp_path):
        database = open_database(f"sqlite:///{tmp_path / 'other.db'}")
        database.migrate()
        with running_site(make_desk(database)) as address:
            visitor = Visitor(address)
            consent(visitor)
            answer = add(visitor, landscape())
        assert answer.status == 503 and "keep your photos on your device" in text_of(answer)
        database.close()


def with_photos(draft, photos):
    return type(draft)(
        draft.kind, draft.writer, draft.key, draft.pin, draft.consent_text, draft.consented_at, photos=photos
    )


class TestChallenge:
    def test_without_a_face_gets_advice_and_no_further(self, visitor, ana):
        up_to_challenge(visitor, ana[0])
        answer = visitor.upload(
            "/report/challenge", {}, [("photo", "me.jpg", landscape())], form_of="/report/challenge"
        )
        assert answer.status == 422 and "We find no face in it" in text_of(answer)
        assert place_of(visitor.get("/report/check")) == "/report/challenge"

    def test_never_tells_whether_the_face_is_the_same(self, visitor, ana, portraits):
        up_to_challenge(visitor, ana[0])
        pages = []
        for photo in (ana[1], portraits["impostor_1.jpg"].read_bytes()):
            visitor.upload("/report/challenge", {}, [("photo", "me.jpg", photo)], form_of="/report/challenge")
            pages.append(text_of(visitor.get("/report/challenge")))
        assert pages[0] == pages[1]

    def test_asks_each_browser_for_its_own_code_and_for_a_new_one_the_next_day(self, desk, site, clock, ana):
        codes = []
        for _ in range(2):
            visitor = Visitor(site)
            up_to_challenge(visitor, ana[0])
            visitor.get("/report/challenge")
            codes.append(desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE]).code)
        visitor.get("/report/challenge")
        assert desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE]).code == codes[1]
        for _ in range(25):
            clock.pass_by(minutes=59)
            visitor.post("/report/details", DETAILS, form_of="/report/details")
        visitor.get("/report/challenge")
        codes.append(desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE]).code)
        assert len(set(codes)) == 3

    def test_with_the_code_of_another_day_is_not_sent(self, desk, visitor, clock, ana):
        up_to_check(visitor, *ana)
        for _ in range(25):
            clock.pass_by(minutes=59)
            visitor.post("/report/details", DETAILS, form_of="/report/details")
        assert place_of(send(visitor)) == "/report/challenge"
        visitor.get("/report/challenge")
        assert desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE]).challenge is None
        assert not reports_of(desk)

    def test_may_use_the_camera_which_no_other_page_may(self, visitor, ana):
        up_to_challenge(visitor, ana[0])
        assert "camera=(self)" in visitor.get("/report/challenge").headers["Permissions-Policy"]
        assert "camera=()" in visitor.get("/report/details").headers["Permissions-Policy"]


class TestSending:
    def test_needs_the_word_that_it_is_true(self, desk, visitor, ana):
        up_to_check(visitor, *ana)
        answer = visitor.post("/report/check", {}, form_of="/report/check")
        assert answer.status == 422 and "Tick this before you send" in text_of(answer)
        assert reports_of(desk) == []

    def test_twice_at_once_makes_one_report_and_shows_its_number_and_pin(self, both_desk, ana):
        with running_site(both_desk) as address:
            visitor = Visitor(address)
            up_to_check(visitor, *ana)
            fields = hidden_fields(visitor.get("/report/check")) | {"true": "yes"}
            with ThreadPoolExecutor(4) as fingers:
                answers = list(fingers.map(lambda _: visitor.post("/report/check", fields), range(4)))
            assert {place_of(answer) for answer in answers} == {"/report/sent"}
            number, pin = shown_once(visitor)
            assert place_of(visitor.post("/report/check", fields)) == "/report/sent"
        (report,) = reports_of(both_desk)
        assert report.number == number
        assert both_desk.report_access.enter(number, pin)

    def test_shows_number_and_pin_to_this_browser_alone_until_they_are_noted(self, desk, site, visitor, ana):
        up_to_check(visitor, *ana)
        send(visitor)
        assert shown_once(visitor) == shown_once(visitor)
        assert place_of(Visitor(site).get("/report/sent")) == "/report/status"
        assert place_of(visitor.get("/report/photos")) == "/report/sent", "the way back leads to no second report"
        draft = desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE])
        assert (draft.photos, draft.challenge, draft.details.links) == ((), None, ())
        page = visitor.get("/report/sent")
        assert page.headers["Cache-Control"] == "no-store"
        assert place_of(visitor.post("/report/noted", form_of="/report/sent")) == "/report/status"
        assert place_of(visitor.get("/report/sent")) == "/report/status"

    def test_is_held_back_after_so_many_a_day_by_browser_and_by_address_in_all_processes(
        self, database, open_desk_of, clock
    ):
        desks = [open_desk_of(database, reports={"per_device": 2, "per_address": 3}) for _ in range(2)]
        with running_site(desks[0]) as one, running_site(desks[1]) as other:
            first = Visitor(one)
            for _ in range(2):
                assert in_words(first) == 303
            first.site = other
            refused = first.post("/report", {"writer": "minor"}, form_of="/report")
            assert refused.status == 429 and int(refused.headers["Retry-After"]) > 80_000
            assert "No more reports from here today" in text_of(refused)
            assert in_words(Visitor(other)) == 303
            assert Visitor(one).post("/report", {"writer": "minor"}, form_of="/report").status == 429
            assert in_words(Visitor(one, address="127.0.0.2")) == 303
            clock.pass_by(hours=24, seconds=1)
            assert in_words(first) == 303
        assert len(reports_of(desks[0])) == 5
        with database.read() as session:
            kept = session.scalars(select(ReportAttemptRow.who)).all()
        assert all(re.fullmatch("[0-9a-f]{64}", who) for who in kept)
        assert desks[0].report_limits.sweep() == 8
        with database.read() as session:
            assert session.scalar(select(func.count()).select_from(ReportAttemptRow)) == 2


def in_words(visitor):
    """Sends a minor's report; the last answer's status."""
    begin(visitor, "minor")
    visitor.post("/report/words", WORDS, form_of="/report/words")
    answer = send(visitor)
    visitor.post("/report/noted", form_of="/report/sent")
    return answer.status


class TestMinors:
    @pytest.mark.parametrize("writer", ["minor", "guardian"])
    def test_report_in_words_to_specialists_and_no_photo_is_taken(self, desk, visitor, ana, writer):
        assert begin(visitor, writer) == "/report/words"
        page = visitor.get("/report/words")
        assert 'type="file"' not in page.data.decode() and "send no photos" in text_of(page)
        assert place_of(add(visitor, ana[0], form_of="/report/words")) == "/report/words"
        fields = WORDS | MAIL | ({"guardian": "yes"} if writer == "guardian" else {})
        assert place_of(visitor.post("/report/words", fields, form_of="/report/words")) == "/report/check"
        assert place_of(send(visitor)) == "/report/sent"
        (report,) = reports_of(desk)
        assert (report.kind, report.lane, report.consent_contact) == ("words", "specialist", True)
        assert (report.months, report.consent_text) == (12, f"{VERSION}.en")
        details = desk.report_reading.details(report.id)
        said = {"minor": "I am under 18.", "guardian": "I am a parent of this child"}[writer]
        assert details.words.startswith(said) and "Somebody uses my photo." in details.words
        assert (details.contact, details.links) == ("kid@example.org", ("@x",))
        assert desk.report_reading.photo_ids(report.id, "face") == []

    def test_are_asked_for_what_is_missing(self, visitor):
        begin(visitor, "guardian")
        answer = visitor.post("/report/words", {"email": "x", "contact": "yes"}, form_of="/report/words")
        assert answer.status == 422
        said = text_of(answer)
        for missing in ("Write a few words", "Write the e-mail address", "Only who looks after", "we may not keep"):
            assert missing in said
        assert "Choose how long." in said
        assert place_of(visitor.get("/report/check")) == "/report/words"

    def test_agree_to_each_thing_by_itself_and_are_answered_without_an_address_too(self, desk, visitor):
        begin(visitor, "minor")
        page = visitor.get("/report/words").data.decode()
        assert "checked" not in page, "nothing is agreed to before"
        assert "is kept for so long at most" in page and f"after {ANSWER_DAYS} days" in page
        for left_out in ("agreed", "months"):
            fields = {name: value for name, value in WORDS.items() if name != left_out}
            assert visitor.post("/report/words", fields, form_of="/report/words").status == 422
        unagreed = visitor.post("/report/words", WORDS | {"email": "kid@example.org"}, form_of="/report/words")
        assert place_of(unagreed) == "/report/check"
        assert "How long" in text_of(visitor.get("/report/check"))
        assert place_of(send(visitor)) == "/report/sent"
        (report,) = reports_of(desk)
        assert (report.consent_contact, desk.report_reading.details(report.id).contact) == (False, "")
        mo = desk.moderators.add("lea", "Lea", "lead", PASSWORD)
        desk.report_messages.write(report.id, "The account is gone.", mo.id)
        assert [one.text for one in desk.report_messages.read(report.id)] == ["The account is gone."]


class TestCodes:
    def test_of_photos_that_stay_with_the_person_are_all_that_comes(self, desk, visitor, ana):
        begin(visitor, kind="hashes")
        visitor.post("/report/consent", CONSENT, form_of="/report/consent")
        said = text_of(visitor.get("/report/codes"))
        assert "What it does not:" in said and "other photos of you" in said
        assert place_of(add(visitor, ana[0], form_of="/report/codes")) == "/report/codes"
        codes = json.dumps([CODE, CODE, CODE | {"pdq": "a5" * 32}])
        assert place_of(visitor.post("/report/codes", {"codes": codes}, form_of="/report/codes")) == "/report/details"
        visitor.post("/report/details", DETAILS, form_of="/report/details")
        assert "the codes of 2 photos" in text_of(visitor.get("/report/check"))
        assert place_of(send(visitor)) == "/report/sent"
        (report,) = reports_of(desk)
        assert (report.kind, report.lane) == ("hashes", "standard")
        kept = [desk.report_reading.photo(report.id, one) for one in desk.report_reading.photo_ids(report.id, "face")]
        assert [(one.pdq.hex(), one.quality, one.width, one.height) for one in kept] == [
            ("5a" * 32, 92, 800, 600),
            ("a5" * 32, 92, 800, 600),
        ]
        assert desk.report_reading.photo_ids(report.id, "challenge") == []

    def test_that_our_page_did_not_make_are_not_taken(self, desk, visitor):
        begin(visitor, kind="hashes")
        visitor.post("/report/consent", CONSENT, form_of="/report/consent")
        fields = hidden_fields(visitor.get("/report/codes"))
        statuses = {wrong: visitor.post("/report/codes", fields | {"codes": wrong}).status for wrong in ODD_CODES}
        assert statuses == dict.fromkeys(ODD_CODES, 422)
        assert desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE]).hashes == ()


class TestDrafts:
    def test_are_forgotten_after_an_hour_without_a_change_and_say_what_to_do(self, desk, clock, visitor, ana):
        consent(visitor)
        for _ in range(3):
            clock.pass_by(minutes=59)
            add(visitor, ana[0])
        clock.pass_by(minutes=61)
        answer = visitor.get("/report/photos")
        assert answer.status == 410 and "What is not sent is erased after a while" in text_of(answer)
        assert 'href="/report"' in answer.data.decode()
        assert visitor.post("/report/check", {"true": "yes"}, form_of="/report").status == 410
        assert desk.report_drafts.sweep() == 1

    def test_go_on_where_they_were_and_can_be_thrown_away(self, visitor):
        consent(visitor)
        page = visitor.get("/report")
        assert "You have begun a report" in text_of(page) and 'href="/report/photos"' in page.data.decode()
        visitor.post("/report/drop", form_of="/report")
        assert DRAFT_COOKIE not in visitor.cookies
        assert "You have begun a report" not in text_of(visitor.get("/report"))

    def test_cannot_be_opened_with_what_the_database_holds(self, desk, visitor, ana, tmp_path):
        up_to_check(visitor, *ana, contact="yes", email="ana@example.org")
        draft = desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE])
        raw = b"".join(file.read_bytes() for file in tmp_path.glob("likeness.db*"))
        (embedding,) = draft.photos[0].photo.embeddings.values()
        secrets = [b"ana@example.org", b"@thief.one", draft.pin.encode(), draft.code.encode()]
        secrets += [np.asarray(embedding).tobytes(), draft.photos[0].photo.photo_jpeg[200:260], ana[0][200:260]]
        assert [secret for secret in secrets if secret in raw] == []
        assert visitor.cookies[DRAFT_COOKIE].encode() not in raw

    def test_are_one_per_browser_and_none_of_others(self, site, visitor):
        consent(visitor)
        other = Visitor(site)
        begin(other)
        other.cookies[DRAFT_COOKIE] = "guessed"
        assert other.get("/report/photos").status == 410

    def test_take_photos_that_come_at_once_all(self, both_desk, ana, portraits):
        more = portraits["impostor_1.jpg"].read_bytes()
        with running_site(both_desk) as address:
            visitor = Visitor(address)
            consent(visitor)
            visitor.get("/report/photos")
            with ThreadPoolExecutor(3) as fingers:
                list(fingers.map(lambda photo: add(visitor, photo), [*ana, more]))
            assert len(both_desk.report_drafts.find(visitor.cookies[DRAFT_COOKIE]).chosen) == 3


class TestForms:
    def test_of_another_site_or_without_their_token_change_nothing(self, desk, visitor, ana):
        up_to_check(visitor, *ana)
        for answer in (
            visitor.post("/report/check", {"true": "yes"}),
            visitor.post("/report/check", {"true": "yes", "csrf_token": "wrong"}),
            visitor.post("/report/check", {"true": "yes"}, form_of="/report/check", Sec_Fetch_Site="cross-site"),
        ):
            assert answer.status == 403 and "out of date" in text_of(answer)
            assert re.search(r'class="button primary" href="/report[^"]*"', answer.data.decode())
        assert reports_of(desk) == []

    @pytest.mark.parametrize(
        "fields", [{}, {"writer": "robot"}, {"writer": "adult"}, {"writer": "adult", "kind": "words"}]
    )
    def test_begin_nothing_without_a_choice(self, desk, visitor, fields):
        answer = visitor.post("/report", fields, form_of="/report")
        assert answer.status == 422 and DRAFT_COOKIE not in visitor.cookies

    def test_with_too_much_text_are_not_lost_and_say_so(self, visitor, ana):
        consent(visitor)
        add(visitor, ana[0])
        many = "\n".join(f"@thief{number}" for number in range(21))
        answer = visitor.post("/report/details", {"links": many, "words": "x" * 4001}, form_of="/report/details")
        assert answer.status == 422
        said = text_of(answer)
        assert "at most 20 lines" in said and "Shorten it to 4,000" in said and "@thief20" in said

    def test_that_are_unknown_here_lead_back_to_this_door(self, visitor):
        answer = visitor.get("/report/nowhere")
        assert answer.status == 404 and "Log in" not in text_of(answer)
        assert 'class="button primary" href="/report"' in answer.data.decode()


def test_the_door_speaks_the_visitors_language_and_the_report_notes_it(desk, site):
    visitor = Visitor(site, **{"Accept-Language": "zh-CN"})
    page = visitor.get("/report")
    assert '<html lang="zh-Hans"' in page.data.decode()
    begin(visitor, "minor")
    visitor.post("/report/words", WORDS, form_of="/report/words")
    assert place_of(send(visitor)) == "/report/sent"
    (report,) = reports_of(desk)
    assert (report.language, report.consent_text.endswith(".zh_Hans")) == ("zh_Hans", True)
