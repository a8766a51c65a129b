"""Quality of review as people meet it: a test case in a shift, what is told afterwards, and the figures."""

from datetime import timedelta

import pytest

from tests.browser.workplace import Keys

GRACE = timedelta(seconds=30)
WHY = "The ears and the chin differ."


def settle(place):
    place.clock.pass_by(GRACE)
    return place.desk.decisions.finish_due()


@pytest.fixture
def source(place):
    """A case that Max has closed."""
    for login, role in (("mo", "moderator"), ("max", "moderator"), ("lea", "lead")):
        place.hire(login, role)
    case_id = place.raise_case(1, shows=2)
    closer = place.desk.moderators.by_login("max")
    place.desk.claims.claim(case_id, closer.id, closer.role)
    keys = Keys(place.go(place.seat("max"), f"/case/{case_id}"))
    keys.decide("2")
    assert settle(place) == 1
    return case_id


@pytest.mark.parametrize("settings", [{"golden_rate": 1}])
def test_a_test_case_goes_through_a_shift_unseen_and_is_told_afterwards(place, source):
    lead = place.go(place.seat("lea"), f"/case/{source}")
    lead.click("#golden summary")
    assert lead.input_value("#expected") == "not_this_person", "what was decided finally is offered first"
    lead.fill("#why", WHY)
    with lead.expect_navigation():
        lead.click("#golden details button")
    assert WHY in lead.inner_text("#golden")

    place.clock.pass_by(timedelta(days=2))
    waiting = place.raise_case(3)
    mo = Keys(place.go(place.seat("mo"), "/queue"))
    mo.go_on("n")
    tested = place.path(mo.page).removeprefix("/case/")
    assert tested not in (source, waiting)
    shown = mo.page.inner_text("main")
    assert "test" not in shown.lower() and "Max" not in shown
    assert "Other cases of this person" not in shown, "its source would tell the answer"
    assert "2 days ago" not in shown, "it looks as if it had come today"
    mo.page.wait_for_selector("figure img")
    mo.decide("1")
    assert place.path(mo.page) == f"/case/{waiting}", "nobody is tested twice with one case"
    assert "test case" not in mo.page.inner_text("body")
    mo.decide("1")
    assert "test case" not in mo.page.inner_text("main").lower()

    assert settle(place) == 1, "the platform is told of the real case only"
    told = place.go(mo.page, "/queue").inner_text("main")
    assert f"The right answer is “Not this person”, because: {WHY}" in told
    assert told.count("That was a test case") == 1
    mine = place.go(mo.page, "/quality/mine").inner_text("main")
    assert WHY in mine and "0%" in mine

    lead = place.go(place.seat("lea"), "/quality")
    row = lead.locator("#golden tbody tr")
    assert row.locator("td.number").all_inner_texts() == ["0", "1", "0"]
    with lead.expect_navigation():
        row.locator("button").click()
    assert "Retired" in lead.inner_text("#golden")
