"""Uploads as they queue for processes and for cores: a small simulation.

An upload passes the broker, then waits for its consumer's worker; then the consumer delivers it, with all that ended
meanwhile, by the rule of consumers/screening.py. All that compute at a moment share the cores equally. What else passes
before an outcome is read (polls, the way back) takes no core and is not in here. Times are milliseconds.
"""

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

GATHER_MS, GATHER = 50.0, 32
"""`screening.batch_wait_ms` and `screening.batch_size`."""
_NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one upload, milliseconds of a core: at the broker, its worker and its consumer. Beyond that a worker is `held`
    for each, and a consumer for each delivery, which takes `deliver` at least. `spread`: of the worker's, standard
    deviation over mean."""

    broker: float
    worker: float
    held: float
    consumer: float
    deliver: float
    spread: float


@dataclass(slots=True)
class _Station:
    """Does one thing at a time, which takes `core` milliseconds of a core and then `clock` of the clock."""

    waiting: deque[int] = field(default_factory=deque)
    has: list[int] = field(default_factory=list)
    core: float = 0.0
    clock: float = 0.0

    def begin(self, uploads: list[int], core: float, clock: float) -> None:
        self.has, self.core, self.clock = uploads, core, clock

    def next(self, speed: float) -> float:
        """Until it is done with what it has, or with the core's part of it."""
        return (self.core / speed if self.core > 0 else self.clock) if self.has else _NEVER

    def go_on(self, step: float, speed: float) -> bool:
        """Whether it is done after `step`."""
        if self.core > 0:
            self.core = left if (left := self.core - step * speed) > 1e-9 else 0.0
        else:
            self.clock -= step
        return self.core <= 0 and self.clock <= 1e-9


@dataclass(slots=True)
class _Consumer:
    worker: _Station = field(default_factory=_Station)
    delivery: _Station = field(default_factory=_Station)
    under_way: int = 0
    """Uploads that have come and are not on their way out."""
    oldest: float = 0.0
    """When the first of those that wait for delivery had ended."""

    def due(self, now: float) -> bool:
        waiting = len(self.delivery.waiting)
        alone = waiting == self.under_way
        return bool(waiting) and (alone or waiting >= GATHER or now >= self.oldest + GATHER_MS - 1e-9)


def simulate(arrivals: Sequence[float], consumers: int, cores: int, costs: Costs, chance: random.Random) -> list[float]:
    """When each upload that arrives at `arrivals` (ascending) is delivered; each goes to a consumer by chance, or in
    turn if all come at once."""
    owners = [chance.randrange(consumers) if arrivals[-1] else number % consumers for number in range(len(arrivals))]
    work = [costs.worker * max(0.1, chance.gauss(1, costs.spread)) for _ in arrivals]
    broker, members = _Station(), [_Consumer() for _ in range(consumers)]
    stations = [broker, *(one.worker for one in members), *(one.delivery for one in members)]
    ended, now, come, left = [0.0] * len(arrivals), 0.0, 0, len(arrivals)
    while left:
        if broker.waiting and not broker.has:
            broker.begin([broker.waiting.popleft()], costs.broker, 0.0)
        for one in members:
            if one.worker.waiting and not one.worker.has:
                upload = one.worker.waiting.popleft()
                one.worker.begin([upload], work[upload], costs.held)
            if not one.delivery.has and one.due(now):
                batch = list(one.delivery.waiting)
                one.delivery.waiting.clear()
                one.under_way -= len(batch)
                core = costs.consumer * len(batch)
                one.delivery.begin(batch, core, max(0.0, costs.deliver - core))
        speed = min(1.0, cores / max(1, sum(bool(station.has) and station.core > 0 for station in stations)))
        steps = [station.next(speed) for station in stations]
        steps += [one.oldest + GATHER_MS - now for one in members if one.delivery.waiting and not one.delivery.has]
        steps += [arrivals[come] - now] if come < len(arrivals) else []
        step = max(0.0, min(steps))
        now += step
        while come < len(arrivals) and arrivals[come] <= now:
            broker.waiting.append(come)
            come += 1
        done = [station for station in stations if station.has and station.go_on(step, speed)]
        for station in done:
            uploads, station.has = station.has, []
            member = members[owners[uploads[0]]]
            if station is broker:
                member.worker.waiting.extend(uploads)
                member.under_way += 1
            elif station is member.worker:
                member.oldest = member.oldest if member.delivery.waiting else now
                member.delivery.waiting.extend(uploads)
            else:
                left -= len(uploads)
                for upload in uploads:
                    ended[upload] = now
    return ended
