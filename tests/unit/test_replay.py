"""Which dead letters are meant, how many are sent together, and that a claim is given once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consumers.dead_letter_box import DeadLetter, Selection
from consumers.places import Place
from consumers.replay import HANDFUL, HANDFUL_BYTES, handfuls
from likeness.dead_letter_tables import printable
from likeness.errors import BadInput
from likeness.moments import moment
from records.database import open_database
from records.replays import CLAIM_HOLDS, ReplayRecords

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
LETTER = DeadLetter(
    dead_letter_id="letter-1",
    event_id="event-1",
    account_id="acct-1",
    reason="unreachable",
    detail="Nobody answers.",
    failed_at=NOW,
    place=Place("avatar-dead-letters", 0, 1),
    original=Place("avatar-uploads", 0, 7),
    timestamp_ms=1_770_000_000_000,
    size=10,
    omitted=False,
)


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(), True),
        (Selection(ids=frozenset({"letter-1", "letter-2"})), True),
        (Selection(ids=frozenset({"letter-2"})), False),
        (Selection(reasons=frozenset({"unreachable", "not_json"}), account_id="acct-1"), True),
        (Selection(reasons=frozenset({"unreachable"}), account_id="acct-2"), False),
        (Selection(since=NOW), True),
        (Selection(since=NOW + timedelta(seconds=1)), False),
    ],
)
def test_a_selection_means_what_fits_all_of_it(selection, meant):
    assert selection.has(LETTER) is meant


def test_few_or_small_letters_are_sent_together_and_each_once():
    many = [replace(LETTER, dead_letter_id=str(number)) for number in range(2 * HANDFUL + 1)]
    assert [len(one) for one in handfuls(many)] == [HANDFUL, HANDFUL, 1]
    sizes = (HANDFUL_BYTES // 2, HANDFUL_BYTES // 2, 1, HANDFUL_BYTES + 1, 1)
    large = [replace(LETTER, size=size) for size in sizes]
    assert [[one.size for one in handful] for handful in handfuls(large)] == [
        [HANDFUL_BYTES // 2, HANDFUL_BYTES // 2],
        [1],
        [HANDFUL_BYTES + 1],
        [1],
    ]
    assert list(handfuls([])) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("45s", NOW - timedelta(seconds=45)),
        (" 2h ", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-02-03", datetime(2026, 2, 3, tzinfo=UTC)),
        ("2026-02-03T04:05:06+01:00", NOW - timedelta(hours=1)),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(given, told):
    assert moment(given, NOW) == told


@pytest.mark.parametrize("given", ["", "2", "2w", "-2h", "soon", "9" * 30 + "d"])
def test_what_is_no_moment_is_refused(given):
    with pytest.raises(BadInput, match="is no time"):
        moment(given, NOW)


def test_what_a_terminal_would_obey_is_spelled_out():
    assert printable("Zoë 東\x1b[2J\n\u202e") == "Zoë 東\\x1b[2J\\n\\u202e"


@pytest.fixture
def clock():
    return [NOW]


@pytest.fixture
def replays(tmp_path, clock):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    yield ReplayRecords(database, clock=lambda: clock[0])
    database.close()


def test_a_claim_is_given_once_until_it_is_old(replays, clock):
    assert replays.claim(["a", "b"], "lee").ids == {"a", "b"}
    assert replays.claim(["b", "c"], "kim").ids == {"c"}
    replays.mark_sent(["a"])
    clock[0] += CLAIM_HOLDS
    assert replays.claim(["a", "b"], "kim").ids == frozenset()
    clock[0] += timedelta(seconds=1)
    assert replays.claim(["a", "b"], "kim").ids == {"b"}
    assert {one.dead_letter_id: (one.state, one.replayed_by) for one in replays.find(["a", "b", "z"]).values()} == {
        "a": ("sent", "lee"),
        "b": ("claimed", "kim"),
    }


def test_what_was_sent_is_claimed_again_only_on_purpose(replays, clock):
    replays.claim(["a"], "lee")
    assert replays.claim(["a"], "kim", again=True).ids == frozenset()
    replays.mark_sent(["a"])
    claim = replays.claim(["a"], "kim", again=True)
    assert claim.ids == {"a"}
    replays.release(claim, ["a"])
    assert replays.find(["a"])["a"].state == "sent"


def test_a_claim_that_is_released_is_free_and_one_taken_over_is_not_released_by_its_first_owner(replays, clock):
    first = replays.claim(["a", "b"], "lee")
    replays.release(first, ["a"])
    assert replays.find(["a"]) == {}
    clock[0] += CLAIM_HOLDS + timedelta(seconds=1)
    assert replays.claim(["b"], "kim").ids == {"b"}
    replays.release(first, ["b"])
    assert replays.find(["b"])["b"].replayed_by == "kim"


def test_thousands_of_letters_are_claimed_and_found_at_once(replays):
    ids = [f"letter-{number}" for number in range(5_000)]
    assert len(replays.claim(ids, "lee").ids) == 5_000
    replays.mark_sent(ids)
    assert {one.state for one in replays.find(ids).values()} == {"sent"}
