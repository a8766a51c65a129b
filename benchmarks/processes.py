"""`python -m benchmarks.processes`: 1, 2 and 4 screening processes of one group on Apache Kafka, and then 1 again.

Each process has one worker, so that their number decides until the cores are used up. Nothing but the number changes:
who comes takes partitions over and a name for its transactions that is free. Milliseconds are taken by load, too, with
uploads that come by chance; benchmarks/scaling.py computes both anew and compares. Writes results/processes.json.
"""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.pictures import fetch_models_and_portraits, make_pictures
from benchmarks.results import write_results
from benchmarks.screening_group import Load, ScreeningGroup, broker_process
from config import load_settings
from likeness.console import err, out
from tests.support.kafka_broker import ApacheKafka, kafka_version

SIZES = (1, 2, 4, 1)
"""The last as the first, to show how far the machine itself has moved meanwhile."""
PARTITIONS = 12
PICTURES = 160
WARM = 60
ROUNDS = 3
LOADS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Of the rate that the same processes reached; at each, as many uploads as come while all pictures take."""
LEAST = 30
"""Uploads at a load at least."""
TIMED_SIZES = (1, 2)


def main() -> None:
    models, portraits = fetch_models_and_portraits()
    pictures = make_pictures(portraits, PICTURES)
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
        home = Path(folder)
        (home / "work").mkdir()
        (home / "models").symlink_to(models)
        with ApacheKafka(home / "kafka") as kafka:
            environment = {
                "LIKENESS_HOME": str(home),
                "LIKENESS_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
                "LIKENESS_KAFKA__SESSION_TIMEOUT_MS": "6000",
                "LIKENESS_TOPICS__PARTITIONS": str(PARTITIONS),
                "LIKENESS_MODELS__THREADS": "1",
                "LIKENESS_HTTP__HOST": "127.0.0.1",
                "LIKENESS_LOG__LEVEL": "WARNING",
            }
            settings = load_settings(
                home=home,
                kafka={"bootstrap_servers": kafka.bootstrap_servers},
                topics={"partitions": PARTITIONS},
            )
            with ScreeningGroup(settings, broker_process(home / "kafka"), environment) as group:
                figures = _measure(group, pictures)
    _print(figures)
    write_results("processes", {"kafka": kafka_version(), **figures})


def _measure(group: ScreeningGroup, pictures: Sequence[bytes]) -> dict[str, Any]:
    runs, timed, alone = [], [], list[float]()
    for place, size in enumerate(SIZES):
        err.print(f"{size} processes ...")
        group.shrink(size)
        group.grow(size)
        group.screen_all(pictures[: WARM if place else PICTURES])  # at first the broker is cold, too
        loads = [group.screen_all(pictures) for _ in range(ROUNDS)]
        own = {"memory_mb": group.memory_mb, "deliver_ms": group.deliver_ms}
        runs.append({"processes": size, **own, **_figures(loads)})
        if place < len(TIMED_SIZES) and size in TIMED_SIZES:
            rate = statistics.median(load.rate for load in loads)
            for share in LOADS:
                uploads = max(LEAST, round(share * PICTURES))
                taken = group.latencies(pictures[:uploads], share * rate)
                alone = alone or taken
                middle, late = np.percentile(taken, (50, 95))
                level = {"processes": size, "load": share, "rate": share * rate, "uploads": uploads}
                timed.append({**level, "p50": middle, "p95": late})
    names = len(group.slots())
    sizes = {"upload": loads[-1].sent, "screening": loads[-1].received}
    figures = {"partitions": PARTITIONS, "pictures": PICTURES, "names": names, "bytes": sizes, "runs": runs}
    return figures | {"latency_ms": timed, "alone_ms": alone}


def _figures(loads: Sequence[Load]) -> dict[str, Any]:
    """Medians over the rounds: pictures a second, milliseconds of a core per picture, share of all cores."""

    def each(who: str) -> float:
        return float(statistics.median(1e3 * getattr(load, who) / load.pictures for load in loads))

    rates = [load.rate for load in loads]
    return {
        "rate": statistics.median(rates),
        "least": min(rates),
        "most": max(rates),
        "core_ms": {who: each(who) for who in ("workers", "mains", "broker", "bench")},
        "processor": statistics.median(load.processor for load in loads),
        "shares": list(loads[-1].shares),
    }


def _print(figures: dict[str, Any]) -> None:
    rates = Table("processes", "pictures/s", "against one", "cores used", "core ms a picture", "screened by each")
    first = figures["runs"][0]["rate"]
    for run in figures["runs"]:
        spent = ", ".join(f"{who} {value:.1f}" for who, value in run["core_ms"].items())
        rates.add_row(
            str(run["processes"]),
            f"{run['rate']:.1f} ({run['least']:.1f} to {run['most']:.1f})",
            f"{run['rate'] / first:.2f}x",
            f"{run['processor']:.0%}",
            spent,
            ", ".join(map(str, run["shares"])),
        )
    out.print(rates)
    times = Table("processes", "load", "pictures/s", "p50 ms", "p95 ms")
    for one in figures["latency_ms"]:
        values = f"{one['rate']:.1f}", f"{one['p50']:.0f}", f"{one['p95']:.0f}"
        times.add_row(str(one["processes"]), f"{one['load']:.0%}", *values)
    out.print(times)
    out.print(f"Names for transactions that were taken: {figures['names']}")


if __name__ == "__main__":
    main()
