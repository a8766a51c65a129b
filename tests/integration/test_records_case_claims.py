"""Claims: a case is in one person's hands, who gets which and in what order; on SQLite and on PostgreSQL."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from records.casework.case_counts import FEW, CaseCounts, QueueCount
from records.casework.schema_cases import CaseRow, CaseSkipRow
from records.errors import ClaimLost, ClaimRefused, ReasonMissing, UnknownCase
from tests.support.case_office import LEASE, START, Office
from tests.support.running_service import eventually

SECOND = timedelta(seconds=1)


@pytest.fixture
def office(database):
    office = Office(database)
    office.hire()
    return office


def test_the_most_urgent_case_comes_first_and_of_equals_the_oldest(office):
    office.open("old", priority=10, kind="same_picture")
    office.open("urgent", priority=90, identity_kind="victim")
    office.open("older", priority=50)
    office.open("newer", priority=50)
    office.open("newest", priority=50, kind="same_picture")
    order = []
    while (case_id := office.next_of("mo")) is not None:
        order.append(case_id)
        office.claims.skip(case_id, "mo", "not now")
    assert order == ["urgent", "older", "newer", "newest", "old"]


def test_who_holds_a_case_gets_it_again_and_its_lease_begins_anew(office):
    office.open("c1")
    office.open("c2", priority=99)
    assert office.claims.claim("c1", "mo", "moderator").claimed_until == office.clock.now + LEASE
    office.clock.pass_by(timedelta(minutes=2))
    again = office.claims.next("mo", "moderator", "pictures")
    assert (again.id, again.claimed_by, again.claimed_until) == ("c1", "mo", office.clock.now + LEASE)


def test_nobody_else_gets_a_claimed_case_until_its_lease_has_ended(office):
    office.open("c1")
    assert office.next_of("mo") == "c1"
    office.clock.pass_by(LEASE - SECOND)
    assert office.next_of("mia") is None
    with pytest.raises(ClaimRefused, match="Somebody else") as refused:
        office.claims.claim("c1", "mia", "moderator")
    assert refused.value.reason == "held_by_another"
    office.clock.pass_by(SECOND)
    assert office.next_of("mia") == "c1"
    for lost in (office.claims.renew, office.claims.require):
        with pytest.raises(ClaimLost, match="no longer in your hands"):
            lost("c1", "mo")
    with pytest.raises(ClaimLost):
        office.claims.skip("c1", "mo", "why")
    office.claims.release("c1", "mo")
    assert office.claims.require("c1", "mia").claimed_by == "mia", "a late release takes it from nobody"


def test_a_heartbeat_keeps_the_case(office):
    office.open("c1")
    office.next_of("mo")
    for _ in range(3):
        office.clock.pass_by(LEASE - SECOND)
        assert office.claims.renew("c1", "mo") == office.clock.now + LEASE
    assert office.next_of("mia") is None


def test_who_comes_back_late_goes_on_if_nobody_took_the_case(office):
    office.open("c1")
    office.next_of("mo")
    office.clock.pass_by(LEASE * 3)
    assert office.claims.require("c1", "mo").id == "c1"
    office.claims.renew("c1", "mo")
    assert office.next_of("mia") is None


def test_a_released_case_is_free_at_once(office):
    office.open("c1")
    office.next_of("mo")
    office.claims.release("c1", "mo")
    with pytest.raises(ClaimLost):
        office.claims.require("c1", "mo")
    assert office.next_of("mia") == "c1"


def test_who_takes_another_case_gives_back_the_first(office):
    office.open("c1")
    office.open("c2")
    assert office.next_of("mo") == "c1"
    assert office.claims.claim("c2", "mo", "moderator").id == "c2"
    assert office.next_of("mo") == "c2"
    assert office.next_of("mia") == "c1"


def test_a_skipped_case_is_not_offered_to_that_person_again_but_to_others(office, database):
    office.open("c1")
    office.next_of("mo")
    with pytest.raises(ReasonMissing):
        office.claims.skip("c1", "mo", " ")
    assert office.next_of("mo") == "c1"
    office.claims.skip("c1", "mo", "I know them")
    assert office.next_of("mo") is None
    assert office.next_of("mia") == "c1"
    office.claims.release("c1", "mia")
    assert office.claims.claim("c1", "mo", "moderator").id == "c1", "by search they may come back to it"
    office.claims.skip("c1", "mo", "still")
    with database.read() as session:
        assert session.scalars(select(CaseSkipRow.reason)).all() == ["still"]


def test_each_role_gets_the_queues_that_it_works(office):
    office.open("held", held=True, priority=99)
    office.open("face", priority=1)
    assert office.next_of("mo") == "face"
    with pytest.raises(ClaimRefused) as refused:
        office.claims.claim("held", "mo", "moderator")
    assert refused.value.reason == "not_your_queue"
    assert office.next_of("mia", "quarantined") is None
    assert office.next_of("mia", "no_such_queue") is None
    assert office.next_of("lea") == "held"
    for role in ("curator", "administrator", "auditor"):
        assert office.claims.next("max", role) is None
        assert office.counts.of_role(role) == []


def test_one_queue_can_be_worked_alone(office):
    office.open("face", priority=99)
    office.open("picture", kind="same_picture")
    assert office.next_of("mo", "pictures") == "picture"
    assert office.next_of("mia", "pictures") is None


def test_what_is_with_a_lead_is_for_leads_only(office):
    office.open("c1")
    office.decide("c1", "mo", "escalated")
    assert office.next_of("mia") is None
    with pytest.raises(ClaimRefused) as refused:
        office.claims.claim("c1", "mia", "moderator")
    assert refused.value.reason == "lead_only"
    assert office.next_of("lea") == "c1"


def test_the_second_reviewer_is_never_the_first(office):
    office.open("c1", identity_kind="victim")
    office.decide("c1", "mo", "confirmed")
    assert office.next_of("mo") is None
    assert office.claims.peek("mo", "moderator", None) is None
    with pytest.raises(ClaimRefused) as refused:
        office.claims.claim("c1", "mo", "moderator")
    assert refused.value.reason == "decided_by_you"
    assert office.next_of("mia") == "c1"


def test_a_lead_who_decided_before_does_not_judge_the_disagreement(office):
    office.open("c1", identity_kind="victim")
    office.decide("c1", "lea", "confirmed")
    office.decide("c1", "mo", "not_this_person")
    assert office.next_of("lea") is None
    assert office.next_of("leo") == "c1"


def test_a_decided_case_cannot_be_claimed(office):
    office.open("c1")
    office.decide("c1", "mo", "confirmed")
    with pytest.raises(ClaimRefused) as refused:
        office.claims.claim("c1", "mia", "moderator")
    assert refused.value.reason == "not_open"
    assert office.next_of("mia") is None
    with pytest.raises(UnknownCase):
        office.claims.claim("c9", "mia", "moderator")


def test_a_look_ahead_claims_nothing_and_tells_what_comes_after_the_case_in_hand(office):
    for case_id in ("c1", "c2"):
        office.open(case_id)
    assert office.next_of("mo") == "c1"
    assert office.claims.peek("mo", "moderator", None).id == "c2"
    office.clock.pass_by(LEASE)
    assert office.claims.peek("mo", "moderator", "faces").id == "c2", "never the one in hand, though its lease ended"
    assert office.claims.peek("mo", "moderator", "pictures") is None
    assert office.claims.require("c1", "mo").id == "c1"
    assert office.claims.claim("c2", "mia", "moderator").id == "c2"


def test_who_is_no_longer_a_lead_does_not_keep_a_leads_case(office):
    office.open("c1", held=True)
    office.open("c2")
    assert office.next_of("lea") == "c1"
    assert office.claims.next("lea", "moderator").id == "c2"
    assert office.next_of("leo") == "c1"


def test_counts_tell_what_waits_in_each_queue_of_the_role(office):
    office.open("old", identity_kind="victim")
    office.clock.pass_by(timedelta(minutes=240))
    office.open("new", identity_kind="victim")
    office.open("face")
    office.open("escalated")
    office.decide("escalated", "mo", "escalated")
    office.next_of("mia", "victims")
    first = START + SECOND
    face = first + timedelta(minutes=240) + 2 * SECOND
    assert office.counts.of_role("moderator") == [
        QueueCount("victims", 2, 1, 1, first, 240),
        QueueCount("pictures", 0, 0, 0, None, 1440),
        QueueCount("faces", 1, 0, 0, face, 1440),
    ]
    of_lead = office.counts.of_role("lead")
    assert [(one.queue, one.open) for one in of_lead] == [
        ("quarantined", 0), ("victims", 2), ("pictures", 0), ("faces", 2)
    ]  # fmt: skip
    office.clock.pass_by(LEASE)
    assert office.counts.of_role("moderator")[0].claimed == 0


def test_counts_of_a_few_cases_are_never_old_and_those_of_many_are_kept(office):
    counts = CaseCounts(office.database, office.queues, keep=timedelta(hours=1), clock=office.clock)

    def waiting():
        return sum(one.open for one in counts.of_all())

    assert waiting() == 0
    office.open("first")
    assert waiting() == 1, "seconds after it came, beside its campaign"
    with office.database.write() as session:
        first = session.execute(select(CaseRow.__table__)).one()._asdict()
        session.execute(insert(CaseRow), [first | {"id": f"more-{number}"} for number in range(FEW)])
    assert waiting() == FEW + 1
    office.open("last")
    assert waiting() == FEW + 1
    office.clock.pass_by(timedelta(hours=1))
    assert eventually(lambda: waiting() == FEW + 2)


def test_twenty_people_at_once_never_hold_one_case(office):
    cases, people = 200, [f"m{number}" for number in range(20)]
    office.hire(dict.fromkeys(people, "moderator"))
    for number in range(cases):
        office.open(f"c{number:03}", priority=number % 7)
    worked = Counter[str]()
    held = dict[str, str]()
    clash = list[str]()
    lock = threading.Lock()

    def shift(person):
        while (case := office.claims.next(person, "moderator")) is not None:
            with lock:
                worked[case.id] += 1
                if case.id in held:
                    clash.append(case.id)
                held[case.id] = person
            assert office.claims.require(case.id, person).claimed_by == person
            with lock:
                del held[case.id]
            office.decisions.decide(case.id, person, "moderator", "confirmed", "other")

    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(shift, people))
    assert clash == []
    assert len(worked) == cases and set(worked.values()) == {1}


def test_two_tabs_of_one_person_end_up_with_one_case(office, database):
    for number in range(8):
        office.open(f"c{number}")
    together = threading.Barrier(4)

    def tab(_):
        together.wait()
        return office.next_of("mo")

    with ThreadPoolExecutor(4) as pool:
        seen = set(pool.map(tab, range(4)))
    with database.read() as session:
        claimed = session.scalars(select(CaseRow.id).where(CaseRow.claimed_by == "mo")).all()
    assert seen == set(claimed) and len(claimed) == 1


def test_people_who_take_cases_from_each_other_do_not_block_each_other(office):
    office.open("c1")
    office.open("c2")
    office.claims.claim("c1", "mo", "moderator")
    office.claims.claim("c2", "mia", "moderator")
    together = threading.Barrier(2)

    def swap(person):
        for turn in range(20):
            together.wait()
            office.clock.now = START + (turn + 1) * 2 * LEASE
            wanted = ("c1", "c2")[(turn + (person == "mo")) % 2]
            try:
                office.claims.claim(wanted, person, "moderator")
            except ClaimRefused as refused:
                assert refused.reason == "held_by_another"

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(swap, ("mo", "mia")))
