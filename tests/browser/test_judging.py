"""How a case is looked at and judged: pictures blurred until held, numbers after the judgement, no script needed."""

import re

import pytest

from tests.browser.workplace import Keys
from tests.support.console_site import PASSWORD

NUMBERS = ("0.71", "0.55", "0.6", "similarity", "likeness-title", 'class="bar')


@pytest.fixture
def case_page(place):
    """A moderator's page with a case in hand."""
    place.hire("mo")
    place.raise_case(0, shows=3)
    page = place.go(place.seat("mo"), "/queue")
    Keys(page).go_on("n")
    return page


def blur(page):
    return page.evaluate("getComputedStyle(document.querySelector('.picture img')).filter")


def revealed(place):
    return [one.action for one in place.desk.audit.read()].count("picture_revealed")


def judged(place):
    """The only decision in the audit log, and what it says was judged first."""
    (decided,) = [one for one in place.desk.audit.read() if one.action == "case_decided"]
    return decided.details["decision"], decided.details["first_judgement"]


def test_pictures_are_clear_as_long_as_they_are_held_and_the_look_is_noted_once(place, case_page):
    assert "blur" in blur(case_page)
    case_page.hover(".picture")
    for _ in range(2):
        case_page.mouse.down()
        assert blur(case_page) == "none"
        case_page.mouse.up()
        assert "blur" in blur(case_page)
    case_page.wait_for_load_state("networkidle")
    assert revealed(place) == 1


def test_a_key_shows_pictures_while_it_is_held_and_for_good_when_it_is_tapped(place, case_page):
    case_page.keyboard.down("b")
    assert blur(case_page) == "none"
    case_page.wait_for_timeout(500)
    case_page.keyboard.up("b")
    assert "blur" in blur(case_page)
    case_page.keyboard.press("b")
    assert blur(case_page) == "none"
    case_page.wait_for_timeout(500)
    assert blur(case_page) == "none"
    case_page.keyboard.press("b")
    assert "blur" in blur(case_page)


def test_no_number_and_no_bar_is_in_the_page_until_the_moderator_has_judged(place, case_page):
    before = case_page.request.get(case_page.url).text()
    before = re.sub(r"\s+", " ", before.split('<details class="facts policy"')[0])
    assert [said for said in NUMBERS if said in before] == []
    case_page.keyboard.press("2")
    case_page.wait_for_selector(".likeness .bar")
    assert "0.71" in case_page.inner_text(".likeness")
    case_page.keyboard.press("Escape")
    case_page.keyboard.press("1")
    case_page.keyboard.press("1")
    Keys(case_page).go_on("Enter")
    assert judged(place) == ("confirmed", "not_this_person")


def test_who_saw_the_number_does_not_judge_for_the_first_time_once_the_page_is_loaded_again(place, case_page):
    case_page.keyboard.press("2")
    case_page.wait_for_selector(".likeness .bar")
    case_page.reload()
    assert case_page.locator(".likeness").count() == 0
    case_page.keyboard.press("1")
    case_page.wait_for_selector(".likeness .bar")
    case_page.keyboard.press("1")
    Keys(case_page).go_on("Enter")
    assert judged(place) == ("confirmed", "not_this_person")


def test_the_keys_of_a_page_are_shown_by_one(case_page):
    case_page.keyboard.press("?")
    said = case_page.inner_text("dialog[open]")
    for what in ("Impersonation", "Not this person", "Skip this case", "Show pictures clearly", "Comment", "Search"):
        assert what in said
    case_page.keyboard.press("1")
    assert case_page.locator("form[data-panel]:visible").count() == 0, "keys behind the dialog are out of force"
    case_page.keyboard.press("Escape")
    assert case_page.locator("dialog[open]").count() == 0


def test_a_case_is_decided_without_any_script(place):
    place.hire("mo")
    case_id = place.raise_case()
    page = place.go(place.seat(java_script_enabled=False), "/")
    page.fill("#login", "mo")
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.click("form[action='/case/next'] button >> nth=0")
    assert place.path(page) == f"/case/{case_id}"
    page.click("[data-reveal] button")
    assert "clear" in page.get_attribute("main", "class").split()
    page.click("button[value=not_this_person]")
    assert "0.71" in page.inner_text(".likeness")
    page.click("form[data-panel=not_this_person] [data-back]")
    page.click("button[value=confirmed]")
    assert "0.71" in page.inner_text(".likeness")
    page.check("form[data-panel=confirmed] input[value=same_photo]")
    page.click("form[data-panel=confirmed] .primary")
    assert "Decided: Impersonation." in page.inner_text("main")
    (made,) = place.desk.decisions.history(case_id)
    assert (made.decision, made.reason) == ("confirmed", "same_photo")
    assert judged(place) == ("confirmed", "not_this_person")
    page.click(".undo button")
    assert place.path(page) == f"/case/{case_id}"
    assert place.desk.cases.get(case_id).state == "open"


def test_a_case_whose_picture_is_gone_says_so_and_is_decided(place):
    place.hire("mo")
    place.raise_case(pictured=False)
    keys = Keys(place.go(place.seat("mo"), "/queue"))
    keys.go_on("n")
    assert "The avatar is not here any more" in keys.page.inner_text(".compare")
    keys.decide("4")
    assert place.path(keys.page) == "/queue"


def test_a_case_about_somebody_who_was_erased_is_closed_and_says_so_without_their_name(place):
    place.hire("mo")
    case_id = place.raise_case(2)
    place.desk.gallery.remove_identity(place.person(2))
    keys = Keys(place.go(place.seat("mo"), "/queue"))
    keys.go_on("n")
    assert place.path(keys.page) == "/queue", "nothing is left to decide"
    case = place.go(keys.page, f"/case/{case_id}")
    assert "The person that this case is about has been erased" in case.inner_text("main")
    assert "Carvalho" not in case.content()
