"""What people read when something does not go as they meant: a page that says what to do next."""

import pytest

from tests.browser.workplace import Keys
from tests.support.console_site import PASSWORD


@pytest.fixture
def keys(place):
    """A keyboard at a case."""
    place.hire("mo")
    place.raise_case()
    hands = Keys(place.go(place.seat("mo"), "/queue"))
    hands.go_on("n")
    return hands


def test_a_login_that_ends_in_the_middle_of_a_decision_leads_back_to_the_case(place, keys):
    case = place.path(keys.page)
    keys.press("1")
    keys.page.wait_for_selector(".likeness .bar")
    place.desk.sessions.end_all(place.desk.moderators.by_login("mo").id)
    keys.press("1")
    keys.go_on("Enter")
    assert place.path(keys.page) == "/login"
    assert "was not saved. Log in again and repeat it." in keys.page.inner_text("main")
    keys.type("mo")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.go_on("Enter")
    assert place.path(keys.page) == case
    keys.decide()
    assert place.path(keys.page) == "/queue"


def test_a_login_that_ended_before_the_judgement_is_noticed_at_once(place, keys):
    place.desk.sessions.end_all(place.desk.moderators.by_login("mo").id)
    keys.press("1")
    keys.page.wait_for_url("**/login?*")
    assert "you are back where you were" in keys.page.inner_text("main")


def test_a_form_of_another_login_changes_nothing(place, keys):
    case = place.path(keys.page)
    keys.page.evaluate("document.querySelectorAll('[name=csrf_token]').forEach((field) => (field.value = 'x'))")
    keys.decide()
    assert keys.page.inner_text("h1") == "This form is out of date"
    assert place.desk.decisions.history(case.removeprefix("/case/")) == []
    with keys.page.expect_navigation():
        keys.page.click("main a.button")
    assert place.path(keys.page) == case


def test_photos_that_are_too_large_together_are_refused_in_words(place, tmp_path):
    place.hire("cy", "curator")
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(bytes(20_000_000))
    page = place.go(place.seat("cy"), "/identities/add")
    page.fill("#name", "Nora Winter")
    page.fill("#provenance", "Press photo")
    page.set_input_files("#photos", sorted(tmp_path.glob("*.jpg")))
    with page.expect_navigation():
        page.click("form.card .primary")
    assert page.inner_text("h1") == "That is too large"
    assert "send fewer photos at a time" in page.inner_text("main")


def test_a_role_that_may_see_no_faces_is_turned_away_and_that_is_noted(place):
    auditor = place.hire("aud", "auditor")
    case_id = place.raise_case()
    page = place.seat("aud")
    for path in ("/queue", "/search", f"/case/{case_id}"):
        place.go(page, path)
        assert page.inner_text("h1") == "This page is not for your role"
    assert page.locator("nav >> text=Queue").count() == 0
    noted = [one.subject for one in place.desk.audit.read(actor=auditor.id) if one.action == "forbidden"]
    assert sorted(noted) == sorted(["/queue", "/search", f"/case/{case_id}"])


def test_a_case_that_somebody_else_has_shows_no_face(place, keys):
    place.hire("mia")
    page = place.go(place.seat("mia"), place.path(keys.page))
    assert "Only who works on the case sees its pictures." in page.inner_text("main")
    assert page.locator("main img").count() == 0
    answer = page.request.get(f"{place.address}{place.path(keys.page)}/face.jpg")
    assert answer.status == 409
