"""Figures that are shown again while newer ones are counted."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from records.errors import DatabaseAway
from records.kept import LONGEST, Kept

KEEP = timedelta(seconds=1)


class Counting:
    """A clock that is set, and a count that can be held up."""

    def __init__(self, **how):
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.times = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.ended = threading.Event()
        self.error = None
        self.kept = Kept(self.count, keep=KEEP, clock=lambda: self.now, **how)

    def count(self, _moment):
        self.times += 1
        found = self.times
        self.may_end.wait(10)
        if self.error:
            raise self.error
        self.ended.set()
        return found


def test_young_figures_are_not_counted_again():
    counting = Counting()
    assert [counting.kept.get(), counting.kept.get()] == [1, 1]


def test_few_are_counted_anew_each_time_and_waited_for_however_slow_the_last_count_was():
    counting = Counting(few=lambda found: found < 3)
    counting.may_end.clear()
    threading.Timer(0.1, counting.may_end.set).start()
    assert counting.kept.get() == 1
    counting.may_end.clear()
    threading.Timer(0.1, counting.may_end.set).start()
    assert [counting.kept.get(patience=0) for _ in range(4)] == [2, 3, 3, 3]


def test_older_ones_are_counted_anew_at_once_where_that_is_quick():
    counting = Counting()
    counting.kept.get()
    counting.now += KEEP
    assert counting.kept.get(patience=10) == 2


def test_nobody_waits_for_a_long_count_while_there_are_figures_and_one_thread_counts():
    counting = Counting()
    counting.kept.get()
    counting.ended.clear()
    counting.may_end.clear()
    counting.now += KEEP
    assert [counting.kept.get() for _ in range(3)] == [1, 1, 1]
    assert counting.times == 2
    counting.may_end.set()
    assert counting.ended.wait(10)
    assert counting.kept.get(patience=10) == 2


def test_figures_that_are_too_old_are_waited_for():
    counting = Counting()
    counting.kept.get()
    counting.now += LONGEST * KEEP
    counting.may_end.clear()
    threading.Timer(0.1, counting.may_end.set).start()
    assert counting.kept.get(patience=0) == 2


def test_after_a_count_that_failed_the_next_one_may_succeed():
    counting = Counting()
    counting.error = DatabaseAway("The database does not answer.")
    with pytest.raises(DatabaseAway):
        counting.kept.get()
    counting.error = None
    assert counting.kept.get() == 2


def test_nobody_waits_at_all_where_the_last_count_took_longer_than_their_patience(monkeypatch):
    counting = Counting()
    ticks = iter((0.0, 60.0))
    with monkeypatch.context() as patched:
        patched.setattr("records.kept.time.monotonic", lambda: next(ticks))
        counting.kept.get()
    counting.now += KEEP
    counting.may_end.clear()
    threading.Timer(1, counting.may_end.set).start()
    assert counting.kept.get(patience=30) == 1
