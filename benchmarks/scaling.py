"""`python -m benchmarks.scaling`: what one machine measured, computed anew and then for 1e9 avatars a day.

Reads results/processes.json (and start.json, of a large gallery), checks the simulation against it, and writes the
tables of docs/scaling.md and results/scaling.json. Takes seconds and measures nothing.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.group_lag import Autoscaler, Course, Group, course
from benchmarks.queueing import Costs, simulate
from benchmarks.results import read_results, write_results
from benchmarks.screening_group import arrival_times
from likeness.console import err
from tests.chaos.report import write

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
SPREAD = 0.3
"""Of what pictures cost, standard deviation over mean: an assumption."""
UPLOADS, REPEATS = 1_000, 10
DAY, PEAK = 1e9, 3.0
"""Avatars a day, and how much more come in the busiest second than on average: assumptions."""
BUSY = 0.7
"""Share of the cores that is used at the peak."""
PARTITIONS = (12, 24, 48, 96, 120, 240, 360, 480, 720, 960, 1_440, 1_920, 2_520, 5_040)
"""Numbers with many divisors."""
MOST_CORES = 8
"""Of a consumer, if its own thread keeps up with so many."""
EACH = 4
"""Partitions of a consumer: when one of many is gone, some others have 5, and 5/4 of 70 % of the cores are enough."""
PICTURE_BYTES, URL_BYTES = 100_000, 500
"""Of an avatar, and of an upload that names it: assumptions."""
PROBE_BYTES = 2_200
"""Of a kept face, as measured in docs/reports.md."""
TRANSACTIONS = 20
"""A second, of one consumer: one each `screening.batch_wait_ms`."""
PRICE = 0.04
"""Of a core-hour, in whatever money: an assumption."""
SECOND = 1_000.0
GROUPS = ("processes", "pictures/s", "of one", "cores in use", "workers", "consumer", "broker", "sender", "memory")


@dataclass(frozen=True, slots=True)
class Size:
    """What so many avatars a day need: `mean` and `peak` a second, `rate` of one consumer at most."""

    day: float
    mean: float
    peak: float
    cores: float
    each: int
    """Cores of a consumer."""
    consumers: int
    partitions: int
    rate: float


def main() -> None:
    measured = read_results("processes")
    if measured is None:
        raise SystemExit("First: python -m benchmarks.processes")
    checked = check(measured)
    sizes = [size(measured, day) for day in (1e6, 1e8, DAY)]
    columns = [cells(measured, one) for one in sizes]
    needs = [(name, *(column[name] for column in columns)) for name in columns[0]]
    courses = scenarios(sizes[-1])
    tables = {
        "processes": _table(GROUPS, groups(measured)),
        "simulated": _table(("", "measured", "simulated", "error"), checked),
        "arithmetic": _table(("avatars a day", "1e6", "1e8", "1e9"), needs),
        "cost": _table(("a million avatars", ""), cost(measured)),
        "courses": _table(("at the peak of 1e9 a day", "consumers", "longest wait", "over 10 s for"), courses),
    }
    for mark, lines in tables.items():
        write(PAGE, lines, mark)
    write_results("scaling", {"simulated": checked, "sizes": [asdict(one) for one in sizes], "courses": courses})
    err.print(f"Wrote {PAGE}")


def groups(measured: dict[str, Any]) -> list[tuple[str, ...]]:
    """What 1, 2 and 4 processes reached, and what of the cores each picture took."""
    rows = []
    for run in measured["runs"]:
        spent = [f"{run['core_ms'][who]:.1f} ms" for who in ("workers", "mains", "broker", "bench")]
        rate = f"{run['rate']:.1f} ({run['least']:.1f} to {run['most']:.1f})"
        ratio = f"{run['rate'] / measured['runs'][-1]['rate']:.2f}"
        rows.append(
            (str(run["processes"]), rate, ratio, f"{run['processor']:.0%}", *spent, f"{run['memory_mb']:.0f} MB")
        )
    return rows


def cost(measured: dict[str, Any]) -> list[tuple[str, str]]:
    """Of a million avatars, by URL."""
    core_hours = core_seconds(measured) * 1e6 / 3600 / BUSY
    gigabytes = (PICTURE_BYTES + URL_BYTES + measured["bytes"]["screening"]) * 1e6 / 1e9
    return [
        ("core-seconds of consumers", f"{core_seconds(measured) * 1e6:,.0f}"),
        (f"core-hours paid for, {BUSY:.0%} of them used", f"{core_hours:.1f}"),
        ("GB moved, pictures by URL", f"{gigabytes:,.0f}"),
        (f"at an assumed {PRICE:.2f} a core-hour, moving within one region free", f"{core_hours * PRICE:.2f}"),
    ]


def costs_of(measured: dict[str, Any]) -> Costs:
    """As one process alone had them at the end, all warm; for how long its worker is held its rate tells."""
    one = measured["runs"][-1]
    spent = one["core_ms"]
    held = max(0.0, SECOND / one["rate"] - spent["workers"])
    broker = spent["broker"] + spent["bench"]
    return Costs(broker, spent["workers"], held, spent["mains"], one["deliver_ms"], SPREAD)


def check(measured: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rates of 2 and 4 processes, and milliseconds by load, from what 1 process cost alone."""
    costs, cores = costs_of(measured), measured["machine"]["cores"]
    rows = []
    for run in measured["runs"][:3]:
        ended = simulate([0.0] * UPLOADS, run["processes"], cores, costs, random.Random(3))
        rows.append(_compared(f"{run['processes']} processes, pictures/s", run["rate"], UPLOADS / max(ended) * SECOND))
    own = costs.broker + costs.worker + costs.held + max(costs.consumer, costs.deliver)
    around = [max(0.0, one - own) for one in measured["alone_ms"]]
    for one in measured["latency_ms"]:
        taken = _latencies(one, cores, costs, around)
        name = f"{one['processes']} processes at {one['load']:.0%}, ms"
        rows.append(_compared(f"{name}, p50", one["p50"], float(np.percentile(taken, 50))))
        rows.append(_compared(f"{name}, p95", one["p95"], float(np.percentile(taken, 95))))
    return rows


def size(measured: dict[str, Any], day: float) -> Size:
    """Cores for the peak, as many for each consumer as it can feed, and EACH partitions for each at least, the same
    number for all."""
    cost, mean = core_seconds(measured), day / 86_400
    own = measured["runs"][1]["core_ms"]["mains"] / SECOND
    each = max(1, min(MOST_CORES, int(cost / own)))
    cores = mean * PEAK * cost / BUSY
    least = math.ceil(cores / each)
    partitions = next(number for number in PARTITIONS if number >= EACH * least)
    consumers = next(number for number in range(least, partitions + 1) if partitions % number == 0)
    return Size(day, mean, mean * PEAK, cores, each, consumers, partitions, each / cost)


def core_seconds(measured: dict[str, Any]) -> float:
    """Of a picture, in a consumer with all its processes, while all cores are in use."""
    spent = measured["runs"][1]["core_ms"]
    return float(spent["workers"] + spent["mains"]) / SECOND


def cells(measured: dict[str, Any], one: Size) -> dict[str, str]:
    """The lines of a size's column, by name."""
    screening, inline = measured["bytes"]["screening"], PICTURE_BYTES * 4 / 3
    named = {
        "a second, mean and peak": f"{one.mean:,.0f}, {one.peak:,.0f}",
        f"cores, {BUSY:.0%} of them busy at the peak": f"{one.cores:,.0f}",
        f"consumers of {one.each} cores": f"{one.consumers:,}",
        "pictures a second of one at most": f"{one.rate:,.0f}",
        "partitions of `avatar-uploads`": f"{one.partitions:,}",
        "uploads with URLs into Kafka, peak": f"{_bytes(one.peak * URL_BYTES)}/s",
        "uploads with pictures into Kafka, peak": f"{_bytes(one.peak * inline)}/s",
        "pictures fetched by URL, peak": f"{_bytes(one.peak * PICTURE_BYTES)}/s",
        "screenings out, peak": f"{_bytes(one.peak * screening)}/s",
        "transactions a second at most": f"{one.consumers * TRANSACTIONS:,}",
        "uploads with URLs, 7 days, 3 copies": _bytes(one.day * URL_BYTES * 7 * 3),
        "uploads with pictures, 7 days, 3 copies": _bytes(one.day * inline * 7 * 3),
        "screenings, 30 days, 3 copies": _bytes(one.day * screening * 30 * 3),
        "`avatar-probes`, each day, 3 copies": _bytes(one.day * PROBE_BYTES * 3),
        "false alarms a day at a budget of 1 per 1,000": f"{one.day / 1e3:,.0f}",
        "false alarms a day at a budget of 0.01": f"{one.day / 1e5:,.0f}",
        "core-hours a day": f"{one.day * core_seconds(measured) / 3600:,.0f}",
    }
    if (start := read_results("start")) is not None:
        each = 1e6 * (start["mb"] - start["empty_mb"]) / start["references"]
        name = f"memory for 1e6 references, one consumer and all ({each / 1e3:.2f} KB a reference)"
        named[name] = f"{_bytes(1e6 * each)}, {_bytes(1e6 * each * one.consumers)}"
    return named


def scenarios(one: Size) -> list[tuple[str, str, str, str]]:
    """What bursts and lost consumers do at the peak."""
    peak, rate, consumers, partitions = one.peak, one.rate, one.consumers, one.partitions
    steady = np.full(3_600, peak)
    burst = steady.copy()
    burst[300:360] *= 2
    long_burst = steady.copy()
    long_burst[300:1_200] *= 2
    group, quick = Group(partitions, rate), Group(partitions, rate, session=10)
    lost = {300: max(1, consumers // 20)}
    growing = Autoscaler(threshold=10 * rate, most=partitions)
    rolling = dict.fromkeys(range(300, 1_500, 30), 0)
    rows = {
        "steady": course(steady, group, consumers),
        "twice as many for a minute": course(burst, group, consumers),
        "twice as many for a quarter of an hour": course(long_burst, group, consumers),
        "the same, with KEDA adding consumers": course(long_burst, group, consumers, scaler=growing),
        f"{lost[300]} consumers killed, session 45 s": course(steady, group, consumers, killed=lost),
        f"{lost[300]} consumers killed, session 10 s": course(steady, quick, consumers, killed=lost),
        f"{lost[300]} consumers leave in order": course(steady, group, consumers, left=lost),
        "one replaced every 30 s (a rolling upgrade)": course(steady, group, consumers, left=rolling),
    }
    return [_told(name, one) for name, one in rows.items()]


def _told(name: str, one: Course) -> tuple[str, str, str, str]:
    numbers = f"{one.consumers.min()} to {one.consumers.max()}" if np.ptp(one.consumers) else f"{one.consumers[0]}"
    growing = " and growing" if one.lag[-1] > 1.1 * one.lag[-300] else ""
    return name, numbers, f"{one.wait.max():,.0f} s{growing}", f"{one.seconds_above(10):,} s"


def _latencies(one: dict[str, Any], cores: int, costs: Costs, around: Sequence[float]) -> list[float]:
    """The same arrivals as were measured, REPEATS times with other pictures."""
    arrivals = [SECOND * at for at in arrival_times(one["uploads"], one["rate"])]
    taken = list[float]()
    for number in range(REPEATS):
        chance = random.Random(number)
        ended = simulate(arrivals, one["processes"], cores, costs, chance)
        taken += [end - come + chance.choice(around) for come, end in zip(arrivals, ended, strict=True)]
    return taken


def _compared(name: str, measured: float, simulated: float) -> tuple[str, str, str, str]:
    return name, f"{measured:.1f}", f"{simulated:.1f}", f"{simulated / measured - 1:+.0%}"


def _bytes(number: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if number < 1_000:
            return f"{number:,.3g} {unit}"
        number /= 1_000
    return f"{number:,.3g} PB"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = "|".join(["---", *["---:"] * (len(head) - 1)])
    return [f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]


if __name__ == "__main__":
    main()
