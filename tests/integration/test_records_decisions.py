"""What follows from a moderator's decision, on SQLite and on PostgreSQL."""

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from records.decisions import BurstRule, Consequences, DecisionRecords
from records.errors import MasterKeyError, ReviewOfAnother, UnfitId, UnknownIdentity
from records.keys.keyring import MasterKey
from records.references import ReferencePhoto
from tests.support.announced import announced, waiting

MASTER = MasterKey.of(bytes(32))
VECTOR = np.eye(4, dtype=np.float32)[0]
PHOTO = ReferencePhoto("consent", "ab" * 32, b"jpeg", 1, 1, (0.0, 0.0, 1.0, 1.0), 1.0, {"p": VECTOR})
NEVER = BurstRule(dismissed=1000, hours=24, share=1)
SILENT, OWN, HEARD = (
    Consequences(True, False, False),
    Consequences(False, True, False),
    Consequences(False, False, False),
)


@pytest.fixture
def ada(records, database):
    identity_id = records.add_identity("Ada", "victim", ["by-hand"], references=[PHOTO])
    waiting(database)
    return identity_id


@pytest.fixture
def moderator(database, ada):
    """Decides as moderator mo about Ada: `moderator("acc", "confirmed", "r1")`."""
    decisions = DecisionRecords(database, MASTER, NEVER)
    return lambda account_id, decision, review_id=None: decisions.record(ada, account_id, decision, "mo", review_id)


def test_an_account_that_is_somebody_else_is_silenced_for_that_identity_only(database, records, ada, moderator):
    grace = records.add_identity("Grace", "victim", references=[PHOTO])
    assert moderator("acc", "not_this_person", "r1") == SILENT
    assert announced(database, records).negative_accounts == {"acc"}
    of_identity = {identity.id: identity.negative_accounts for identity in records.identities()}
    assert of_identity == {ada: {"acc"}, grace: frozenset()}
    assert (records.show(ada).negative_pairs, records.show(grace).negative_pairs) == (1, 0)
    assert records.find_identity(ada).negative_pairs == 1


def test_the_owners_account_becomes_her_own_and_is_no_longer_somebody_elses(database, records, ada, moderator):
    moderator("acc", "not_this_person", "r1")
    waiting(database)
    assert moderator("acc", "genuine_owner", "r2") == OWN
    state = announced(database, records)
    assert (state.own_accounts, state.negative_accounts) == ({"acc", "by-hand"}, frozenset())


@pytest.mark.parametrize("decision", ["confirmed", "bad_picture"])
def test_a_decision_that_teaches_nothing_is_written_down_but_not_announced(database, records, ada, moderator, decision):
    assert moderator("acc", decision, "r1") == HEARD
    assert waiting(database) == []
    (entry,) = DecisionRecords(database, MASTER, NEVER).history(ada)
    assert (entry.decision, entry.decided_by, entry.review_id, entry.stands) == (decision, "mo", "r1", True)


@pytest.mark.parametrize("earlier", ["not_this_person", "genuine_owner"])
def test_an_impostor_who_was_silenced_by_an_earlier_decision_is_heard_again_once_confirmed(
    database, records, ada, moderator, earlier
):
    moderator("acc", earlier, "r1")
    waiting(database)
    assert moderator("acc", "confirmed", "r2") == HEARD
    state = announced(database, records)
    assert (state.own_accounts, state.negative_accounts) == ({"by-hand"}, frozenset())


@pytest.mark.parametrize("review_id", ["r1", None])
@pytest.mark.parametrize("decision", ["not_this_person", "genuine_owner"])
def test_the_same_decision_again_changes_nothing(database, ada, moderator, decision, review_id):
    first = moderator("acc", decision, review_id)
    assert len(waiting(database)) == 1
    assert moderator("acc", decision, review_id) == first
    assert waiting(database) == []
    assert len(DecisionRecords(database, MASTER, NEVER).history(ada)) == 1


def test_without_a_review_only_what_is_other_than_the_last_word_is_written_down(database, ada, moderator):
    moderator("acc", "not_this_person", "r1")
    moderator("acc", "not_this_person")
    moderator("acc", "confirmed")
    moderator("acc", "confirmed")
    assert moderator("acc", "not_this_person") == SILENT
    history = DecisionRecords(database, MASTER, NEVER).history(ada)
    assert [one.decision for one in history] == ["not_this_person", "confirmed", "not_this_person"]


@pytest.mark.parametrize("undone", ["not_this_person", "genuine_owner"])
@pytest.mark.parametrize("instead", ["confirmed", "bad_picture"])
def test_a_review_that_is_decided_anew_takes_back_what_it_taught(database, records, ada, moderator, undone, instead):
    moderator("acc", undone, "r1")
    waiting(database)
    assert moderator("acc", instead, "r1") == HEARD
    state = announced(database, records)
    assert (state.own_accounts, state.negative_accounts) == ({"by-hand"}, frozenset())
    history = DecisionRecords(database, MASTER, NEVER).history(ada)
    assert [(one.decision, one.stands) for one in history] == [(instead, True), (undone, False)], "both stay on record"


def test_a_decision_taken_back_leaves_what_another_review_taught_of_the_same_account(moderator):
    moderator("acc", "not_this_person", "r1")
    moderator("acc", "not_this_person", "r2")
    assert moderator("acc", "bad_picture", "r2") == SILENT
    moderator("acc", "confirmed", "r3")
    assert moderator("acc", "bad_picture", "r3") == SILENT, "the older word counts again"
    assert moderator("acc", "bad_picture", "r1") == HEARD


def test_a_bad_picture_does_not_stir_what_is_known_of_the_account(database, records, ada, moderator):
    moderator("acc", "genuine_owner", "r1")
    records.remove_own_account(ada, "acc")
    waiting(database)
    assert moderator("acc", "bad_picture", "r2") == HEARD
    assert waiting(database) == []


@pytest.mark.parametrize("review_id", ["r1", None])
@pytest.mark.parametrize("between", ["not_this_person", "confirmed"])
def test_a_forgotten_own_account_does_not_come_back_when_a_later_decision_is_taken_back(
    database, records, ada, moderator, review_id, between
):
    moderator("acc", "genuine_owner", review_id)
    assert records.remove_own_account(ada, "acc") is True
    moderator("acc", between, "r2")
    waiting(database)
    assert moderator("acc", "bad_picture", "r2") == HEARD
    assert records.show(ada).own_accounts == ("by-hand",)
    owner = DecisionRecords(database, MASTER, NEVER).history(ada)[-1]
    assert (owner.decision, owner.stands) == ("genuine_owner", False), "what was said stays on record"


def test_an_account_is_forgotten_for_good_even_while_another_decision_hides_it(records, ada, moderator):
    moderator("acc", "genuine_owner", "r1")
    moderator("acc", "not_this_person", "r2")
    assert records.remove_own_account(ada, "acc") is False
    assert moderator("acc", "bad_picture", "r2") == HEARD


def test_what_an_own_account_overruled_does_not_come_back_when_it_is_forgotten(records, ada, moderator):
    moderator("acc", "not_this_person", "r0")
    moderator("acc", "genuine_owner", "r1")
    records.remove_own_account(ada, "acc")
    moderator("acc", "confirmed", "r2")
    assert moderator("acc", "bad_picture", "r2") == HEARD


def test_to_forget_an_account_leaves_other_accounts_identities_and_later_words(database, records, ada, moderator):
    grace = records.add_identity("Grace", "victim", references=[PHOTO])
    decisions = DecisionRecords(database, MASTER, NEVER)
    decisions.record(grace, "acc", "genuine_owner", "mo", "r1")
    moderator("acc", "genuine_owner", "r1")
    moderator("acc-2", "genuine_owner", "r2")
    moderator("acc", "not_this_person", "r3")
    records.remove_own_account(ada, "acc")
    assert [one.stands for one in decisions.history(ada)] == [True, True, False]
    assert [one.stands for one in decisions.history(grace)] == [True]
    moderator("acc", "not_this_person", "r4")
    assert moderator("acc", "bad_picture", "r4") == SILENT


@pytest.mark.parametrize("review_id", ["r1", None])
def test_a_forgotten_own_account_is_learned_again_when_it_is_said_again(ada, records, moderator, review_id):
    moderator("acc", "genuine_owner", review_id)
    records.remove_own_account(ada, "acc")
    assert moderator("acc", "genuine_owner", review_id) == OWN


def test_an_own_account_that_was_entered_by_hand_outlives_decisions(records, ada, moderator):
    assert moderator("by-hand", "genuine_owner", "r1") == OWN
    assert moderator("by-hand", "confirmed", "r1") == OWN
    moderator("learned", "genuine_owner", "r2")
    assert records.add_own_account(ada, "learned") is False
    assert moderator("learned", "confirmed", "r2") == OWN, "it was entered by hand after it was learned"
    assert records.show(ada).own_accounts == ("by-hand", "learned")


def test_one_review_may_be_decided_for_each_identity_that_it_names(database, records, ada, moderator):
    grace = records.add_identity("Grace", "victim", references=[PHOTO])
    decisions = DecisionRecords(database, MASTER, NEVER)
    moderator("acc", "not_this_person", "r1")
    assert decisions.record(grace, "acc", "confirmed", "mo", "r1") == HEARD
    assert [len(decisions.history(one)) for one in (ada, grace)] == [1, 1]
    assert records.show(ada).negative_pairs == 1


def test_a_review_cannot_be_decided_for_another_account(database, ada, moderator):
    moderator("acc", "not_this_person", "r1")
    waiting(database)
    with pytest.raises(ReviewOfAnother, match="about account acc, not acc-2"):
        moderator("acc-2", "not_this_person", "r1")
    assert waiting(database) == []


@pytest.mark.parametrize("unfit", ["", " ", "acc ", "\tacc", "acc\n"])
def test_an_id_with_blanks_at_its_ends_is_refused_before_it_is_kept(database, records, ada, moderator, unfit):
    for refused in (
        lambda: moderator(unfit, "not_this_person"),
        lambda: moderator("acc", "not_this_person", unfit),
        lambda: records.add_own_account(ada, unfit),
        lambda: records.add_identity("Grace", "victim", ["acc-1", unfit]),
    ):
        with pytest.raises(UnfitId, match="blanks at its ends"):
            refused()
    assert waiting(database) == []
    assert [identity.name for identity in records.list_identities()] == ["Ada"]
    assert DecisionRecords(database, MASTER, NEVER).history(ada) == ()


def test_a_refused_decision_leaves_nothing_behind(database, records, ada, moderator):
    with pytest.raises(IntegrityError):
        moderator("acc", "perhaps", "r1")
    with pytest.raises(MasterKeyError):
        DecisionRecords(database, MasterKey.of(b"\1" * 32), NEVER).record(ada, "acc", "not_this_person", "mo")
    with pytest.raises(UnknownIdentity, match="idn_gone"):
        DecisionRecords(database, MASTER, NEVER).record("idn_gone", "acc", "confirmed", "mo")
    assert DecisionRecords(database, MASTER, NEVER).history(ada) == ()
    assert waiting(database) == []
