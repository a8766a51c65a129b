"""Cases that one person does not settle alone: four eyes, disagreement, escalation."""

from datetime import timedelta

import pytest

from tests.browser.workplace import Keys

GRACE = timedelta(seconds=30)


@pytest.fixture
def case_id(place):
    """A case about a victim, where four eyes are asked for."""
    return place.raise_case(1, person_kind="victim")


@pytest.fixture
def desks(place, case_id):
    """Keyboards of two moderators and a lead, at their queues."""
    for login, role in (("mo", "moderator"), ("mia", "moderator"), ("lea", "lead")):
        place.hire(login, role)
    return [Keys(place.go(place.seat(login), "/queue")) for login in ("mo", "mia", "lea")]


def settle(place):
    place.clock.pass_by(GRACE)
    return place.desk.decisions.finish_due()


def test_two_who_agree_settle_a_victims_case_and_the_second_does_not_see_the_first(place, case_id, desks):
    first, second, _ = desks
    first.go_on("n")
    first.decide()
    assert settle(place) == 0, "one pair of eyes settles nothing"
    first.go_on("n")
    assert place.path(first.page) == "/queue", "who judged first is not asked again"
    second.go_on("n")
    shown = second.page.inner_text("main")
    assert "Second pair of eyes" in shown
    assert "Mo Berg" not in shown and "Decisions on this case" not in shown
    second.decide()
    assert settle(place) == 1
    assert place.desk.cases.get(case_id).state == "closed"
    assert [one.state for one in place.desk.decisions.history(case_id)] == ["first", "final"]


def test_two_who_disagree_leave_it_to_a_lead(place, case_id, desks):
    first, second, lead = desks
    first.go_on("n")
    first.decide("1")
    place.clock.pass_by(GRACE)
    second.go_on("n")
    second.decide("2")
    assert settle(place) == 0
    for keys in (first, second):
        keys.go_on("n")
        assert place.path(keys.page) == "/queue"
    lead.go_on("n")
    assert place.path(lead.page) == f"/case/{case_id}"
    assert "For a lead" in lead.page.inner_text("main")
    lead.decide("2")
    assert settle(place) == 1
    states = [(one.decision, one.state) for one in place.desk.decisions.history(case_id)]
    assert states == [("confirmed", "overruled"), ("not_this_person", "first"), ("not_this_person", "final")]


def test_what_is_escalated_reaches_a_lead_who_cannot_pass_it_on(place, case_id, desks):
    first, second, lead = desks
    first.go_on("n")
    first.decide("5")
    place.clock.pass_by(GRACE)
    second.go_on("n")
    assert place.path(second.page) == "/queue"
    lead.go_on("n")
    assert place.path(lead.page) == f"/case/{case_id}"
    assert "Escalate" not in lead.page.inner_text("[data-choices]")
    lead.decide("4")
    assert settle(place) == 1
    assert place.desk.decisions.history(case_id)[-1].decision == "bad_picture"
