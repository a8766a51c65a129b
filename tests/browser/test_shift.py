"""A shift in a real browser: from the login to an empty queue, by keyboard, alone and beside others."""

from datetime import timedelta

import pytest

from tests.browser.workplace import Keys, workplace
from tests.support.console_site import PASSWORD

LEASE, GRACE = timedelta(minutes=5), timedelta(seconds=30)
"""As likeness.toml has them."""


def test_a_whole_shift_of_ten_cases_is_worked_by_keyboard_alone_with_three_keys_a_case(place):
    mo = place.hire("mo")
    raised = [place.raise_case(number % 5) for number in range(10)]
    keys = Keys(place.go(place.seat(), "/queue"))
    keys.type("mo")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.go_on("Enter")
    assert place.path(keys.page) == "/queue"
    keys.pressed = 0
    keys.go_on("n")
    for number in range(10):
        keys.decide("1" if number < 7 else "2", "2")
    assert place.path(keys.page) == "/queue"
    assert "Nothing is left for you" in keys.page.inner_text("main")
    assert keys.pressed == 1 + 3 * 10
    place.clock.pass_by(GRACE)
    assert place.desk.decisions.finish_due() == 10
    assert {place.desk.cases.get(case_id).state for case_id in raised} == {"closed"}
    reasons = [(made.decision, made.reason) for made in reversed(place.desk.decisions.recent(mo.id))]
    assert reasons == [("confirmed", "same_photo")] * 7 + [("not_this_person", "look_alike")] * 3


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_who_press_at_once_never_get_the_same_case(kind, request, tmp_path, chromium):
    url = f"sqlite:///{tmp_path / 'likeness.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").create_database(migrated=True)
    with workplace(url, chromium.browser) as place:
        raised = {place.raise_case(number % 3) for number in range(6)}
        pages = []
        for login in ("mo", "mia"):
            place.hire(login)
            pages.append(place.go(place.seat(login), "/queue"))
        seen = ([], [])
        press(pages, "form[action='/case/next'] button")
        for _ in range(3):
            for page, cases in zip(pages, seen, strict=True):
                page.wait_for_selector("[data-judge]")
                cases.append(place.path(page).removeprefix("/case/"))
                Keys(page).press("1", "1")
            press(pages, "form[data-panel=confirmed] .primary")
        for page in pages:
            page.wait_for_url("**/queue?*")
        assert sorted(seen[0] + seen[1]) == sorted(raised)


def press(pages, control):
    """Presses a control in both pages before either has an answer."""
    with pages[0].expect_navigation(), pages[1].expect_navigation():
        for page in pages:
            page.evaluate("(control) => void setTimeout(() => document.querySelector(control).click(), 50)", control)


def test_a_claim_that_ended_goes_to_another_and_the_first_is_told_in_words(place):
    place.hire("mo"), place.hire("mia")
    case_id = place.raise_case()
    first, second = (Keys(place.go(place.seat(login), "/queue")) for login in ("mo", "mia"))
    first.go_on("n")
    second.go_on("n")
    assert place.path(second.page) == "/queue", "what is in somebody's hands is offered to nobody else"
    place.clock.pass_by(LEASE)
    second.go_on("n")
    assert place.path(second.page) == f"/case/{case_id}"
    first.decide()
    assert first.page.inner_text("h1") == "This case is no longer yours"
    assert "was not saved. Take the next case." in first.page.inner_text("main")
    second.decide("2")
    (made,) = place.desk.decisions.history(case_id)
    assert (made.moderator_name, made.decision) == ("Mia Berg", "not_this_person")


@pytest.mark.parametrize("settings", [{"lease_seconds": 3}])
def test_a_case_stays_with_who_is_there_and_leaves_who_is_not(place):
    place.hire("mo"), place.hire("mia")
    case_id = place.raise_case()
    first, second = (Keys(place.go(place.seat(login), "/queue")) for login in ("mo", "mia"))
    first.go_on("n")
    for step in range(12):
        first.page.mouse.move(100 + step, 100)
        first.page.wait_for_timeout(500)
    second.go_on("n")
    assert place.path(second.page) == "/queue"
    first.page.wait_for_timeout(7000)
    second.go_on("n")
    assert place.path(second.page) == f"/case/{case_id}"
    first.page.mouse.move(300, 300)
    first.page.wait_for_selector(".message.bad")
    assert "no longer in your hands" in first.page.inner_text(".message.bad")
    assert first.page.locator(".picture").count() == 0


def test_a_decision_is_taken_back_by_one_key_and_the_case_is_there_again(place):
    mo = place.hire("mo")
    first_id = place.raise_case(0, priority=70)
    second_id = place.raise_case(1)
    keys = Keys(place.go(place.seat("mo"), "/queue"))
    keys.go_on("n")
    keys.decide()
    assert place.path(keys.page) == f"/case/{second_id}"
    assert "Decided: Impersonation." in keys.page.inner_text("#notices")
    keys.go_on("u")
    assert place.path(keys.page) == f"/case/{first_id}"
    assert "Taken back" in keys.page.inner_text("main")
    keys.decide("2")
    made = [(one.decision, one.state) for one in place.desk.decisions.history(first_id)]
    assert made == [("confirmed", "undone"), ("not_this_person", "pending")]
    assert place.desk.cases.get(second_id).claimed_by == mo.id


def test_it_is_too_late_to_take_back_what_the_platform_has_been_told(place):
    place.hire("mo")
    case_id = place.raise_case()
    keys = Keys(place.go(place.seat("mo"), "/queue"))
    keys.go_on("n")
    keys.decide()
    place.clock.pass_by(GRACE)
    place.desk.decisions.finish_due()
    keys.go_on("u")
    assert keys.page.inner_text("h1") == "It is too late to undo this"
    assert place.desk.cases.get(case_id).state == "closed"


def test_a_case_is_skipped_with_a_reason_and_goes_to_somebody_else(place):
    place.hire("mo"), place.hire("mia")
    case_id = place.raise_case()
    keys, others = (Keys(place.go(place.seat(login), "/queue")) for login in ("mo", "mia"))
    keys.go_on("n")
    keys.press("s")
    keys.press("Enter")
    assert place.path(keys.page) == f"/case/{case_id}", "without a reason it is not skipped"
    keys.press("1")
    keys.go_on("Enter")
    keys.go_on("n")
    assert place.path(keys.page) == "/queue"
    others.go_on("n")
    assert place.path(others.page) == f"/case/{case_id}"
    (skipped,) = [one for one in place.desk.audit.read(subject=case_id) if one.action == "case_skipped"]
    assert skipped.details == {"reason": "i_know_them"}
