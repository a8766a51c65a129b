"""Every page of the console, each with something on it, one after another, and the pages that say what went wrong."""

import io
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from consumers.messages import ReviewForeignText, ReviewNameClaim, ReviewRunnerUp, ReviewSamePhoto
from detector.enrolment import choose
from records.errors import WrongLogin
from records.references import Person as Enrolled
from tests.browser.drawn_people import Person
from tests.browser.drawn_reports import furnish_reports
from tests.browser.workplace import NAMES, Keys, Workplace, draw_once
from tests.support.past_cases import lay_past

APPEALED = "This is me. I uploaded my passport on Monday, and the name on it is the one on my profile."
"""What somebody said against a decision."""
Step = Callable[[Page], object]
ALL_PICTURES = """() => Promise.all([...document.images].map((one) => {
  one.loading = "eager";
  return one.decode().catch(() => {});
}))"""
"""Waits until they are there."""


@dataclass(frozen=True)
class Stop:
    """A page of the tour: whose it is (None: nobody's, before the login), where it is, and what is done there."""

    name: str
    login: str | None
    path: str
    steps: Sequence[Step] = ()


def furnish(place: Workplace) -> dict[str, str]:
    """People, and cases of every kind; the cases' ids by what they are. Mo has one in hand, and has decided."""
    for login, role in (
        ("mo", "moderator"),
        ("mia", "moderator"),
        ("lea", "lead"),
        ("aud", "auditor"),
        ("cy", "curator"),
    ):
        place.hire(login, role)
    mo = place.desk.moderators.by_login("mo")
    rival = ReviewRunnerUp(identity_id=place.person(3), identity_name=NAMES[3], similarity=0.58)
    same = ReviewSamePhoto(by="picture", distance=6, transform="mirrored", visible=1.0)
    part = ReviewSamePhoto(by="face", distance=20, transform="none", visible=0.4)
    mark = ReviewForeignText(text="@maralind", looks_like="handle", box=(10, 10, 90, 30))
    claim = ReviewNameClaim(field="display_name", text=NAMES[5])
    cases = {
        "earlier": place.raise_case(0, account_id="acct-4711"),
        "name": place.raise_case(5, kind="name_claim", name_claim=claim),
        "picture": place.raise_case(2, kind="same_picture", same_photo=same, similarity=None),
        "part": place.raise_case(4, kind="cropped_picture", same_photo=part),
        "rival": place.raise_case(6, kind="look_alike_risk", similarity=0.57, runner_up=rival),
        "victim": place.raise_case(8, person_kind="victim"),
        "mark": place.raise_case(
            1, kind="foreign_watermark", identity_id=None, reference_id=None, similarity=None, foreign_text=mark
        ),
    }
    place.clock.pass_by(timedelta(minutes=50))
    place.desk.claims.claim(cases["earlier"], mo.id, mo.role)
    place.desk.decisions.decide(cases["earlier"], mo.id, mo.role, "confirmed", "same_person")
    place.desk.cases.comment(cases["earlier"], mo.id, "The same account as last week.")
    place.clock.pass_by(timedelta(minutes=1))
    place.desk.decisions.finish_due()
    mo_decided = place.raise_case(11, account_id="acct-5150")
    place.desk.claims.claim(mo_decided, mo.id, mo.role)
    place.desk.decisions.decide(mo_decided, mo.id, mo.role, "confirmed", "name_and_face")
    place.clock.pass_by(timedelta(minutes=1))
    place.desk.decisions.finish_due()
    place.desk.appeals.receive(mo_decided, APPEALED, place.desk.moderators.by_login("lea").id)
    cases["appealed"] = mo_decided
    cases["alarming"] = alarm(place, 3)
    enrol_for_real(place)
    place.clock.pass_by(timedelta(minutes=40))
    cases["one"] = place.raise_case(0, account_id="acct-4711", priority=90, runner_up=rival)
    cases["other"] = place.raise_case(9, priority=80)
    for what in ("one", "rival", "mark"):
        place.desk.cases.comment(cases[what], mo.id, "Second upload of this account today.")
    place.clock.pass_by(timedelta(minutes=12))
    pack = [place.raise_case(7, drawn=77, priority=10) for _ in range(9)]
    cases["campaign"] = place.desk.cases.get(pack[0]).picture_group or ""
    cases["of_campaign"] = pack[8]
    place.clock.pass_by(timedelta(minutes=3))
    for decision, reason in (("not_this_person", "look_alike"), ("confirmed", "same_photo")):
        place.desk.claims.claim(case_id := place.raise_case(10, priority=20), mo.id, mo.role)
        place.desk.decisions.decide(case_id, mo.id, mo.role, decision, reason)
        place.clock.pass_by(timedelta(seconds=20))
    place.hire("ada", "administrator")
    make_tokens(place)
    desk = place.desk
    cases["mia"] = desk.moderators.by_login("mia").id
    desk.moderators.disable(desk.moderators.add("otto", "Otto Berg", "moderator", None).id)
    for _ in range(5):
        with suppress(WrongLogin):
            desk.moderators.check_password("lea", "a wrong one")
    people = [place.desk.moderators.by_login("mia").id, place.hire("ina").id, place.hire("ole").id]
    lay_past(place.database, people, place.clock(), cases=900, days=30)
    lea = place.desk.moderators.by_login("lea")
    place.desk.golden.mark(cases["earlier"], "confirmed", "The same photo was in the press in May.", lea.id)
    return cases | furnish_reports(place)


def make_tokens(place: Workplace) -> None:
    """One in force, one without end, one that is revoked."""
    tokens, ends = place.desk.tokens, place.clock() + timedelta(days=200)
    tokens.add("Queue tool", ("cases:read", "cases:decide", "pictures:read"), expires_at=ends, by="operator:root")
    tokens.add("Trust metrics", ("cases:read",), by="operator:root")
    _, old = tokens.add("Help desk", ("appeals:write",), by="operator:root")
    tokens.revoke(old.id, by="operator:root")


def stops(place: Workplace, cases: dict[str, str]) -> Iterator[Stop]:
    """In the order in which they are to be visited."""

    def key(*names: str) -> Step:
        return lambda page: Keys(page).press(*names)

    def wait(selector: str) -> Step:
        return lambda page: page.wait_for_selector(selector)

    def take(page: Page) -> None:
        if page.locator("[data-key=t]").count():
            Keys(page).go_on("t")

    def go_on(name: str) -> Step:
        return lambda page: Keys(page).go_on(name)

    def leave_out(page: Page) -> None:
        page.locator("[data-leave]").nth(2).check()

    def verify(page: Page) -> None:
        Keys(page).go_on("v")

    def new_password(page: Page) -> None:
        with page.expect_navigation():
            page.click("form[action$='/password'] button")

    def make_token(page: Page) -> None:
        page.fill("#name", "Appeals desk")
        with page.expect_navigation():
            page.click("button.primary")

    def forge(page: Page) -> None:
        page.evaluate("document.querySelectorAll('[name=csrf_token]').forEach((field) => (field.value = 'x'))")
        send_settings(page)

    def send_settings(page: Page) -> None:
        with page.expect_navigation():
            page.click("form[action='/account/settings'] button")

    def decide(page: Page) -> None:
        Keys(page).press("1", "1")

    def lose(_page: Page) -> None:
        place.desk.claims.release(cases["one"], place.desk.moderators.by_login("mo").id)

    def log_out(_page: Page) -> None:
        place.desk.sessions.end_all(place.desk.moderators.by_login("ina").id)

    def enrol(page: Page) -> None:
        with page.expect_navigation():
            page.click("#second-factor button")

    yield Stop("login", None, "/login")
    yield Stop("queue", "mo", "/queue")
    yield Stop("case", "mo", f"/case/{cases['one']}", (take,))
    yield Stop("case_clear", "mo", f"/case/{cases['one']}", (take, key("b")))
    yield Stop("judgement", "mo", f"/case/{cases['one']}", (take, key("b", "1"), wait(".likeness .bar"), key("2")))
    yield Stop("skip", "mo", f"/case/{cases['one']}", (take, key("s")))
    yield Stop("whole_pictures", "mo", f"/case/{cases['one']}", (take, key("b", "f", "r")))
    yield Stop("looked_on", "lea", f"/case/{cases['one']}")
    for what in ("picture", "part", "rival", "name", "victim", "mark"):
        yield Stop(f"case_{what}", "mia", f"/case/{cases[what]}", (take, key("b")))
    yield Stop("decided", "mo", f"/case/{cases['earlier']}")
    yield Stop("appeal_form", "mo", f"/case/{cases['earlier']}", (key("a"),))
    yield Stop("statement", "mo", f"/case/{cases['earlier']}/statement")
    yield Stop("appeals", "lea", "/appeals")
    yield Stop("appeal", "mia", f"/case/{cases['appealed']}", (take, key("b")))
    campaign = f"/campaign/picture/{cases['campaign']}"
    yield Stop("campaigns", "mia", "/campaigns")
    yield Stop("campaign_free", "mia", campaign)
    yield Stop("campaign", "mia", campaign, (take, key("b")))
    yield Stop("campaign_judgement", "mia", campaign, (key("1"),))
    yield Stop("campaign_preview", "mia", campaign, (leave_out, key("1", "2"), go_on("Enter")))
    yield Stop("elsewhere", "lea", f"/case/{cases['of_campaign']}")
    yield Stop("reports", "lea", "/reports")
    yield Stop("reports_protected", "mo", "/reports?show=protecting")
    yield Stop("report_new", "mo", f"/reports/{cases['report_new']}")
    honest = f"/reports/{cases['report_honest']}"
    yield Stop("report_review", "mo", honest, (key("b"),))
    yield Stop("report_approval", "mo", f"{honest}?contact=true", (key("b", "1"), wait(".likeness .bar")))
    yield Stop("report_abusive", "mo", f"/reports/{cases['report_abusive']}", (key("b", "2"), wait(".likeness .bar")))
    yield Stop("report_specialists", "mo", honest, (key("b", "3"),))
    yield Stop("report_hashes", "mo", f"/reports/{cases['report_hashes']}", (key("1"),))
    yield Stop("report_again", "lea", f"/reports/{cases['report_again']}", (key("b", "f"),))
    yield Stop("report_minor", "lea", f"/reports/{cases['report_minor']}", (key("1"),))
    yield Stop("report_protected", "lea", f"/reports/{cases['report_protected']}")
    yield Stop("report_of_minors", "mo", f"/reports/{cases['report_minor']}")
    yield Stop("keys", "mo", "/queue", (key("?"),))
    yield Stop("search", "mo", "/search?q=acct-4711")
    yield Stop("search_nothing", "mo", "/search?q=acct-0000")
    yield Stop("account", "mo", "/account")
    yield Stop("second_factor", "mo", "/account", (enrol,))
    yield Stop("gallery", "cy", "/identities")
    yield Stop("gallery_nobody", "ada", "/identities?q=Zzz")
    yield Stop("identity", "cy", f"/identity/{cases['alarming']}?clear=true", (open_all,))
    yield Stop("identity_looked_at", "ada", f"/identity/{cases['alarming']}")
    yield Stop("identity_of_lead", "lea", f"/identity/{cases['alarming']}?clear=true")
    yield Stop("enrolment", "cy", "/identities/add")
    yield Stop("enrolment_mended", "cy", "/identities/add", (send_photos(NAMES[0]),))
    yield Stop("enrolment_tray", "cy", "/identities/add", (send_photos("Nora Winter"),))
    yield Stop("quality", "lea", "/quality?uploads=200,000")
    yield Stop("quality_mine", "mia", "/quality/mine")
    yield Stop("golden", "lea", f"/case/{cases['earlier']}#golden")
    yield Stop("audit", "aud", "/audit", (verify,))
    yield Stop("audit_nothing", "aud", "/audit?actor=nobody")
    yield Stop("people", "ada", "/people")
    yield Stop("person", "ada", f"/people/{cases['mia']}")
    yield Stop("people_add", "ada", "/people/add")
    yield Stop("people_password", "ada", f"/people/{cases['mia']}", (new_password,))
    yield Stop("tokens", "ada", "/tokens")
    yield Stop("token_new", "ada", "/tokens", (make_token,))
    yield Stop("forbidden", "aud", "/queue")
    yield Stop("not_found", "mo", "/nowhere")
    yield Stop("wrong_address", "mo", "/search?q=" + 300 * "x")
    yield Stop("stale_form", "mo", "/account", (forge,))
    yield Stop("case_lost", "mo", f"/case/{cases['one']}", (take, lose, decide, go_on("Enter")))
    yield Stop("login_lost", "ina", "/account", (log_out, send_settings))
    yield Stop("login_ended", "ina", "/queue")


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")


def send_photos(name: str) -> Step:
    """Sends photos of a drawn person as somebody of this name; one of them shows two, one is no picture, and one is
    more like a person who is in the gallery."""
    files = {
        "portrait.jpg": portrait(4),
        "premiere.jpg": beside(portrait(4, 43), portrait(6, 66)),
        "cast.jpg": portrait(2, 29),
    }
    files |= {"contract.pdf": b"%PDF-1.7 nothing"}
    sent = [{"name": file, "mimeType": "image/jpeg", "buffer": content} for file, content in files.items()]

    def send(page: Page) -> None:
        page.fill("#name", name)
        page.fill("#provenance", "Press photo")
        page.set_input_files("#photos", sent)
        with page.expect_navigation():
            page.click("form.card .primary")

    return send


def portrait(seed: int, occasion: int = 40) -> bytes:
    return draw_once(Person.of(seed), occasion).jpeg


def beside(*jpegs: bytes) -> bytes:
    """One photo of two people."""
    shots = [Image.open(io.BytesIO(one)) for one in jpegs]
    both = Image.new("RGB", (sum(one.width for one in shots), shots[0].height))
    for number, one in enumerate(shots):
        both.paste(one, (number * shots[0].width, 0))
    encoded = io.BytesIO()
    both.save(encoded, "JPEG", quality=92)
    return encoded.getvalue()


def enrol_for_real(place: Workplace) -> None:
    """Somebody in the gallery whose embedding is not made up."""
    enrols = place.desk.enrols
    assert enrols is not None
    (faces,) = enrols.judge([portrait(2, 21)])
    enrols.store(Enrolled("Iris Nowak", "celebrity", "Press photo"), None, [choose(faces)], "system")


def alarm(place: Workplace, seed: int) -> str:
    """The id of somebody whose cases were dismissed again and again."""
    mo = place.desk.moderators.by_login("mo")
    for _ in range(4):
        place.desk.claims.claim(case_id := place.raise_case(seed, priority=10), mo.id, mo.role)
        place.desk.decisions.decide(case_id, mo.id, mo.role, "not_this_person", "look_alike")
    place.clock.pass_by(timedelta(minutes=1))
    place.desk.decisions.finish_due()
    who = place.person(seed)
    cy = place.desk.moderators.by_login("cy").id
    place.desk.gallery.add_own_account(who, "acct-2024", by=cy)
    idle = next(one.id for one in place.desk.gallery.show(who).references if one.provenance == "Public profile")
    place.desk.gallery.suspend_reference(idle, True, by=cy)
    return who


@dataclass(frozen=True)
class Furnished:
    """What `furnish` made, to be copied: a SQLite file, the cases in it, and the moment at which it was left."""

    file: Path
    cases: dict[str, str]
    left_at: datetime


def tour(
    place: Workplace, cases: dict[str, str], names: Collection[str] = (), **how: object
) -> Iterator[tuple[Stop, Page]]:
    """Each stop, or those of these names, with its page, ready to be looked at. `how`: as in Browser.new_context."""
    pages: dict[str | None, Page] = {}
    for stop in stops(place, cases):
        if names and stop.name not in names:
            continue
        page = pages.get(stop.login) or pages.setdefault(stop.login, place.seat(stop.login, **how))
        place.go(page, stop.path)
        for step in stop.steps:
            step(page)
        page.evaluate(ALL_PICTURES)
        yield stop, page
