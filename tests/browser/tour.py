"""Every page of the console, each with something on it, one after another."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from playwright.sync_api import Page

from consumers.messages import ReviewForeignText, ReviewNameClaim, ReviewRunnerUp, ReviewSamePhoto
from tests.browser.workplace import NAMES, Keys, Workplace

Step = Callable[[Page], object]


@dataclass(frozen=True)
class Stop:
    """A page of the tour: whose it is (None: nobody's, before the login), where it is, and what is done there."""

    name: str
    login: str | None
    path: str
    steps: Sequence[Step] = ()


def furnish(place: Workplace) -> dict[str, str]:
    """People, and cases of every kind; the cases' ids by what they are. Mo has one in hand, and has decided."""
    for login, role in (("mo", "moderator"), ("mia", "moderator"), ("lea", "lead"), ("aud", "auditor")):
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
    cases["one"] = place.raise_case(0, account_id="acct-4711", priority=90, runner_up=rival)
    cases["other"] = place.raise_case(9, priority=80)
    for what in ("one", "rival", "mark"):
        place.desk.cases.comment(cases[what], mo.id, "Second upload of this account today.")
    place.clock.pass_by(timedelta(minutes=12))
    for decision, reason in (("not_this_person", "look_alike"), ("confirmed", "same_photo")):
        place.desk.claims.claim(case_id := place.raise_case(10, priority=20), mo.id, mo.role)
        place.desk.decisions.decide(case_id, mo.id, mo.role, decision, reason)
        place.clock.pass_by(timedelta(seconds=20))
    return cases


def stops(cases: dict[str, str]) -> Iterator[Stop]:
    """In the order in which they are to be visited."""

    def key(*names: str) -> Step:
        return lambda page: Keys(page).press(*names)

    def wait(selector: str) -> Step:
        return lambda page: page.wait_for_selector(selector)

    def take(page: Page) -> None:
        if page.locator("[data-key=t]").count():
            Keys(page).go_on("t")

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
    yield Stop("keys", "mo", "/queue", (key("?"),))
    yield Stop("search", "mo", "/search?q=acct-4711")
    yield Stop("search_nothing", "mo", "/search?q=acct-0000")
    yield Stop("account", "mo", "/account")
    yield Stop("second_factor", "mo", "/account", (enrol,))
    yield Stop("forbidden", "aud", "/queue")
    yield Stop("not_found", "mo", "/nowhere")


def tour(
    place: Workplace, cases: dict[str, str], names: Collection[str] = (), **how: object
) -> Iterator[tuple[Stop, Page]]:
    """Each stop, or those of these names, with its page, ready to be looked at. `how`: as in Browser.new_context."""
    pages: dict[str | None, Page] = {}
    for stop in stops(cases):
        if names and stop.name not in names:
            continue
        page = pages.get(stop.login) or pages.setdefault(stop.login, place.seat(stop.login, **how))
        place.go(page, stop.path)
        for step in stop.steps:
            step(page)
        page.wait_for_load_state("networkidle")
        yield stop, page
