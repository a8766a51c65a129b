"""The ledger must be able to fail: it is given data with losses, doubles, other ids and strangers."""

from tests.chaos.ledger import Outcome, tally

SENT = {"a": "clear", "b": "suspect", "c": "unreadable"}
WHOLE = (
    Outcome("screening", "a", "s-a"),
    Outcome("screening", "b", "s-b"),
    Outcome("review", "b", "r-b"),
    Outcome("dead_letter", "c", "d-c"),
)


def without(*kinds_and_ids):
    return [one for one in WHOLE if (one.kind, one.event_id) not in kinds_and_ids]


def test_uploads_that_all_ended_as_they_should_are_neither_lost_nor_doubled():
    found = tally(SENT, WHOLE)
    assert (found.lost, found.doubled, found.renamed, found.strange) == ((), (), (), ())
    assert str(found) == "3 uploads: lost = 0, doubled = 0"


def test_an_upload_without_any_outcome_is_lost():
    assert tally(SENT, without(("screening", "a"))).lost == ("a",)
    assert tally(SENT, without(("dead_letter", "c"))).lost == ("c",)
    assert tally(SENT, []).lost == ("a", "b", "c")


def test_a_suspect_without_its_review_is_lost_and_so_is_one_with_only_its_review():
    assert tally(SENT, without(("review", "b"))).lost == ("b",)
    assert tally(SENT, without(("screening", "b"))).lost == ("b",)


def test_whatever_comes_twice_doubles_its_upload_and_under_the_same_id_it_is_not_renamed():
    for again in WHOLE:
        found = tally(SENT, [*WHOLE, again])
        assert (found.doubled, found.renamed, found.lost) == ((again.event_id,), (), ())


def test_a_repeat_under_another_id_is_told_apart():
    found = tally(SENT, [*WHOLE, Outcome("review", "b", "r-other")])
    assert (found.doubled, found.renamed) == (("b",), ("b",))


def test_a_screening_and_a_dead_letter_of_one_upload_double_it():
    found = tally(SENT, [*WHOLE, Outcome("dead_letter", "a", "d-a")])
    assert (found.doubled, found.strange, found.lost) == (("a",), ("a",), ())


def test_another_end_than_was_due_and_an_upload_that_nobody_sent_are_strange():
    dead_suspect = [*without(("screening", "b"), ("review", "b")), Outcome("dead_letter", "b", "d-b")]
    found = tally(SENT, dead_suspect)
    assert (found.strange, found.lost) == (("b",), ())
    assert tally(SENT, [*WHOLE, Outcome("review", "a", "r-a")]).strange == ("a",)
    assert tally(SENT, [*WHOLE, Outcome("screening", "z", "s-z")]).strange == ("z",)
