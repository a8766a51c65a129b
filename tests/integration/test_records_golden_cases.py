"""Golden cases: copies in the work that nobody can tell apart, that nothing follows from, and how they are told."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from records.audit import AuditLog
from records.casework.appeals import AppealRecords
from records.casework.case_closing import close_case
from records.casework.cases import CasePicture
from records.casework.decision_outbox import DecisionOutbox
from records.casework.golden_cases import GoldenCases
from records.casework.golden_copies import LEFT_FOR, GoldenMix
from records.casework.schema_cases import CasePictureRow, CaseRow, DecisionToSendRow
from records.decisions import DecisionRecords
from records.errors import AppealRefused, ClaimRefused, GoldenRefused, ReasonMissing, TooLate, UnknownCase
from tests.support.case_office import GRACE, KEPT, LEASE, MASTER, NEVER, START, Office, new_case

AVATAR = CasePicture(b"a picture", {"avatar": [{"box": [1, 2, 3, 4]}], "references": {}})
WHY = "The ears differ."


class Dice:
    """Gives what the test lays out, and from then on nothing but its last number."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def __call__(self):
        return self.numbers.pop(0) if len(self.numbers) > 1 else self.numbers[0]


@pytest.fixture
def office(database):
    """Everybody is tested with every case, as long as there is a golden one that they have not seen."""
    made = Office(database, golden=GoldenMix(MASTER, 1.0))
    made.hire()
    return made


@pytest.fixture
def golden(office):
    return GoldenCases(office.database, office.audit, clock=office.clock)


@pytest.fixture
def mark(office, golden):
    """Opens a case, has Max close it, and Lea make it golden; gives the golden case's id."""

    def make(case_id="source", decision="not_this_person", **facts):
        facts = {"account_id": "acct-7", "identity_id": None} | facts
        assert office.cases.open(new_case(case_id, **facts), AVATAR)
        office.decide(case_id, "max", decision)
        office.clock.pass_by(GRACE)
        assert office.decisions.finish_due() == 1
        return golden.mark(case_id, decision, WHY, "lea")

    return make


def test_a_copy_takes_the_place_of_a_case_and_looks_like_one(office, mark):
    mark(priority=30, uploaded_at=START - timedelta(hours=1))
    source = office.cases.get("source")
    office.clock.pass_by(timedelta(days=20))
    office.open("waiting", priority=90)
    waiting = office.cases.get("waiting")
    office.clock.pass_by(timedelta(minutes=40))
    copy = office.claims.next("mo", "moderator")
    assert copy.golden_id and copy.id != source.id
    assert (copy.claimed_by, copy.state, copy.stage) == ("mo", "open", "first")
    for same in ("event_id", "account_id", "handle", "display_name", "kind", "queue", "priority", "evidence"):
        assert getattr(copy, same) == getattr(source, same)
    before = waiting.opened_at - copy.opened_at
    assert timedelta() < before <= timedelta(minutes=1), "just before the case that it stands for, which may come next"
    assert copy.opened_at - copy.uploaded_at == source.opened_at - source.uploaded_at
    assert copy.opened_at - copy.account_created_at == source.opened_at - source.account_created_at
    assert copy.id[14] == "5", "its id is of the kind that cases' ids are"
    assert office.cases.picture(copy.id).jpeg == AVATAR.jpeg
    with office.database.read() as session:
        kept = dict(session.execute(select(CasePictureRow.case_id, CasePictureRow.kept_until)).all())
        sealed = session.scalars(select(CasePictureRow.picture)).all()
    assert kept[copy.id] == kept[source.id]
    assert len(set(sealed)) == 2, "each is sealed with a key of its own"


@pytest.mark.parametrize("rate", [0.02, 0.25])
def test_the_rate_is_kept_and_chance_decides_whose_turn_it_is(office, mark, golden, rate):
    mark()
    dice = Dice(*[number / 100 for number in range(100)], 0.999)
    office.claims._golden = GoldenMix(MASTER, rate, chance=dice)
    served = []
    for number in range(50):
        office.open(f"case-{number}")
        case = office.claims.next("mo", "moderator")
        served.append(case.golden_id is not None)
        if served[-1]:
            office.claims.release(case.id, "mo")
            office.clock.pass_by(LEFT_FOR)
            golden.sweep()  # else it would come again
        else:
            office.claims.skip(case.id, "mo", "test")
    assert sum(served) > 0
    below = [number / 100 < rate for number in range(100)]
    drawn = 0
    for was_golden in served:
        assert was_golden == below[drawn]
        drawn += 3 if was_golden else 1  # others choose which, and when it came


def test_without_a_rate_or_a_waiting_case_nobody_is_tested(office, mark):
    mark()
    assert office.next_of("mo") is None, "a test when nothing waits would give itself away"
    office.claims._golden = GoldenMix(MASTER, 0.0)
    office.open("waiting")
    assert office.next_of("mo") == "waiting"


def test_a_copy_is_of_a_queue_that_the_person_works_and_of_the_one_they_asked_for(office, mark):
    mark(kind="same_picture")
    office.open("face")
    assert office.next_of("mo", "faces") == "face"
    assert office.next_of("mia", "pictures") is None
    office.open("picture", kind="same_picture")
    assert office.cases.get(office.next_of("mia", "pictures")).golden_id


def test_nobody_gets_their_own_case_or_one_that_they_have_marked_or_done(office, mark):
    mark()
    for number in range(4):
        office.open(f"waiting-{number}")
    assert office.next_of("max").startswith("waiting"), "Max decided it"
    assert office.next_of("lea").startswith("waiting"), "Lea marked it"
    copy = office.claims.next("mo", "moderator")
    office.decide(copy.id, "mo", "confirmed")
    office.clock.pass_by(GRACE)
    office.decisions.finish_due()
    assert office.next_of("mo").startswith("waiting"), "Mo has done it"
    assert office.claims.next("mia", "moderator").golden_id


def test_a_copy_that_is_given_back_comes_again_to_who_was_given_it_and_to_nobody_else(office, mark):
    mark()
    office.open("waiting")
    copy = office.next_of("mo")
    with pytest.raises(UnknownCase):
        office.claims.claim(copy, "mia", "moderator")
    office.claims.release(copy, "mo")
    assert office.cases.get(copy).claimed_by is None, "a case that vanished would have been a test"
    with pytest.raises(UnknownCase):
        office.claims.claim(copy, "mia", "moderator")
    assert office.next_of("mo") == copy, "the most urgent case is so still"
    office.claims.release(copy, "mo")
    assert office.claims.claim(copy, "mo", "moderator").id == copy
    office.claims.claim("waiting", "mo", "moderator")
    assert office.claims.claim(copy, "mo", "moderator").id == copy, "nor does one that was left for another vanish"


def test_a_copy_whose_reviewer_went_away_is_swept_up(office, mark, golden):
    mark()
    office.open("waiting")
    copy = office.next_of("mo")
    golden.sweep()
    assert office.cases.get(copy).claimed_by == "mo"
    office.clock.pass_by(LEFT_FOR)
    golden.sweep()
    assert office.claims.require(copy, "mo").id == copy, "any case would be theirs still, some minutes after the lease"
    office.clock.pass_by(LEASE)
    golden.sweep()
    with pytest.raises(UnknownCase):
        office.cases.get(copy)


def test_a_copy_that_is_swept_up_when_it_is_about_to_be_closed_holds_nobody_up(office):
    teacher = DecisionRecords(office.database, MASTER, NEVER)
    assert not close_case(office.database, teacher, "a decision", "a copy", office.clock)


def test_a_copy_that_is_left_for_another_case_is_swept_up(office, mark, golden):
    mark()
    office.open("waiting")
    copy = office.next_of("mo")
    office.claims.claim("waiting", "mo", "moderator")
    golden.sweep()
    assert office.cases.get(copy).claimed_by is None, "any case would be there still"
    office.clock.pass_by(LEFT_FOR)
    golden.sweep()
    with pytest.raises(UnknownCase):
        office.cases.get(copy)


def test_who_skips_a_copy_is_not_tested_with_it_again(office, mark):
    mark()
    office.open("waiting")
    copy = office.next_of("mo")
    office.claims.skip(copy, "mo", "i_know_them")
    assert office.audit.read(actor="mo")[0].action == "case_skipped"
    assert office.next_of("mo") == "waiting"
    office.claims.release("waiting", "mo")
    assert office.next_of("mo") == "waiting"
    assert office.claims.claim(copy, "mo", "moderator").id == copy, "who comes back to it finds it, like any other"


def test_a_copy_was_screened_by_the_gallery_of_its_time(office, mark):
    mark(evidence=json.dumps({"findings": [], "gallery_version": 7}))
    office.open("waiting", evidence=json.dumps({"findings": [], "gallery_version": 9000}))
    assert office.claims.next("mo", "moderator").evidence == {"findings": [], "gallery_version": 9000}


def test_a_copy_shows_the_lines_of_today_and_of_another_pack_or_across_a_line_there_is_none(office, mark):
    def evidence(similarity, threshold, pack="opencv-zoo@1"):
        findings = [{"kind": "same_person", "similarity": similarity, "threshold": threshold}]
        lines = {"threshold": threshold, "sure_threshold": threshold + 0.1}
        return json.dumps({"findings": findings, "model_pack": pack, **lines})

    mark(evidence=evidence(0.7, 0.5))
    for number, other in enumerate((evidence(0.8, 0.5, "other@1"), evidence(0.8, 0.75), evidence(0.8, 0.65))):
        office.open(f"waiting-{number}", evidence=other)
        assert office.next_of("mo") == f"waiting-{number}"
        office.claims.skip(f"waiting-{number}", "mo", "test")
    office.open("waiting", evidence=evidence(0.9, 0.55))
    copy = office.claims.next("mo", "moderator")
    assert copy.golden_id and copy.evidence == json.loads(evidence(0.7, 0.55))


def test_leads_who_know_the_answers_are_not_tested(office, mark):
    mark()
    office.open("waiting")
    assert office.next_of("leo") == "waiting"


def test_what_is_refused_on_a_copy_is_refused_as_on_any_case(office, golden, mark):
    appeals = AppealRecords(office.database, office.audit, office.queues, clock=office.clock)

    def refusals(case_id):
        with pytest.raises(AppealRefused) as appeal:
            appeals.receive(case_id, "It is me.", "mo")
        with pytest.raises(GoldenRefused) as answer:
            golden.mark(case_id, "confirmed", WHY, "mo")
        return appeal.value.reason, answer.value.reason

    mark()
    office.open("waiting")
    copy = office.next_of("mo")
    of_copy = refusals(copy)
    with pytest.raises(UnknownCase):
        appeals.receive(copy, "It is me.", "token:t")  # programs know of no copies
    office.claims.claim("waiting", "mo", "moderator")
    assert refusals("waiting") == of_copy


def test_a_copy_is_of_a_campaign_to_its_reviewer_and_to_nobody_else(office, mark):
    ana = "aaaaaaaa-0000-4000-8000-000000000000"
    mark(identity_id=ana)
    for number in range(5):
        office.open(f"waiting-{number}", identity_id=ana)
    copy = office.next_of("mo")
    assert [one.id for one in office.campaigns.held("identity", ana, "mo")] == [copy]
    counted = {who: office.campaigns.get("identity", ana, who, "moderator").cases for who in ("mo", "mia")}
    assert counted == {"mo": 6, "mia": 5}
    assert office.campaigns.claim("identity", ana, "mo", "moderator") == 6


def test_who_did_a_copy_of_a_case_judges_no_appeal_on_it(office, mark):
    mark()
    office.open("waiting", priority=100)
    copy = office.next_of("mo")
    office.decide(copy, "mo", "confirmed")
    AppealRecords(office.database, office.audit, office.queues, clock=office.clock).receive("source", "Me.", "token:t")
    office.claims._golden = None
    assert office.next_of("mo") == "waiting"
    with pytest.raises(ClaimRefused):
        office.claims.claim("source", "mo", "moderator")
    assert office.next_of("mia") == "source"


def test_a_golden_case_that_an_appeal_reversed_is_retired_and_one_that_it_upheld_is_not(office, golden, mark):
    appeals = AppealRecords(office.database, office.audit, office.queues, clock=office.clock)
    for case_id, said in (("upheld", "not_this_person"), ("reversed", "genuine_owner")):
        mark(case_id)
        appeals.receive(case_id, "It is me.", "token:t")
        office.decide(case_id, "mia", said)
        office.clock.pass_by(GRACE)
        assert office.decisions.finish_due() == 1
    assert golden.about("upheld").retired_at is None
    assert golden.about("reversed").retired_at is not None, "its answer is known to be wrong"


@pytest.mark.parametrize("decision", ["confirmed", "not_this_person", "escalated"])
@pytest.mark.parametrize("queue", [{}, {"identity_kind": "victim"}], ids=["one pair of eyes", "four eyes"])
def test_while_it_can_be_undone_a_decision_on_a_copy_is_like_any_other(office, mark, decision, queue):
    mark()
    with office.database.write() as session:  # four eyes would have it decided by another first
        session.execute(update(CaseRow).where(CaseRow.id == "source").values(queue="victims" if queue else "faces"))
    office.open("waiting", **queue)
    copy = office.next_of("mo")
    made = office.decide(copy, "mo", decision)
    office.open("real", **queue)
    like = office.decide("real", "mia", decision)
    assert (made.stage, made.state) == (like.stage, like.state)
    ours, theirs = office.decisions.recent("mo")[0], office.decisions.recent("mia")[0]
    assert (ours.state, ours.undo_until is None) == (theirs.state, theirs.undo_until is None)
    assert office.cases.get(copy).state == office.cases.get("real").state
    assert office.decisions.undo(made.decision_id, "mo").claimed_by == "mo"


def test_a_decision_on_a_copy_teaches_nothing_and_is_not_sent(office, mark, records):
    identity_id = records.add_identity("Ana Example", "celebrity")
    mark(identity_id=identity_id, decision="confirmed")
    with office.database.read() as session:
        sent = session.scalar(select(func.count()).select_from(DecisionToSendRow))
    taught = records.show(identity_id)
    office.open("waiting")
    copy = office.next_of("mo")
    office.decide(copy, "mo", "genuine_owner")
    office.clock.pass_by(GRACE)
    assert office.decisions.finish_due() == 0
    assert office.cases.get(copy).state == "closed"
    assert office.decisions.finish_due() == 0
    assert records.show(identity_id) == taught
    with office.database.read() as session:
        assert session.scalar(select(func.count()).select_from(DecisionToSendRow)) == sent
    with pytest.raises(TooLate):
        office.decisions.undo(office.decisions.recent("mo")[0].id, "mo")
    DecisionOutbox(office.database, AuditLog(office.database)).drain(lambda batch: None)


def test_after_the_grace_period_and_not_before_the_reviewer_is_told(office, mark, golden):
    mark()
    office.open("waiting")
    copy = office.next_of("mo")
    office.decide(copy, "mo", "confirmed")
    office.clock.pass_by(GRACE - timedelta(seconds=1))
    office.decisions.finish_due()
    assert golden.told("mo", [copy]) == {}
    office.clock.pass_by(timedelta(seconds=1))
    office.decisions.finish_due()
    told = golden.told("mo", [copy])[copy]
    assert (told.right, told.expected, told.why) == (False, "not_this_person", WHY)
    assert golden.told("mia", [copy]) == {}
    (result,) = golden.all()
    assert (result.right, result.wrong, result.escalated) == (0, 1, 0)


def test_right_answers_wrong_ones_and_escalations_are_told_apart(office, mark, golden):
    mark()
    office.hire({"ned": "moderator"})
    for moderator_id, decision in (("mo", "not_this_person"), ("mia", "bad_picture"), ("ned", "escalated")):
        office.open(f"waiting-{moderator_id}")
        copy = office.claims.next(moderator_id, "moderator")
        office.decisions.decide(copy.id, moderator_id, "moderator", decision, "other")
        office.clock.pass_by(GRACE)
        office.decisions.finish_due()
    result = golden.about("source")
    assert (result.right, result.wrong, result.escalated) == (1, 1, 1)


def test_copies_are_in_no_count_no_search_and_no_history(office, mark, golden, records):
    identity_id = records.add_identity("Ana Example", "celebrity")
    mark(identity_id=identity_id)
    office.open("waiting")
    before = office.counts.of_all()
    copy = office.next_of("mo")
    counted = {one.queue: one for one in office.counts.of_all()}["faces"]
    assert (counted.open, counted.claimed) == (1, 1), "in work like any other, and none more that waits"
    assert [one.open for one in office.counts.of_all()] == [one.open for one in before]
    for found in (
        office.cases.search("acct-7"),
        office.cases.search("event-of-source"),
        office.cases.search(copy),
        office.cases.of_account("acct-7", 9),
        office.cases.of_identity(identity_id, 9),
    ):
        assert copy not in [one.id for one in found]
    office.decide(copy, "mo", "escalated")
    assert office.counts.of_all() == before
    assert office.next_of("lea") == "waiting", "an escalated test is no work for a lead"


def test_who_works_on_a_copy_finds_it_where_its_source_is_until_they_are_told(office, mark, golden):
    mark()
    office.open("waiting")
    copy = office.next_of("mo")

    def seen_by(moderator_id, text="acct-7"):
        return [one.id for one in golden.as_found(moderator_id, text, office.cases.search(text))]

    for text in ("acct-7", "event-of-source", copy, copy[:8]):
        assert seen_by("mo", text) == [copy]
    assert seen_by("mia") == ["source"]
    assert seen_by("mia", copy) == []
    assert list(golden.given_to("mo")) == ["source"]
    office.decide(copy, "mo", "confirmed")
    assert seen_by("mo") == [copy]
    office.clock.pass_by(GRACE)
    office.decisions.finish_due()
    assert seen_by("mo") == ["source"]


def test_only_a_closed_case_with_a_picture_can_be_golden_and_needs_an_answer_and_a_reason(office, golden, mark):
    assert office.cases.open(new_case("open"), AVATAR)
    with pytest.raises(GoldenRefused) as refused:
        golden.mark("open", "confirmed", WHY, "lea")
    assert refused.value.reason == "not_closed"
    mark()
    with pytest.raises(ReasonMissing):
        golden.mark("source", "confirmed", "  ", "lea")
    with pytest.raises(GoldenRefused) as refused:
        golden.mark("source", "escalated", WHY, "lea")
    assert refused.value.reason == "not_an_answer"
    with pytest.raises(UnknownCase):
        golden.mark("nowhere", "confirmed", WHY, "lea")
    office.clock.pass_by(KEPT)
    with pytest.raises(GoldenRefused) as refused:
        golden.mark("source", "confirmed", WHY, "lea")
    assert refused.value.reason == "picture_erased"


def test_a_copy_cannot_be_made_golden(office, golden, mark):
    mark()
    office.open("waiting")
    copy = office.next_of("mo")
    office.decide(copy, "mo", "confirmed")
    office.clock.pass_by(GRACE)
    office.decisions.finish_due()
    with pytest.raises(UnknownCase):
        golden.mark(copy, "confirmed", WHY, "lea")


def test_a_retired_case_is_given_to_nobody_until_it_is_marked_anew(office, golden, mark):
    golden_id = mark()
    golden.retire(golden_id, "lea")
    golden.retire(golden_id, "lea")
    office.open("waiting")
    assert office.next_of("mo") == "waiting"
    office.claims.release("waiting", "mo")
    assert golden.mark("source", "confirmed", "Seen anew.", "lea") == golden_id
    assert office.claims.next("mo", "moderator").golden_id == golden_id
    assert [one.action for one in office.audit.read("source")][:3] == ["golden_added", "golden_retired", "golden_added"]


def test_a_golden_case_retires_by_itself_when_its_picture_goes(office, golden, mark):
    mark()
    office.clock.pass_by(KEPT)
    office.open("waiting")
    assert office.next_of("mo") == "waiting", "even before the sweep"
    assert golden.sweep() == 1
    assert golden.all()[0].retired_at == office.clock()


def test_a_share_of_cases_is_judged_twice_and_it_is_the_same_in_every_process(office, database):
    twice = Office(database, clock=office.clock, double_review_rate=0.25)
    ids = [f"case-{number}" for number in range(400)]
    for case_id in ids:
        twice.open(case_id)
    sampled = {case_id for case_id in ids if twice.cases.get(case_id).double_review}
    assert 70 < len(sampled) < 130
    case_id = min(sampled)
    twice.decide(case_id, "mo", "confirmed")
    assert (twice.cases.get(case_id).stage, twice.cases.get(case_id).state) == ("second", "open")
    assert twice.decisions.history(case_id) == [], "the second judges without seeing the first"
    twice.decide(case_id, "mia", "confirmed")
    assert twice.cases.get(case_id).state == "decided"
    other = min(set(ids) - sampled)
    assert twice.decide(other, "mo", "confirmed").state == "decided"
