"""Appeals: who may let one in, who judges it, and what follows; on SQLite and PostgreSQL."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import update

from records.audit import AuditLog
from records.casework.appeals import MOST_APPEALS, TEXT_LENGTH, AppealRecords
from records.casework.decision_outbox import DecisionOutbox
from records.casework.schema_cases import CaseRow
from records.errors import AppealRefused, ClaimRefused, DecisionNotOffered, TooLate, UnknownCase
from records.people.schema_people import ModeratorRow
from records.references import ReferencePhoto
from tests.support.case_office import FACES, GRACE, START, VICTIMS, Office

PHOTO = ReferencePhoto(
    "consent", "ab" * 32, b"jpeg", 1, 1, (0.0, 0.0, 1.0, 1.0), 1.0, {"p": np.eye(4, dtype=np.float32)[0]}
)
IT_IS_ME = "It is me: my passport says so."


@pytest.fixture
def office(database):
    return open_office(database)


@pytest.fixture
def ada(records):
    return records.add_identity("Ada", "celebrity", references=[PHOTO])


def open_office(database, **how):
    office = Office(database, **how)
    office.hire()
    office.appeals = AppealRecords(database, office.audit, office.queues, clock=office.clock)
    return office


def close(office, case_id, moderator_id, decision, **more):
    """The person decides a second later, and nobody takes it back."""
    office.clock.pass_by(timedelta(seconds=1))
    made = office.decide(case_id, moderator_id, decision, **more)
    after_grace(office)
    return made


def after_grace(office):
    office.clock.pass_by(GRACE)
    return office.decisions.finish_due()


def appealed(office, case_id="c1", decided_by="mo", decision="confirmed", **facts):
    """A case that was decided and then appealed."""
    office.open(case_id, **facts)
    close(office, case_id, decided_by, decision)
    office.clock.pass_by(timedelta(days=3))
    return office.appeals.receive(case_id, IT_IS_ME, "mia")


def told(database):
    rows = []
    DecisionOutbox(database, AuditLog(database)).drain(lambda batch: rows.extend(batch.rows))
    return [json.loads(row.value) for row in rows]


def refused(office, *appeal, **how):
    with pytest.raises(AppealRefused) as error:
        office.appeals.receive(*appeal, **how)
    return error.value.reason


def test_an_appeal_opens_the_case_again_for_somebody_else_before_all_others(office):
    appeal = appealed(office, priority=10)
    assert (appeal.state, appeal.text, appeal.received_by, appeal.decision) == ("open", IT_IS_ME, "Mia", "confirmed")
    office.open("urgent", priority=100)
    case = office.cases.get("c1")
    assert (case.state, case.stage, case.closed_at) == ("open", "appeal", None)
    assert office.next_of("mo") == "urgent", "who decided on it does not judge the appeal"
    assert office.next_of("mia") == "c1"
    with pytest.raises(ClaimRefused) as error:
        office.claims.claim("c1", "mo", "moderator")
    assert error.value.reason == "decided_by_you"


@pytest.mark.parametrize(("second", "state"), [("confirmed", "upheld"), ("genuine_owner", "reversed")])
def test_the_decision_on_an_appeal_is_told_as_one_that_takes_the_place_of_the_first(office, database, second, state):
    appeal = appealed(office, priority=10)
    (first,) = told(database)
    assert first["appeal_of"] is None
    made = office.decide("c1", "mia", second)
    assert office.appeals.of_case("c1")[0].state == "open", "until its grace period is over"
    assert after_grace(office) == 1
    (message,) = told(database)
    assert (message["decision_id"], message["decision"]) == (made.decision_id, second)
    assert (message["stage"], message["appeal_of"]) == ("appeal", first["decision_id"])
    assert message["review_id"] == first["review_id"]
    (ended,) = office.appeals.of_case("c1")
    assert (ended.id, ended.state, ended.closed_at) == (appeal.id, state, office.clock.now)
    case = office.cases.get("c1")
    assert (case.state, case.priority) == ("closed", 10)
    assert [one.state for one in office.decisions.history("c1")] == ["final", "final"]
    assert office.decisions.standing(["c1"])["c1"].decision == second


def test_a_victims_case_is_judged_by_one_person_when_it_is_appealed(office):
    office.open("c1", identity_kind="victim")
    office.decide("c1", "mo", "confirmed")
    close(office, "c1", "mia", "confirmed")
    office.appeals.receive("c1", IT_IS_ME, "mo")
    assert office.decide("c1", "max", "not_this_person").state == "decided"
    after_grace(office)
    states = [(one.decided_by, one.state) for one in office.decisions.history("c1")]
    assert states == [("mo", "first"), ("mia", "final"), ("max", "final")], "who agreed then was not overruled then"


def test_who_judges_an_appeal_does_not_learn_who_decided(office):
    appealed(office)
    assert office.decisions.history("c1") == []
    office.clock.pass_by(timedelta(seconds=1))
    office.decide("c1", "mia", "escalated")
    assert [one.decided_by for one in office.decisions.history("c1")] == ["mia"]
    close(office, "c1", "lea", "bad_picture")
    assert [one.decided_by for one in office.decisions.history("c1")] == ["mo", "mia", "lea"]


def test_an_escalated_appeal_goes_to_a_lead_who_never_decided_on_it(office, database):
    appealed(office, decided_by="lea")
    told(database)
    assert office.decide("c1", "mia", "escalated").stage == "lead"
    assert office.next_of("max") is None
    assert office.next_of("lea") is None
    close(office, "c1", "leo", "genuine_owner")
    (message,) = told(database)
    assert (message["stage"], message["appeal_of"] is not None) == ("lead", True)
    assert office.appeals.of_case("c1")[0].state == "reversed"


def test_an_escalated_appeal_is_in_no_campaign(office):
    ana = "aaaaaaaa-0000-4000-8000-000000000000"
    appealed(office, identity_id=ana)
    office.decide("c1", "mia", "escalated")
    for number in range(5):
        office.open(f"other-{number}", identity_id=ana)
    assert [one.cases for one in office.campaigns.largest("lead")] == [5]
    assert office.campaigns.claim("identity", ana, "leo", "lead") == 5
    assert office.next_of("lea") == "c1"
    assert office.campaigns.held("identity", ana, "lea") == []


def test_when_nobody_is_left_who_has_not_decided_any_lead_judges(office, database):
    appealed(office, decided_by="lea")
    office.open("c2")
    close(office, "c2", "leo", "confirmed")
    with database.write() as session:
        away = update(ModeratorRow).where(ModeratorRow.id.in_(("mo", "mia", "max"))).values(disabled_at=START)
        session.execute(away)
    assert office.next_of("lea") is None, "leo is still there"
    with pytest.raises(ClaimRefused):
        office.claims.claim("c1", "lea", "lead")
    with database.write() as session:
        session.execute(update(ModeratorRow).where(ModeratorRow.id == "leo").values(disabled_at=START))
    assert office.next_of("lea") == "c1"
    assert office.claims.claim("c1", "lea", "lead").claimed_by == "lea"


def test_leads_judge_appeals_of_queues_that_only_moderators_work(database):
    office = open_office(database, queues=(replace(FACES, roles=("moderator",)),))
    appealed(office)
    assert office.next_of("lea") == "c1"
    office.claims.release("c1", "lea")
    assert office.next_of("max") == "c1"


def test_the_gallery_learns_what_was_decided_on_appeal_and_forgets_what_was_before(office, records, ada):
    appealed(office, decision="not_this_person", account_id="acct-1", identity_id=ada)
    assert negative_pairs(records, ada) == 1
    close(office, "c1", "mia", "genuine_owner")
    assert (negative_pairs(records, ada), own_accounts(records, ada)) == (0, ["acct-1"])
    office.appeals.receive("c1", "It is not me after all.", "lea", by_lead=True)
    close(office, "c1", "max", "confirmed")
    assert (negative_pairs(records, ada), own_accounts(records, ada)) == (0, [])


def negative_pairs(records, identity_id):
    return records.show(identity_id).negative_pairs


def own_accounts(records, identity_id):
    return list(records.show(identity_id).own_accounts)


def test_the_decision_on_an_appeal_can_be_undone(office, database):
    appealed(office)
    told(database)
    made = office.decide("c1", "mia", "genuine_owner")
    case = office.decisions.undo(made.decision_id, "mia")
    assert (case.stage, case.state, case.claimed_by) == ("appeal", "open", "mia")
    assert after_grace(office) == 0
    assert told(database) == []
    close(office, "c1", "mia", "confirmed")
    assert office.appeals.of_case("c1")[0].state == "upheld"
    with pytest.raises(TooLate):
        office.decisions.undo(made.decision_id, "mia")


def test_an_appeal_is_about_the_person_that_the_decision_was_about(office, database):
    evidence = json.dumps({"findings": [{"identity_id": "idn_a"}, {"identity_id": "idn_b"}]})
    office.open("c1", identity_id="idn_a", evidence=evidence)
    close(office, "c1", "mo", "confirmed", identity_id="idn_b")
    office.appeals.receive("c1", IT_IS_ME, "mo")
    with pytest.raises(DecisionNotOffered, match="about another person"):
        office.decide("c1", "mia", "confirmed", identity_id="idn_a")
    close(office, "c1", "mia", "not_this_person")
    assert [one["identity_id"] for one in told(database)] == ["idn_b", "idn_b"]


def test_only_what_is_final_can_be_appealed_and_once_at_a_time(office):
    office.open("c1")
    assert refused(office, "c1", IT_IS_ME, "mia") == "appeal_too_early"
    office.decide("c1", "mo", "confirmed")
    assert refused(office, "c1", IT_IS_ME, "mia") == "appeal_too_early"
    after_grace(office)
    office.appeals.receive("c1", IT_IS_ME, "token:7")
    assert office.appeals.of_case("c1")[0].received_by is None, "a program has no name"
    assert refused(office, "c1", IT_IS_ME, "lea", by_lead=True) == "appeal_open"
    office.decide("c1", "mia", "confirmed")
    assert refused(office, "c1", IT_IS_ME, "lea", by_lead=True) == "appeal_open"


def test_a_second_appeal_is_for_a_lead_to_let_in_and_there_is_no_third(office):
    appealed(office)
    close(office, "c1", "mia", "confirmed")
    assert refused(office, "c1", IT_IS_ME, "mia") == "appeal_again"
    office.appeals.receive("c1", IT_IS_ME, "lea", by_lead=True)
    close(office, "c1", "max", "genuine_owner")
    assert [one.state for one in office.appeals.of_case("c1")] == ["upheld", "reversed"]
    assert len(office.appeals.of_case("c1")) == MOST_APPEALS
    assert refused(office, "c1", IT_IS_ME, "lea", by_lead=True) == "appeal_over"


@pytest.mark.parametrize(("text", "reason"), [(" \n", "appeal_empty"), ("x" * (TEXT_LENGTH + 1), "appeal_too_long")])
def test_an_appeal_says_something_and_not_a_book(office, text, reason):
    office.open("c1")
    close(office, "c1", "mo", "confirmed")
    assert refused(office, "c1", text, "mia") == reason
    assert office.cases.get("c1").state == "closed"


def test_what_is_not_there_or_only_tests_its_reviewer_cannot_be_appealed(office, database):
    office.open("c1")
    close(office, "c1", "mo", "confirmed")
    with database.write() as session:
        session.execute(update(CaseRow).values(golden_id="golden"))
    for case_id in ("c1", "c9"):
        with pytest.raises(UnknownCase):
            office.appeals.receive(case_id, IT_IS_ME, "mia")


def test_open_appeals_are_listed_oldest_first_with_their_cases(office):
    for number in range(3):
        appealed(office, f"c{number}")
    close(office, "c1", "mia", "confirmed")
    office.decide("c2", "mia", "confirmed")
    waiting = [(appeal.case_id, case.id, case.state) for appeal, case in office.appeals.waiting()]
    assert waiting == [("c0", "c0", "open"), ("c2", "c2", "decided")]
    assert [case.id for _, case in office.appeals.waiting(limit=1)] == ["c0"]


def test_an_appeal_on_a_case_whose_queue_is_gone_waits_in_the_one_that_takes_it_now(database):
    office = open_office(database)
    office.open("c1", identity_kind="victim")
    office.decide("c1", "mo", "confirmed")
    close(office, "c1", "mia", "confirmed")
    merged = AppealRecords(database, office.audit, (replace(VICTIMS, name="people"),), clock=office.clock)
    merged.receive("c1", IT_IS_ME, "mo")
    assert office.cases.get("c1").queue == "people"


def test_an_appeal_is_in_the_audit_log_without_its_text(office):
    appeal = appealed(office)
    entry = next(one for one in office.audit.read(subject="c1") if one.action == "appeal_received")
    assert (entry.actor, entry.details) == ("mia", {"appeal_id": appeal.id, "decision_id": appeal.decision_id})
    assert office.audit.verify() is None


def test_an_appealed_case_waits_since_the_appeal_came(office):
    appealed(office)
    received = office.clock.now
    office.open("new")

    def faces():
        return next(one for one in office.counts.of_all() if one.queue == "faces")

    assert (faces().open, faces().late, faces().oldest) == (2, 0, received)
    office.decide("c1", "mia", "escalated")
    assert (faces().open, faces().late, faces().oldest) == (2, 0, received)
    office.clock.pass_by(timedelta(minutes=FACES.target_minutes + 1))
    assert (faces().open, faces().late) == (2, 2)
