"""Identities whose matches are dismissed in a burst wait in quarantine, on SQLite and on PostgreSQL."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from records.decisions import BurstRule, DecisionRecords
from records.gallery_changes import read_change
from records.keys.keyring import MasterKey
from records.references import ReferencePhoto
from tests.support.announced import announced, waiting

MASTER = MasterKey.of(bytes(32))
VECTOR = np.eye(4, dtype=np.float32)[0]
PHOTO = ReferencePhoto("consent", "ab" * 32, b"jpeg", 1, 1, (0.0, 0.0, 1.0, 1.0), 1.0, {"p": VECTOR})
THREE_IN_A_DAY = BurstRule(dismissed=3, hours=24, share=0.75)


class Clock:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self):
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now

    def sleep(self, hours):
        self.now += timedelta(hours=hours)


@pytest.fixture
def ada(records, database):
    identity_id = records.add_identity("Ada", "victim", ["by-hand"], references=[PHOTO])
    waiting(database)
    return identity_id


def dismiss(decisions, identity_id, *accounts):
    return [decisions.record(identity_id, one, "not_this_person", "mo", f"r-{one}").quarantined for one in accounts]


def test_a_burst_of_dismissals_puts_the_identity_into_quarantine_with_its_counts(database, records, ada):
    decisions = DecisionRecords(database, MASTER, THREE_IN_A_DAY, clock=Clock())
    decisions.record(ada, "acc-0", "confirmed", "mo", "r-0")
    assert dismiss(decisions, ada, "acc-1", "acc-2", "acc-3") == [False, False, True]
    rows = waiting(database)
    assert len(rows) == 3, "the quarantine travels with the decision that brought it"
    key = records.data_keys([ada])[ada]
    assert [read_change(ada, json.loads(row.value), key).quarantined for row in rows] == [False, False, True]
    (summary,) = records.list_identities()
    assert summary.quarantine_reason == "3 of 4 accounts decided within 24 hours are somebody else's."
    assert summary.quarantined_at == decisions.history(ada)[0].decided_at
    detail = records.show(ada)
    assert (detail.quarantined_at, detail.quarantine_reason) == (summary.quarantined_at, summary.quarantine_reason)
    assert [identity.quarantined for identity in records.identities()] == [True]


def test_a_quarantine_is_announced_even_when_the_decision_teaches_nothing_new(database, records, ada):
    clock = Clock()
    decisions = DecisionRecords(database, MASTER, THREE_IN_A_DAY, clock=clock)
    dismiss(decisions, ada, "acc-1")
    clock.sleep(hours=25)
    dismiss(decisions, ada, "acc-2", "acc-3")
    waiting(database)
    assert decisions.record(ada, "acc-1", "not_this_person", "mo", "another review").quarantined
    assert announced(database, records).quarantined is True


@pytest.mark.parametrize("review_ids", [[None] * 10, [f"r-{number}" for number in range(10)]], ids=["same", "reviews"])
def test_one_account_is_no_burst_however_often_it_is_dismissed(database, ada, review_ids):
    decisions = DecisionRecords(database, MASTER, THREE_IN_A_DAY, clock=Clock())
    assert not any(decisions.record(ada, "acc", "not_this_person", "mo", one).quarantined for one in review_ids)
    assert dismiss(decisions, ada, "acc-1", "acc-2") == [False, True]


@pytest.mark.parametrize("decision", ["confirmed", "bad_picture", "genuine_owner"])
def test_one_account_that_is_decided_often_does_not_hide_a_burst(database, ada, decision):
    decisions = DecisionRecords(database, MASTER, THREE_IN_A_DAY, clock=Clock())
    for number in range(10):
        decisions.record(ada, "acc", decision, "mo", f"r-{number}")
    assert dismiss(decisions, ada, "acc-1", "acc-2", "acc-3") == [False, False, True]


def test_an_account_counts_by_the_last_word_on_it(database, records, ada):
    decisions = DecisionRecords(database, MASTER, THREE_IN_A_DAY, clock=Clock())
    dismiss(decisions, ada, "acc-1", "acc-2")
    decisions.record(ada, "acc-1", "confirmed", "mo", "later")
    assert dismiss(decisions, ada, "acc-3") == [False]
    assert not decisions.record(ada, "acc-2", "bad_picture", "mo", "later still").quarantined
    assert dismiss(decisions, ada, "acc-4") == [True], "what nobody can tell takes no dismissal back"
    assert records.show(ada).quarantine_reason == "3 of 4 accounts decided within 24 hours are somebody else's."


def test_dismissals_that_are_spread_out_or_outweighed_are_no_burst(database, records, ada):
    clock = Clock()
    decisions = DecisionRecords(database, MASTER, THREE_IN_A_DAY, clock=clock)
    for number in range(6):
        assert dismiss(decisions, ada, f"slow-{number}") == [False]
        clock.sleep(hours=12.5)
    clock.sleep(hours=24)
    for number in range(4):
        decisions.record(ada, f"thief-{number}", "confirmed", "mo", f"t-{number}")
    assert dismiss(decisions, ada, *(f"fast-{number}" for number in range(11))) == [False] * 11
    assert dismiss(decisions, ada, "one-more") == [True]
    assert records.show(ada).quarantine_reason == "12 of 16 accounts decided within 24 hours are somebody else's."


def test_a_review_that_is_decided_back_and_forth_counts_once(database, ada):
    decisions = DecisionRecords(database, MASTER, THREE_IN_A_DAY, clock=Clock())
    for decision in ("not_this_person", "confirmed") * 4:
        assert not decisions.record(ada, "acc", decision, "mo", "r1").quarantined
    assert dismiss(decisions, ada, "acc-1", "acc-2") == [False, False]


def test_after_a_quarantine_is_lifted_only_later_decisions_count(database, records, ada):
    decisions = DecisionRecords(database, MASTER, THREE_IN_A_DAY, clock=Clock())
    assert decisions.lift_quarantine(ada) is False
    dismiss(decisions, ada, "acc-1", "acc-2", "acc-3")
    waiting(database)
    assert decisions.lift_quarantine(ada) is True
    assert announced(database, records).quarantined is False
    assert (records.show(ada).quarantined_at, records.show(ada).quarantine_reason) == (None, None)
    assert decisions.lift_quarantine(ada) is False
    assert waiting(database) == []
    assert dismiss(decisions, ada, "acc-4", "acc-5", "acc-6") == [False, False, True]
    assert records.show(ada).quarantine_reason.startswith("3 of 3")


def test_a_quarantine_is_begun_once_and_ends_only_when_it_is_lifted(database, records, ada):
    clock = Clock()
    decisions = DecisionRecords(database, MASTER, THREE_IN_A_DAY, clock=clock)
    dismiss(decisions, ada, "acc-1", "acc-2", "acc-3")
    begun = records.show(ada).quarantined_at
    clock.sleep(hours=100)
    assert decisions.record(ada, "acc-1", "confirmed", "mo", "r-acc-1").quarantined
    assert dismiss(decisions, ada, "acc-4", "acc-5") == [True, True]
    assert records.show(ada).quarantined_at == begun


def test_moderators_who_decide_at_the_same_time_do_not_undo_each_other(database, records, ada):
    decisions = DecisionRecords(database, MASTER, BurstRule(dismissed=20, hours=1, share=1))

    def decide(number):
        return decisions.record(ada, f"acc-{number % 20}", "not_this_person", "mo", f"r-{number % 20}")

    with ThreadPoolExecutor(8) as pool:
        quarantined = [outcome.quarantined for outcome in pool.map(decide, range(40))]
    assert any(quarantined)
    assert len(decisions.history(ada)) == records.show(ada).negative_pairs == 20
    assert records.show(ada).quarantine_reason.startswith("20 of 20")
    assert len(announced(database, records).negative_accounts) == 20


@pytest.mark.parametrize(
    "wrong",
    [
        (0, 24, 0.5),
        (1, 0, 0.5),
        (1, 24, 0),
        (1, 24, 1.01),
        (1, float("nan"), 0.5),
        (1, 8760.1, 0.5),
        (1, float("inf"), 0.5),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValueError, match="A burst needs"):
        BurstRule(*wrong)


def test_a_burst_may_take_a_year(database, ada):
    clock = Clock()
    decisions = DecisionRecords(database, MASTER, BurstRule(dismissed=2, hours=8760, share=1), clock=clock)
    dismiss(decisions, ada, "acc-1")
    clock.sleep(hours=8759)
    assert dismiss(decisions, ada, "acc-2") == [True]
