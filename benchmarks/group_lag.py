"""How far a consumer group falls behind, second by second: bursts, consumers that die, consumers that KEDA adds.

Partitions lie evenly on the consumers, each of which screens at a steady rate. Those of one that was killed stand until
the group misses it; each change of the group holds all of it up for a while.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Group:
    """`rate`: uploads a second of one consumer. `session`: seconds until a silent one is missed; `pause`: those of each
    change."""

    partitions: int
    rate: float
    session: int = 45
    pause: int = 5


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """KEDA's rule and the steps of deploy/kubernetes/autoscaling. `start`: seconds until a new consumer screens."""

    threshold: float
    most: int
    period: int = 120
    asked: int = 15
    start: int = 60

    def wanted(self, lag: float, consumers: int, partitions: int) -> int:
        """Consumers for this lag: a divisor of the partitions, twice as many as there are at most."""
        wanted = min(math.ceil(lag / self.threshold), 2 * consumers, self.most)
        return next(number for number in range(max(1, wanted), partitions + 1) if partitions % number == 0)


@dataclass(frozen=True, slots=True)
class Course:
    """By second: uploads that wait, (T,); seconds that an upload of that second waits in the worst partition, (T,);
    consumers, (T,)."""

    lag: NDArray[np.float64]
    wait: NDArray[np.float64]
    consumers: NDArray[np.int64]

    def seconds_above(self, wait: float) -> int:
        """How many seconds' uploads wait for longer."""
        return int(np.sum(self.wait > wait))


def course(
    arrivals: NDArray[np.float64],
    group: Group,
    consumers: int,
    killed: Mapping[int, int] | None = None,
    left: Mapping[int, int] | None = None,
    scaler: Autoscaler | None = None,
) -> Course:
    """What `arrivals`, (T,) uploads by second, meet; `killed` and `left`: at which second how many consumers go."""
    seconds, partitions = len(arrivals), group.partitions
    owners = _owners(partitions, consumers)
    backlog, silent = np.zeros(partitions), np.zeros(partitions, dtype=bool)
    served = np.zeros((seconds, partitions))
    lags, numbers = np.zeros(seconds), np.zeros(seconds, dtype=np.int64)
    changes: dict[int, int] = {}
    paused_until, asks_from = 0, 0
    for now in range(seconds):
        if gone := (killed or {}).get(now, 0):
            consumers -= gone
            silent |= owners >= consumers
            changes[now + group.session] = consumers
        if left and now in left:
            changes[now] = consumers - left[now]
        if now in changes:
            consumers = changes[now]
            owners, silent = _owners(partitions, consumers), np.zeros(partitions, dtype=bool)
            paused_until = now + group.pause
        backlog += arrivals[now] / partitions
        if now >= paused_until:
            asked = np.where(silent, 0.0, backlog)
            loads = np.bincount(owners, weights=asked)
            served[now] = asked * np.minimum(1.0, group.rate / np.maximum(loads, 1e-9))[owners]
            backlog -= served[now]
        lags[now], numbers[now] = backlog.sum(), consumers
        if scaler and now >= asks_from and now % scaler.asked == 0:
            wanted = scaler.wanted(lags[now], consumers, partitions)
            if wanted > consumers:
                changes[now + scaler.start], asks_from = wanted, now + max(scaler.period, scaler.start)
    return Course(lags, _waits(arrivals / partitions, served), numbers)


def _owners(partitions: int, consumers: int) -> NDArray[np.int64]:
    return np.arange(partitions) * consumers // partitions


def _waits(arrivals: NDArray[np.float64], served: NDArray[np.float64]) -> NDArray[np.float64]:
    """Until as much was served as had arrived by then, in the partition where that takes longest."""
    come, last = np.cumsum(arrivals), len(arrivals) - 1
    different = np.unique(np.cumsum(served, axis=0), axis=1)
    ends = [np.minimum(np.searchsorted(done, come - 1e-6), last) for done in different.T]
    waits: NDArray[np.float64] = np.max(ends, axis=0) - np.arange(last + 1.0)
    return waits
