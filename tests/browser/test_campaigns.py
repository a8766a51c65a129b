"""Campaigns in a real browser: many cases judged as one, previewed, undone, and never in two people's hands."""

from datetime import timedelta

import pytest

from tests.browser.test_shift import press
from tests.browser.workplace import Keys, workplace

GRACE = timedelta(seconds=30)
"""As likeness.toml has it."""


def raise_pack(place, count: int) -> list[str]:
    """So many cases of different accounts that show one picture."""
    return [place.raise_case(0, drawn=7) for _ in range(count)]


def states(place, cases: list[str]) -> set[str]:
    return {place.desk.cases.get(case_id).state for case_id in cases}


def hands(place, cases: list[str]) -> list[str | None]:
    return [place.desk.cases.get(case_id).claimed_by for case_id in cases]


def confirm(keys: Keys) -> None:
    """Presses Enter on the preview, once the browser has put the focus on its button."""
    keys.page.wait_for_selector("button.primary:focus")
    keys.go_on("Enter")


def test_a_campaign_of_ten_cases_is_decided_by_keyboard_previewed_and_undone(place):
    mo = place.hire("mo")
    cases = raise_pack(place, 10)
    keys = Keys(place.go(place.seat("mo"), "/queue"))
    assert "10 accounts show the same picture" in keys.page.inner_text("main")
    keys.go_on("c")
    keys.go_on("1")
    keys.go_on("t")
    assert hands(place, cases) == [mo.id] * 10
    assert keys.page.locator(".avatars img").count() == 10
    keys.press("1", "2")
    keys.go_on("Enter")
    said = keys.page.inner_text("main")
    assert "Nothing is decided yet" in said
    assert "10 decided: the platform is told once it is too late to undo" in " ".join(said.split())
    assert states(place, cases) == {"open"}
    confirm(keys)
    assert place.path(keys.page) == "/queue"
    assert states(place, cases) == {"decided"}
    assert keys.page.locator(".recent li").count() == 1
    assert "Campaign of 10 cases" in keys.page.inner_text(".recent")
    keys.go_on("u")
    assert place.path(keys.page).startswith("/campaign/picture/")
    assert (states(place, cases), hands(place, cases)) == ({"open"}, [mo.id] * 10)
    keys.press("2", "1")
    keys.go_on("Enter")
    confirm(keys)
    place.clock.pass_by(GRACE)
    assert place.desk.decisions.finish_due() == 10
    made = [one for one in place.desk.decisions.recent(mo.id) if one.state != "undone"]
    assert {(one.decision, one.state) for one in made} == {("not_this_person", "final")}


def test_single_cases_are_left_out_and_go_back_to_their_queue(place):
    mo = place.hire("mo")
    cases = raise_pack(place, 4)
    page = place.go(place.seat("mo"), f"/campaign/picture/{cases[0]}")
    keys = Keys(page)
    keys.go_on("t")
    page.locator(f"[data-leave][value='{cases[1]}']").check()
    page.locator(f"[data-leave][value='{cases[3]}']").check()
    keys.press("1", "1")
    keys.go_on("Enter")
    said = " ".join(page.inner_text("main").split())
    assert "2 left out by you" in said
    keys.go_on("Escape")
    assert page.locator("[data-leave]:checked").count() == 2
    page.locator(f"[data-leave][value='{cases[3]}']").uncheck()
    keys.press("1", "1")
    keys.go_on("Enter")
    confirm(keys)
    assert [place.desk.cases.get(case_id).state for case_id in cases] == ["decided", "open", "decided", "decided"]
    assert hands(place, cases) == [None] * 4
    assert place.desk.claims.next(mo.id, "moderator").id == cases[1]


def test_it_works_without_scripts(place):
    place.hire("mo")
    cases = raise_pack(place, 3)
    page = place.go(place.seat("mo", java_script_enabled=False), f"/campaign/picture/{cases[0]}")
    page.get_by_role("button", name="Take the 3 free cases").click()
    page.locator(f"[data-leave][value='{cases[2]}']").check()
    page.get_by_role("button", name="Impersonation").click()
    page.get_by_label("The same photo").check()
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Decide 2 cases").click()
    assert [place.desk.cases.get(case_id).state for case_id in cases] == ["decided", "decided", "open"]
    page.get_by_role("button", name="Undo").first.click()
    assert states(place, cases) == {"open"}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_who_race_for_one_campaign_never_hold_the_same_case(kind, request, tmp_path, chromium):
    url = f"sqlite:///{tmp_path / 'likeness.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").create_database(migrated=True)
    with workplace(url, chromium.browser) as place:
        people = {place.hire(login).id for login in ("mo", "mia")}
        cases = raise_pack(place, 8)
        pages = [place.go(place.seat(login), f"/campaign/picture/{cases[0]}") for login in ("mo", "mia")]
        press(pages, "form[action$='/claim'] button")
        for page in pages:
            page.wait_for_selector("[data-judge], main.narrow, .message.bad")
        assert None not in hands(place, cases)
        assert set(hands(place, cases)) <= people
        shown = [page.locator("[data-leave]").evaluate_all("boxes => boxes.map(one => one.value)") for page in pages]
        assert sorted(shown[0] + shown[1]) == sorted(cases)


def test_a_campaign_that_others_took_says_so(place):
    for login in ("mo", "mia"):
        place.hire(login)
    cases = raise_pack(place, 3)
    mo, mia = (place.go(place.seat(login), f"/campaign/picture/{cases[0]}") for login in ("mo", "mia"))
    Keys(mo).go_on("t")
    with mia.expect_navigation():
        mia.keyboard.press("t")
    assert "Nothing of this campaign is free" in mia.inner_text("main")
    place.clock.pass_by(timedelta(minutes=6))
    place.go(mia, f"/campaign/picture/{cases[0]}")
    Keys(mia).go_on("t")
    Keys(mo).press("1", "1")
    with mo.expect_navigation():
        mo.keyboard.press("Enter")
    assert "no longer yours" in mo.inner_text("main")
