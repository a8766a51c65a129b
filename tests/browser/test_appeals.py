"""After the decision: the statement of reasons, and an appeal that another person judges; by keyboard alone."""

import json
from datetime import timedelta

import pytest

from tests.browser.workplace import Keys

GRACE = timedelta(seconds=30)


@pytest.fixture
def case_id(place):
    """A case that mo has confirmed."""
    mo, *_ = (place.hire(login, role) for login, role in (("mo", "moderator"), ("mia", "moderator"), ("lea", "lead")))
    case_id = place.raise_case(3)
    place.desk.claims.claim(case_id, mo.id, mo.role)
    place.desk.decisions.decide(case_id, mo.id, mo.role, "confirmed", "same_person")
    settle(place)
    return case_id


def settle(place):
    place.clock.pass_by(GRACE)
    assert place.desk.decisions.finish_due() == 1
    place.clock.pass_by(GRACE)


def at(place, login, path, **how):
    return Keys(place.go(place.seat(login, **how), path))


def test_an_appeal_is_noted_judged_by_another_person_and_undone_by_keyboard(place, case_id):
    mo = at(place, "mo", f"/case/{case_id}")
    mo.press("a")
    mo.type("It is me: my passport says so.")
    mo.press("Tab")
    mo.go_on("Enter")
    assert "my passport says so" in mo.page.inner_text("#appeals")
    assert "Take this case" not in mo.page.inner_text("main"), "another person judges"

    place.raise_case(4, priority=100)
    mia = at(place, "mia", "/queue")
    mia.go_on("n")
    assert place.path(mia.page) == f"/case/{case_id}", "an appeal goes before all others"
    shown = mia.page.inner_text("main")
    assert "my passport says so" in shown and "Against: Impersonation" in shown
    assert "Mo Berg" not in shown
    mia.decide("3")
    mia.go_on("u")
    assert place.path(mia.page) == f"/case/{case_id}"
    mia.decide("3")
    settle(place)
    place.go(mia.page, f"/case/{case_id}")
    assert "Decided otherwise" in mia.page.inner_text("#appeals")
    assert "Mo Berg" in mia.page.inner_text("main"), "once it is over, all of the history is there"
    assert mia.page.locator("[data-key=e]").count() == 0, "nobody is restricted any more"


def test_leads_see_how_long_appeals_wait_and_open_the_oldest(place, case_id):
    lea = at(place, "lea", "/queue")
    lea.go_on("p")
    assert "No appeal is open" in lea.page.inner_text("main")
    place.desk.appeals.receive(case_id, "It is me.", place.desk.moderators.by_login("mia").id)
    place.clock.pass_by(timedelta(minutes=40))
    lea.page.reload()
    assert "40 minutes ago" in lea.page.inner_text(".appeals")
    lea.go_on("o")
    assert place.path(lea.page) == f"/case/{case_id}"
    lea.go_on("t")
    assert lea.page.locator("[data-judge]").count() == 1


def test_a_statement_is_copied_and_downloaded_by_keyboard(place, case_id):
    mo = at(place, "mo", f"/case/{case_id}", permissions=["clipboard-read", "clipboard-write"])
    mo.go_on("e")
    mo.press("1")
    mo.page.wait_for_selector("text=Copied.")
    copied = mo.page.evaluate("navigator.clipboard.readText()")
    assert copied == mo.page.text_content("#text-en")
    assert "removed your profile picture" in copied
    with mo.page.expect_download() as download:
        mo.press("d")
    fields = json.loads(download.value.path().read_text())
    assert fields["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_REMOVED"]
    mo.go_on("Escape")
    assert place.path(mo.page) == f"/case/{case_id}"


def test_without_scripts_the_statement_can_be_read_and_an_appeal_noted(place, case_id):
    page = place.go(place.seat("mo", java_script_enabled=False), f"/case/{case_id}/statement")
    assert "removed your profile picture" in page.inner_text("#text-en")
    assert not page.locator("button[data-copy]").first.is_visible()
    place.go(page, f"/case/{case_id}")
    page.fill("#appeal-text", "It is me.")
    page.click("#appeals form button")
    assert place.desk.cases.get(case_id).stage == "appeal"
