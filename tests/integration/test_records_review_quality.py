"""Figures of quality, from cases that were worked, against counts made by hand."""

import json
from datetime import timedelta

import pytest

from records.casework.appeals import AppealRecords
from records.casework.cases import CasePicture
from records.casework.golden_cases import GoldenCases
from records.casework.golden_copies import GoldenMix
from records.casework.schema_cases import CaseRow
from records.gallery_pages import GalleryPages
from records.quality.review_quality import QualityRecords, window_of
from records.reports.erased_cases import erase_from_cases
from tests.support.case_office import GRACE, MASTER, QUEUES, START, Office, new_case

DAY = timedelta(days=1)
FACE = {"kind": "same_person", "similarity": 0.52, "threshold": 0.50}
OF_TWO = {
    "identity_id": "idn_a",
    "reference_id": "ref_a",
    "evidence": json.dumps({"findings": [FACE | {"identity_id": "idn_a"}, FACE | {"identity_id": "idn_b"}]}),
}
"""What a case shows that names Ana, by its leading finding, and Ben."""


@pytest.fixture
def office(database):
    made = Office(database)
    made.hire()
    made.appeals = AppealRecords(database, made.audit, made.queues, clock=made.clock)
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

    def make(decision, by="mo", after=timedelta(minutes=1), about=None, **facts):
        case_id = f"case-{next(number)}"
        office.open(case_id, **facts)
        office.clock.pass_by(after)
        office.decide(case_id, by, decision, identity_id=about)
        finish(office)
        return case_id

    return make


@pytest.fixture
def led(office):
    """What Ana's one reference led to, and Ana herself."""

    def count():
        pages = GalleryPages(office.database, keep=timedelta(0), clock=office.clock)
        return pages.led_by_references("idn_a")["ref_a"], pages.led_by_identities(["idn_a"])["idn_a"]

    return count


def finish(office):
    office.clock.pass_by(GRACE)
    office.decisions.finish_due()


def appeal(office, case_id, after, by, decision):
    """Somebody says after so long that the decision is wrong, and the person judges that."""
    office.clock.pass_by(after)
    office.appeals.receive(case_id, "That is me.", "leo")
    made = office.decide(case_id, by, decision)
    finish(office)
    return made


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


def worth_of(precision):
    return precision.confirmed, precision.genuine_owner, precision.not_this_person, precision.bad_picture


def test_a_case_that_shows_another_person_tells_that_the_leading_finding_was_wrong(quality, decide, led):
    facts = OF_TWO | {"similarity": 0.52, "threshold": 0.50}
    for decision in ("confirmed", "genuine_owner", "not_this_person", "bad_picture"):
        decide(decision, about="idn_b", **facts)
    decide("confirmed", **facts)
    found = quality()
    assert worth_of(found.kinds["same_person"]) == (1, 0, 2, 1), "that it is not Ben says nothing of Ana"
    assert worth_of(found.bands[0]) == (1, 0, 2, 1)
    for count in led():
        assert (count.cases, count.decided, count.dismissed) == (5, 4, 2), "as on the other page"


def test_an_upload_that_shows_another_person_whom_the_case_names_was_no_false_alarm(quality, decide):
    for decision in ("confirmed", "genuine_owner", "not_this_person"):
        decide(decision, about="idn_b", **OF_TWO)
    decide("not_this_person", **OF_TWO)
    alarms = quality().face_alarms
    assert (alarms.came, alarms.decided, alarms.dismissed) == (4, 3, 1)


def test_an_erasure_leaves_what_was_decided_and_a_decision_about_the_erased_blames_nobody_else(office, quality, decide):
    decide("genuine_owner", **OF_TWO)
    office.open("waiting", **OF_TWO)
    office.decide("waiting", "mo", "confirmed")
    with office.database.write() as session:
        erase_from_cases(session, "idn_a", office.clock())
        assert session.get_one(CaseRow, "waiting").identity_id == "idn_b", "the case goes on, about Ben"
    finish(office)
    assert worth_of(quality().kinds["same_person"]) == (0, 1, 0, 0)


def test_a_reference_whose_cases_were_all_reversed_on_appeal_causes_false_alarms(office, decide, led):
    for _ in range(3):
        appeal(office, decide("confirmed", **OF_TWO), DAY, "mia", "not_this_person")
    for count in led():
        assert (count.cases, count.decided, count.dismissed, count.alarming) == (3, 3, 3, True)
    office.appeals.receive(decide("confirmed", **OF_TWO), "That is me.", "leo")
    for count in led():
        assert (count.cases, count.decided, count.dismissed) == (4, 4, 3), "until it is judged, the decision stands"


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


def test_a_closed_case_that_was_appealed_waited_before_and_since_and_not_between(office, quality, decide):
    case_id = decide("confirmed")
    office.clock.pass_by(3 * DAY)
    office.appeals.receive(case_id, "That is me.", "leo")

    def faces():
        return next(flow for flow in quality().queues if flow.queue == "faces")

    assert faces().over_time[-4:] == (0, 0, 0, 1)
    office.clock.pass_by(DAY)
    office.decide(case_id, "mia", "not_this_person")
    finish(office)
    office.clock.pass_by(DAY)
    assert faces().over_time[-6:] == (0, 0, 0, 1, 0, 0)
    assert (faces().backlog, faces().came, faces().closed) == (0, 1, 1)


def test_the_time_to_a_decision_is_that_of_half_and_of_nine_in_ten(quality, decide):
    for minutes in (1, 2, 3, 4, 5, 6, 7, 8, 9, 60):
        decide("confirmed", after=timedelta(minutes=minutes))
    faces = next(flow for flow in quality().queues if flow.queue == "faces")
    assert (faces.median, faces.p90) == pytest.approx((300, 540), abs=0.01)
    assert next(flow for flow in quality().queues if flow.queue == "victims").median is None


@pytest.mark.parametrize("escalates", [False, True])
def test_what_is_decided_on_an_appeal_took_no_time_from_the_cases_coming(office, quality, decide, escalates):
    decide("confirmed")
    case_id = decide("confirmed", after=timedelta(minutes=2))
    office.clock.pass_by(3 * DAY)
    office.appeals.receive(case_id, "That is me.", "leo")

    def times():
        faces = next(flow for flow in quality().queues if flow.queue == "faces")
        return faces.median, faces.p90

    assert times() == pytest.approx((60, 120), abs=0.01)
    if escalates:
        office.decide(case_id, "mia", "escalated")
    office.decide(case_id, "lea", "not_this_person")
    finish(office)
    assert times() == pytest.approx((60, 60), abs=0.01)


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


def test_who_name_different_people_do_not_agree(office, quality):
    said = [("confirmed", "idn_b"), ("bad_picture", None), ("confirmed", None)]
    for number, (decision, second_about) in enumerate(said):
        office.open(f"victim-{number}", identity_kind="victim", **OF_TWO)
        office.decide(f"victim-{number}", "mo", decision)
        office.decide(f"victim-{number}", "mia", decision, identity_id=second_about)
    found = quality()
    # observed 2/3; by chance 2/3 * 1/3 + 1/3 * 1/3 = 1/3; kappa (2/3 - 1/3) / (2/3)
    assert (found.agreement.pairs, found.agreement.same) == (3, 2)
    assert found.agreement.kappa == pytest.approx(0.5)
    assert found.of("mo").with_others == found.of("mia").with_others == found.agreement


@pytest.mark.parametrize(
    "before, about, pairs", [("bad_picture", None, 0), ("confirmed", "idn_b", 0), ("escalated", None, 1)]
)
def test_who_has_been_shown_that_the_first_one_differs_makes_no_pair(office, quality, before, about, pairs):
    office.open("victim", identity_kind="victim", **OF_TWO)
    office.decide("victim", "mo", "confirmed")
    made = office.decide("victim", "mia", before, identity_id=about)
    assert made.stage == "lead"
    office.decisions.undo(made.decision_id, "mia")
    office.decide("victim", "mia", "confirmed")
    assert quality().agreement.pairs == pairs


def test_who_takes_a_judgement_back_and_makes_it_again_makes_a_pair(office, quality):
    office.open("victim", identity_kind="victim", **OF_TWO)
    office.decide("victim", "mo", "confirmed")
    made = office.decide("victim", "mia", "bad_picture")
    office.decisions.undo(made.decision_id, "mia")
    office.decide("victim", "mia", "bad_picture")
    assert (quality().agreement.pairs, quality().agreement.same) == (1, 0)


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
    office.decide("source", "lea", "confirmed")
    office.clock.pass_by(GRACE)
    office.decisions.finish_due()
    golden.mark("source", "confirmed", "The same photo.", "lea")
    before = quality()
    office.claims._golden = GoldenMix(MASTER, 1.0)
    for number, (moderator_id, decision) in enumerate(
        (("mo", "confirmed"), ("mia", "bad_picture"), ("max", "escalated"))
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
    assert people["max"].tests.share.of == 0
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
