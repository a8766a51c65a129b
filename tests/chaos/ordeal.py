"""One run under fire: a load goes through a group of consumers while faults are injected; then all is counted."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from config import Settings
from tests.chaos import report
from tests.chaos.group import Group
from tests.chaos.ledger import Tally, tally
from tests.chaos.outcomes import OutcomeReader, read_outcomes
from tests.chaos.uploads import Sender, mixed_load, standing
from tests.support.kafka_broker import ApacheKafka
from tests.support.running_service import make_topics, service_settings

PAUSE_SECONDS = (1.0, 6.0)
"""Between two faults, as chance has it."""

FROZEN_SECONDS = 20.0
FAULTS = {
    "killed": "consumer killed (SIGKILL)",
    "left": "consumer leaves (SIGTERM) and joins again",
    "stopped": "Kafka stopped and started",
    "crashed": "Kafka killed (SIGKILL) and started",
    "frozen": f"Kafka frozen (SIGSTOP) for {FROZEN_SECONDS:.0f} s",
}
LOADED_SECONDS = {"killed": 0.7, "left": 6.0, "stopped": 12.0, "crashed": 12.0, "frozen": FROZEN_SECONDS}
"""What inflicting a fault takes about; so long the load of its share goes on."""

LAST_SECONDS = 150.0
"""How long after the last fault everything must have ended."""


@dataclass(frozen=True)
class Plan:
    """How much load, and how often which fault (a key of FAULTS) in a random order."""

    uploads: int
    faults: Mapping[str, int]
    members: int = 3
    seed: int = 2026


def chaos_settings(broker: object, home: object, models: object, **tables: dict[str, object]) -> Settings:
    """Six partitions, a group that gives a silent member up after 3 s, and no reading of text, which is slow."""
    tables["kafka"] = {"session_timeout_ms": 3_000} | tables.get("kafka", {})
    tables["topics"] = {"partitions": 6} | tables.get("topics", {})
    return service_settings(broker, home, models, watermark={"read": "never"}, **tables)


def endure(
    plan: Plan,
    settings: Settings,
    broker: ApacheKafka,
    stolen: bytes,
    delivery: str,
    before_leaving: Callable[[Group], None] = lambda group: None,
) -> Tally:
    """Run `plan`, put it into the report, and give the tally of all that a new reader finds at the end.

    `stolen` is the picture of the suspects; `before_leaving` looks at the group when all uploads have ended.
    """
    chance = random.Random(plan.seed)
    schedule = [fault for fault, times in plan.faults.items() for _ in range(times)]
    chance.shuffle(schedule)
    make_topics(settings)
    load = mixed_load(settings.kafka.group_id, plan.uploads, stolen)
    moments = []
    with OutcomeReader(settings) as reader, Group(settings, plan.members, chance) as group:
        sender = Sender(settings, load)
        for fault in schedule:
            pause = chance.uniform(*PAUSE_SECONDS)
            sender.send(plan.uploads // (len(schedule) + 1), pause + LOADED_SECONDS[fault])
            group.tend(pause)
            moments.append((fault, inflict(fault, group, broker)))
        sender.finish()
        while reader.ended() < plan.uploads and time.time() - moments[-1][1] < LAST_SECONDS:
            group.tend(0.5)
        group.all_ready()
        before_leaving(group)
        group.leave_all()
        recoveries = [(fault, reader.recovery(moment)) for fault, moment in moments]
    assert standing(settings) == dict.fromkeys(load.sent, 1), "the load itself was not sent once each"
    found = tally(load.sent, read_outcomes(settings))
    print(f"\n{delivery}: {found}; consumers that ended unasked, by exit code: {dict(group.unasked)}", end=" ")
    for fault, times in plan.faults.items():
        taken = [seconds for name, seconds in recoveries if name == fault and seconds is not None]
        lost, doubled = len(found.lost), len(found.doubled)
        report.add(report.Row(FAULTS[fault], delivery, times, found.events, lost, doubled, taken))
    assert all(seconds is not None for _, seconds in recoveries), "a partition stood still after a fault"
    return found


def inflict(fault: str, group: Group, broker: ApacheKafka) -> float:
    """Do it; the moment from which recovery counts, in seconds since 1970: when the fault was over."""
    moment = time.time()
    if fault == "killed":
        group.kill()
        return moment
    if fault == "left":
        group.leave()
        return moment
    if fault == "frozen":
        broker.pause()
        time.sleep(FROZEN_SECONDS)
        broker.resume()
    else:
        broker.stop() if fault == "stopped" else broker.kill()
        broker.start()
    return time.time()
