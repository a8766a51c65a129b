"""What fails again and again is left alone for a while, then tried by one call alone."""

import pytest

from consumers.circuit import Circuit


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def circuit(clock):
    """One that opens at the third failure in a row, for 10 seconds."""
    return Circuit(3, 10, clock)


def opened(circuit):
    for _ in range(3):
        assert circuit.may_pass()
        circuit.failed()
    return circuit


def test_calls_pass_until_as_many_as_allowed_have_failed_in_a_row(circuit):
    for _ in range(2):
        circuit.failed()
        assert circuit.may_pass()
    circuit.failed()
    assert circuit.is_open
    assert not circuit.may_pass()


def test_a_success_between_failures_begins_the_row_anew(circuit):
    for _ in range(5):
        circuit.failed()
        circuit.failed()
        circuit.succeeded()
    assert not circuit.is_open
    assert circuit.failures == 0


def test_after_the_pause_one_call_passes_and_no_second_until_it_has_ended(circuit, clock):
    opened(circuit)
    clock.now += 9.9
    assert not circuit.may_pass()
    assert circuit.seconds_left == pytest.approx(0.1)
    clock.now += 0.1
    assert [circuit.may_pass() for _ in range(3)] == [True, False, False]
    assert circuit.is_open


def test_a_trial_that_succeeds_lets_every_call_pass(circuit, clock):
    opened(circuit)
    clock.now += 10
    circuit.may_pass()
    circuit.succeeded()
    assert not circuit.is_open
    assert all(circuit.may_pass() for _ in range(5))


def test_a_trial_that_fails_begins_the_pause_anew(circuit, clock):
    opened(circuit)
    clock.now += 10
    circuit.may_pass()
    clock.now += 4
    circuit.failed()
    assert circuit.seconds_left == 10
    clock.now += 9
    assert not circuit.may_pass()
    clock.now += 1
    assert circuit.may_pass()


def test_a_trial_that_tells_nothing_leaves_its_place_to_the_next_call(circuit, clock):
    opened(circuit)
    clock.now += 10
    assert circuit.may_pass()
    circuit.undecided()
    assert circuit.is_open
    assert [circuit.may_pass(), circuit.may_pass()] == [True, False]


def test_a_call_from_before_the_opening_that_succeeds_closes_it(circuit):
    opened(circuit)
    circuit.succeeded()
    assert not circuit.is_open
    assert circuit.seconds_left == 0
