"""Figures of quality, from cases that were worked, against counts made by hand."""

from datetime import timedelta

import pytest

from records.casework.cases import CasePicture
from records.casework.golden_cases import GoldenCases
from records.casework.golden_copies import GoldenMix
from records.quality.review_quality import QualityRecords, window_of
from tests.support.case_office import GRACE, MASTER, QUEUES, START, Office, new_case

DAY = timedelta(days=1)


@pytest.fixture
def office(database):
    made = Office(database)
    made.hire()
    return made


@pytest.fixture
def quality(office):
    records = QualityRecords(office.database, [rule.name for rule in QUEUES], clock=office.clock)

    def of_days(days=7):
        office.clock.pass_by(timedelta(minutes=1))  # counted anew
        return records.look_ahead(days)

    return of_days


@pytest.fixture
def decide(office):
    """Opens a case, has it decided after so long, and makes that final."""
    number = iter(range(10_000))

    def make(decision, by="mo", after=timedelta(minutes=1), **facts):
        case_id = f"case-{next(number)}"
        office.open(case_id, **facts)
        office.clock.pass_by(after)
        office.decide(case_id, by, decision)
        office.clock.pass_by(GRACE)
        office.decisions.finish_due()
        return case_id

    return make


def test_the_worth_of_a_finding_is_what_was_decided_on_it(quality, decide):
    for decision in ["confirmed"] * 5 + ["genuine_owner"] + ["not_this_person"] * 2 + ["bad_picture"] * 4:
        decide(decision)
    decide("not_this_person", kind="look_alike_risk")
    found = quality()
    worth = found.kinds["same_person"]
    assert (worth.confirmed, worth.genuine_owner, worth.not_this_person, worth.bad_picture) == (5, 1, 2, 4)
    assert worth.decided == 12
    assert (worth.right_face.count, worth.right_face.of) == (6, 8)
    assert (worth.impersonation.count, worth.impersonation.of) == (5, 8)
    assert list(found.kinds) == ["look_alike_risk", "same_person"]
    assert found.kinds["look_alike_risk"].right_face.value == 0


def test_bands_say_how_far_a_likeness_was_above_the_threshold(quality, decide):
    for similarity in (0.50, 0.54, 0.56, 0.71):
        decide("confirmed", similarity=similarity, threshold=0.50)
    decide("not_this_person", similarity=0.51, threshold=0.50)
    decide("confirmed", kind="same_picture")
    bands = quality().bands
    assert {band: one.decided for band, one in bands.items()} == {0: 3, 1: 1, 4: 1}
    assert bands[0].right_face.value == pytest.approx(2 / 3)


def test_figures_over_time_stand_on_the_day_that_they_belong_to(office, quality, decide):
    decide("confirmed")
    office.clock.pass_by(2 * DAY)
    decide("not_this_person")
    decide("not_this_person")
    found = quality()
    assert len(found.window.starts) == 7
    assert found.window.starts[-1] == START.replace(hour=0) + 2 * DAY
    assert [one.decided for one in found.kinds["same_person"].over_time] == [0, 0, 0, 0, 1, 0, 2]
    office.clock.pass_by(7 * DAY)
    assert quality().kinds == {}, "all that was is out of the window"


def test_a_long_window_is_cut_into_weeks():
    window = window_of(90, START)
    assert (window.step, window.periods) == (7, 13)
    assert window.until == START.replace(hour=0) + DAY


def test_the_backlog_is_what_had_no_final_decision_at_the_end_of_each_day(office, quality, decide):
    for number in range(3):
        office.open(f"day-one-{number}")
    office.clock.pass_by(DAY)
    office.open("day-two")
    office.decide("day-one-0", "mo", "confirmed")
    office.clock.pass_by(DAY)
    office.decisions.finish_due()  # on day three
    office.open("other", kind="same_picture")
    flows = {flow.queue: flow for flow in quality().queues}
    assert list(flows) == [rule.name for rule in QUEUES]
    assert flows["faces"].over_time[-4:] == (0, 3, 4, 3)
    assert (flows["faces"].backlog, flows["faces"].came, flows["faces"].closed) == (3, 4, 1)
    assert flows["pictures"].over_time[-2:] == (0, 1)


def test_the_time_to_a_decision_is_that_of_half_and_of_nine_in_ten(quality, decide):
    for minutes in (1, 2, 3, 4, 5, 6, 7, 8, 9, 60):
        decide("confirmed", after=timedelta(minutes=minutes))
    faces = next(flow for flow in quality().queues if flow.queue == "faces")
    assert (faces.median, faces.p90) == pytest.approx((300, 540), abs=0.01)
    assert next(flow for flow in quality().queues if flow.queue == "victims").median is None


def test_two_who_judge_without_knowing_of_each_other_are_compared(office, quality):
    said = [("confirmed", "confirmed")] * 4 + [("confirmed", "bad_picture")] + [("bad_picture", "bad_picture")] * 3
    for number, (first, second) in enumerate(said):
        office.open(f"victim-{number}", identity_kind="victim")
        office.decide(f"victim-{number}", "mo", first)
        office.decide(f"victim-{number}", "mia" if number else "max", second)
    found = quality()
    # observed 7/8; by chance 5/8 * 4/8 + 3/8 * 4/8 = 1/2; kappa (7/8 - 1/2) / (1/2)
    assert (found.agreement.pairs, found.agreement.same) == (8, 7)
    assert found.agreement.kappa == pytest.approx(0.75)
    assert found.agreements["same_person"] == found.agreement
    people = {one.moderator_id: one for one in found.reviewers}
    assert people["mo"].with_others.pairs == 8
    assert people["mia"].with_others.pairs == 7
    assert people["max"].with_others.pairs == 1
    assert (people["mo"].decisions, people["mia"].decisions) == (8, 7)
    assert found.of("lea") is None


def test_a_judgement_that_was_taken_back_or_escalated_makes_no_pair(office, quality):
    office.open("victim", identity_kind="victim")
    made = office.decide("victim", "mo", "confirmed")
    office.decisions.undo(made.decision_id, "mo")
    office.claims.release("victim", "mo")
    office.decide("victim", "mia", "escalated")
    office.decide("victim", "lea", "confirmed")
    assert quality().agreement.pairs == 0


def test_tests_count_as_tests_and_as_nothing_else(office, quality, database):
    golden = GoldenCases(database, office.audit, clock=office.clock)
    assert office.cases.open(new_case("source"), CasePicture(b"picture", {"avatar": [], "references": {}}))
    office.decide("source", "max", "confirmed")
    office.clock.pass_by(GRACE)
    office.decisions.finish_due()
    golden.mark("source", "confirmed", "The same photo.", "lea")
    before = quality()
    office.claims._golden = GoldenMix(MASTER, 1.0)
    for number, (moderator_id, decision) in enumerate(
        (("mo", "confirmed"), ("mia", "bad_picture"), ("leo", "escalated"))
    ):
        office.open(f"waiting-{number}", kind="name_claim")
        office.decide(office.next_of(moderator_id), moderator_id, decision)
        office.clock.pass_by(GRACE)
        office.decisions.finish_due()
    found = quality()
    assert (found.tests.right, found.tests.wrong, found.tests.escalated) == (1, 1, 1)
    people = {one.moderator_id: one for one in found.reviewers}
    assert people["mo"].tests.share.value == 1
    assert people["mia"].tests.share.value == 0
    assert people["leo"].tests.share.of == 0
    assert people["mo"].decisions == 0
    assert found.kinds == before.kinds
    assert found.agreement.pairs == 0
    faces = next(flow for flow in found.queues if flow.queue == "faces")
    assert (faces.came, faces.closed, faces.backlog) == (4, 1, 3)


def test_false_alarms_are_dismissed_cases_that_came_for_a_face(office, quality, decide):
    for decision in ("not_this_person", "not_this_person", "bad_picture", "confirmed", "genuine_owner"):
        decide(decision)
    decide("not_this_person", kind="look_alike_risk")
    decide("not_this_person", kind="name_claim")
    office.open("waiting")
    alarms = quality().face_alarms
    assert (alarms.came, alarms.decided, alarms.dismissed, alarms.unclear) == (7, 6, 3, 1)


def test_what_was_counted_is_shown_for_a_minute(office, decide):
    records = QualityRecords(office.database, ["faces"], clock=office.clock)
    first = records.of_days(7)
    decide("confirmed", after=timedelta(0))
    assert records.of_days(7) is first
    office.clock.pass_by(timedelta(minutes=1))
    assert records.look_ahead(7).kinds["same_person"].decided == 1
