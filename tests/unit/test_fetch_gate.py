"""Fetches begin only while there is room for what they bring."""

from concurrent.futures import Future

import pytest

from consumers.fetch_gate import FIRST_GUESS, REMEMBERED, FetchGate


class Queue:
    """Stands where the queue of fetches stands; nothing is fetched."""

    def __init__(self):
        self.futures = []

    def submit(self, url):
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def queue():
    return Queue()


def gate_with(queue, most, items):
    gate = FetchGate(queue, most)
    for item in range(items):
        gate.add(item, f"https://img.example/{item}")
    return gate


def test_fetches_begin_up_to_what_is_expected_of_them(queue):
    gate = gate_with(queue, 10 * 2 * FIRST_GUESS + 1, 50)
    assert [item for item, _ in gate.begin(0)] == list(range(10))
    gate.ended(0, FIRST_GUESS)
    assert [item for item, _ in gate.begin(0)] == [10]


def test_what_is_held_already_leaves_less_room(queue):
    assert len(gate_with(queue, 20 * FIRST_GUESS + 1, 50).begin(10 * FIRST_GUESS)) == 5


def test_one_is_always_under_way(queue):
    gate = gate_with(queue, 1, 3)
    assert [item for item, _ in gate.begin(10**9)] == [0]
    assert gate.begin(10**9) == []
    gate.ended(0, 10**9)
    assert [item for item, _ in gate.begin(10**9)] == [1]


def test_large_pictures_make_fewer_begin(queue):
    gate = gate_with(queue, 64_000_000, 500)
    first = len(gate.begin(0))
    for item in range(first):
        gate.ended(item, 8_000_000)
    assert first > REMEMBERED
    assert len(gate.begin(0)) == 3


def test_those_that_wait_for_their_host_are_taken_back_when_too_much_has_come(queue):
    gate = gate_with(queue, 10 * 2 * FIRST_GUESS + 1, 10)
    gate.begin(0)
    queue.futures[0].set_running_or_notify_cancel()
    gate.begin(10**9)
    assert [future.cancelled() for future in queue.futures] == [False] + [True] * 9
    assert [item for item, _ in gate.begin(0)] == list(range(1, 10))


def test_what_nobody_waits_for_is_cancelled_and_never_begins(queue):
    gate = gate_with(queue, 2 * 2 * FIRST_GUESS + 1, 4)
    gate.begin(0)
    gate.drop({0, 2})
    assert queue.futures[0].cancelled() and not queue.futures[1].cancelled()
    assert [item for item, _ in gate.begin(0)] == [3]
