"""What was judged before the number was seen: noted once a claim, by whichever process; on SQLite and PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import update

from records.errors import ClaimLost, DecisionNotOffered, UnknownCase
from records.schema_audit import AuditRow
from tests.support.case_office import FACES, LEASE, PEOPLE, Office


@pytest.fixture
def office(database):
    office = Office(database)
    office.hire()
    return office


def judge(office, moderator_id, judgement, case_id="c1"):
    office.decisions.note_judgement(case_id, moderator_id, PEOPLE[moderator_id], judgement)


def take(office, moderator_id, **how):
    office.claims.claim("c1", moderator_id, PEOPLE[moderator_id], **how)


def noted(office):
    """Who was told how alike the faces are, and what they had judged; oldest first."""
    entries = reversed(office.audit.read("c1"))
    return [(one.actor, one.details) for one in entries if one.action == "likeness_shown"]


def told_by_decision(office):
    """What the latest decision's entry says was judged first."""
    entry = next(one for one in office.audit.read("c1") if one.action == "case_decided")
    return entry.details.get("first_judgement")


def test_later_judgements_of_a_claim_change_nothing_and_the_decision_tells_the_first(office):
    office.open("c1")
    take(office, "mo")
    for judgement in ("confirmed", "not_this_person", "bad_picture"):
        judge(office, "mo", judgement)
    take(office, "mo")  # the lease begins anew
    judge(office, "mo", "escalated")
    office.decide("c1", "mo", "not_this_person")
    assert noted(office) == [("mo", {"judgement": "confirmed"})]
    assert told_by_decision(office) == "confirmed"


def test_who_decides_without_having_been_told_has_no_first_judgement(office):
    office.open("c1")
    office.decide("c1", "mo", "confirmed")
    assert told_by_decision(office) is None


def test_a_judgement_is_noted_of_a_case_in_hand_and_of_what_it_offers_only(office):
    office.open("c1")
    with pytest.raises(UnknownCase):
        judge(office, "mo", "confirmed", "c9")
    with pytest.raises(ClaimLost):
        judge(office, "mo", "confirmed")
    take(office, "mo")
    with pytest.raises(ClaimLost):
        judge(office, "mia", "confirmed")
    for judgement in ("", "skip", "Ada Lovelace"):
        with pytest.raises(DecisionNotOffered):
            judge(office, "mo", judgement)
    office.decide("c1", "mo", "escalated")
    take(office, "lea")
    with pytest.raises(DecisionNotOffered):
        judge(office, "lea", "escalated")
    assert noted(office) == []


def test_each_claim_has_its_own(office):
    office.open("c1")
    take(office, "mo")
    judge(office, "mo", "confirmed")
    office.clock.pass_by(LEASE)
    take(office, "mia")
    judge(office, "mia", "not_this_person")
    office.claims.release("c1", "mia")
    take(office, "mo")
    judge(office, "mo", "bad_picture")
    office.decide("c1", "mo", "confirmed")
    assert [details["judgement"] for _, details in noted(office)] == ["confirmed", "not_this_person", "bad_picture"]
    assert told_by_decision(office) == "bad_picture"


def test_who_takes_a_decision_back_does_not_judge_for_the_first_time(database):
    office = Office(database, (replace(FACES, four_eyes=True),))
    office.hire()
    office.open("c1")
    take(office, "mo")
    judge(office, "mo", "confirmed")
    made = office.decide("c1", "mo", "confirmed")
    take(office, "mia")  # and gives it back: the decision can be taken back still
    judge(office, "mia", "bad_picture")
    office.claims.release("c1", "mia")
    office.decisions.undo(made.decision_id, "mo")
    judge(office, "mo", "not_this_person")
    office.decide("c1", "mo", "not_this_person")
    assert noted(office) == [("mo", {"judgement": "confirmed"}), ("mia", {"judgement": "bad_picture"})]
    assert told_by_decision(office) == "confirmed"


def test_a_claim_by_a_program_is_a_claim_of_whom_it_acts_for(office):
    office.open("c1")
    take(office, "mo")
    judge(office, "mo", "confirmed")
    office.claims.release("c1", "mo")
    take(office, "mo", through="token:t")
    judge(office, "mo", "not_this_person")
    office.decisions.decide("c1", "mo", "moderator", "confirmed", "other", through="token:t")
    assert told_by_decision(office) == "not_this_person"


def test_of_two_pages_at_once_one_notes_the_first_judgement(office, monkeypatch):
    office.open("c1")
    take(office, "mo")
    append, both = office.audit.append_in, threading.Barrier(2)

    def append_together(*entry):
        with suppress(threading.BrokenBarrierError):
            both.wait(1)
        return append(*entry)

    monkeypatch.setattr(office.audit, "append_in", append_together)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda judgement: judge(office, "mo", judgement), ("confirmed", "not_this_person")))
    assert len(noted(office)) == 1
    assert office.audit.verify() is None


def test_an_entry_that_was_made_unreadable_stops_no_decision(office, database):
    office.open("c1")
    take(office, "mo")
    judge(office, "mo", "confirmed")
    with database.write() as session:
        session.execute(update(AuditRow).where(AuditRow.action == "likeness_shown").values(details="gone"))
    office.decide("c1", "mo", "confirmed")
    assert told_by_decision(office) is None
