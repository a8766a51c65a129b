"""How far a partition is done where uploads end out of order."""

import random

import pytest
from kafka.structs import OffsetAndMetadata

from consumers.progress import SPAN, Progress


def begun(position, count, metadata=""):
    progress = Progress(OffsetAndMetadata(position, metadata, -1))
    assert all(progress.begin(offset, 7) for offset in range(position, position + count))
    return progress


def test_what_ends_in_order_moves_the_committed_offset_and_leaves_no_metadata():
    progress = begun(10, 3)
    assert progress.after({10}) == OffsetAndMetadata(11, "", 7)
    progress.end({10})
    assert progress.after({11, 12}) == OffsetAndMetadata(13, "", 7)


def test_a_slow_upload_holds_the_offset_but_what_is_done_beyond_it_is_remembered():
    progress = begun(10, 5)
    committed = progress.after({11, 13})
    assert committed.offset == 10 and committed.metadata
    again = Progress(committed)
    assert [again.begin(offset) for offset in range(10, 15)] == [True, False, True, False, True]


def test_when_the_slow_one_ends_the_offset_jumps_over_all_that_is_done():
    progress = begun(0, 5)
    progress.end({1, 2, 3})
    assert progress.after({0}) == OffsetAndMetadata(4, "", 7)
    progress.end({0})
    assert progress.after({4}).offset == 5


def test_offsets_that_the_topic_does_not_have_are_no_gap():
    progress = Progress(OffsetAndMetadata(0, "", -1))
    for offset in (0, 3, 9):
        progress.begin(offset)
    progress.end({3})
    assert progress.after({0}).offset == 9
    assert progress.after({0, 9}).offset == 10


def test_an_upload_is_begun_once():
    progress = begun(5, 2)
    assert not progress.begin(5)
    progress.end({5, 6})
    assert not progress.begin(5)
    assert not progress.begin(6)


def test_what_was_done_before_and_is_beyond_all_that_is_begun_stays_remembered():
    first = begun(0, 8)
    committed = first.after({1, 2, 6, 7})
    second = Progress(committed)
    assert second.begin(0)
    third = Progress(second.after({0}))
    assert [third.begin(offset) for offset in range(8)] == [False, False, False, True, True, True, False, False]


def test_the_longest_metadata_fits_what_a_broker_takes():
    progress = begun(1_000, SPAN)
    assert progress.full
    assert len(progress.after({1_000 + SPAN - 1}).metadata) < 4_096
    progress.end({1_000})
    assert not progress.full


def test_metadata_that_was_left_behind_when_somebody_moved_the_offset_says_nothing():
    left = begun(1_000, 30).after(set(range(1_001, 1_021)))
    progress = Progress(OffsetAndMetadata(10, left.metadata, -1))
    assert all(progress.begin(offset) for offset in range(10, 50))


def test_an_upload_too_far_beyond_the_first_one_under_way_must_wait():
    progress = begun(0, 1)
    assert progress.reaches(SPAN - 1) and not progress.full
    assert not progress.reaches(SPAN) and progress.full
    progress.end({0})
    assert progress.reaches(SPAN) and not progress.full
    assert progress.begin(SPAN)
    assert progress.after({SPAN}) == OffsetAndMetadata(SPAN + 1, "", -1)


@pytest.mark.parametrize("metadata", ["written by another program", "likeness:1:4:%%%", "likeness:2:4:AAAA", None])
def test_metadata_of_others_says_nothing(metadata):
    progress = Progress(OffsetAndMetadata(4, metadata, -1))
    assert all(progress.begin(offset) for offset in range(4, 20))


@pytest.mark.parametrize("seed", range(20))
def test_however_uploads_end_and_workers_change_each_is_done_once(seed):
    chance = random.Random(seed)
    offsets = sorted(chance.sample(range(400), 150))
    committed, times = OffsetAndMetadata(0, "", -1), dict.fromkeys(offsets, 0)
    while any(done == 0 for done in times.values()):
        progress = Progress(committed)
        waiting = [offset for offset in offsets if offset >= committed.offset and progress.begin(offset)]
        for _ in range(chance.randrange(1, 6)):
            ended = set(chance.sample(waiting, chance.randrange(0, len(waiting) + 1)))
            waiting = [offset for offset in waiting if offset not in ended]
            committed = progress.after(ended)
            progress.end(ended)
            for offset in ended:
                times[offset] += 1
    assert set(times.values()) == {1}
    assert committed.offset == offsets[-1] + 1
