"""The simulations behind docs/scaling.md come to what can be computed by hand."""

import random

import numpy as np
import pytest

from benchmarks.group_lag import Autoscaler, Group, course
from benchmarks.queueing import Costs, simulate

COSTS = Costs(broker=1.0, worker=20.0, held=2.0, consumer=3.0, deliver=10.0, spread=0.0)
MANY = [0.0] * 400


def rate(consumers, cores, costs=COSTS):
    """Uploads a second of a backlog."""
    return 1e3 * len(MANY) / max(simulate(MANY, consumers, cores, costs, random.Random(1)))


def test_an_upload_alone_takes_the_sum_of_its_steps():
    (ended,) = simulate([5.0], 1, 4, COSTS, random.Random(1))
    assert ended == pytest.approx(5.0 + 1.0 + 20.0 + 2.0 + 10.0)


def test_with_cores_to_spare_each_consumer_adds_as_much_as_its_worker_does():
    assert rate(1, cores=16) == pytest.approx(1e3 / 22, rel=0.02)
    assert rate(4, cores=16) == pytest.approx(4e3 / 22, rel=0.05)


def test_beyond_the_cores_more_consumers_add_nothing():
    most = 2 * 1e3 / (COSTS.broker + COSTS.worker + COSTS.consumer)
    assert rate(4, cores=2) == pytest.approx(most, rel=0.05)
    assert rate(8, cores=2) == pytest.approx(most, rel=0.05)


def test_uploads_wait_longer_the_busier_the_consumer_is():
    def median(load):
        chance, at = random.Random(2), 0.0
        arrivals = [at := at + chance.expovariate(load / 22) for _ in range(1_000)]
        ended = simulate(arrivals, 1, 16, COSTS, random.Random(1))
        return np.median(np.array(ended) - arrivals)

    assert 33 <= median(0.1) < median(0.6) < median(0.95)


STEADY = np.full(600, 1_000.0)


def test_nobody_waits_while_consumers_are_faster_than_uploads_come():
    assert course(STEADY, Group(100, rate=120), consumers=10).wait.max() == 0


def test_a_consumer_with_one_partition_more_than_the_others_falls_behind():
    even = course(STEADY, Group(100, rate=102), consumers=10)
    odd = course(STEADY, Group(96, rate=102), consumers=10)
    assert even.wait.max() == 0
    assert odd.lag[-1] > odd.lag[100] > 0


def test_a_killed_consumers_uploads_wait_for_a_session_and_the_change():
    group = Group(100, rate=300, session=45, pause=5)
    assert course(STEADY, group, 10, killed={100: 1}).wait.max() == pytest.approx(50, abs=1)
    assert course(STEADY, group, 10, left={100: 1}).wait.max() == pytest.approx(5, abs=1)


def test_the_autoscaler_adds_what_the_lag_calls_for_in_steps_that_share_the_partitions_evenly():
    doubled = np.where(np.arange(1_800) > 60, 2_000.0, 500.0)
    grown = course(doubled, Group(96, rate=100), 6, scaler=Autoscaler(threshold=1_000, most=96))
    assert all(96 % number == 0 for number in np.unique(grown.consumers))
    assert grown.consumers.max() >= 24 and grown.lag[-1] == 0
    assert all(after <= 2 * before for before, after in zip(grown.consumers, grown.consumers[1:], strict=False))
