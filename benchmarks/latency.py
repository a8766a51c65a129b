"""`python -m benchmarks.latency`: how long an upload waits for its outcome, by how busy the consumer is.

The sender is open-loop: it sends by the clock, whatever has been answered, as users do.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pictures import fetch_models_and_portraits, make_pictures
from benchmarks.results import write_results
from benchmarks.through_kafka import RunningConsumer, broker_settings, running_consumer
from likeness.console import err, out

LOADS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of what the consumer can do at most."""
SECONDS = 12.0
"""At each load."""
PICTURES = 300
TRIES = 3


def main() -> None:
    models, portraits = fetch_models_and_portraits()
    pictures = make_pictures(portraits, PICTURES)
    with tempfile.TemporaryDirectory(prefix="likeness-latency-") as folder:
        (Path(folder) / "models").symlink_to(models)
        with broker_settings(Path(folder)) as settings, running_consumer(settings) as consumer:
            figures = latency_by_load(consumer, pictures)
    write_results("latency", figures)
    out.print(figures)


def latency_by_load(consumer: RunningConsumer, pictures: Sequence[bytes], seconds: float = SECONDS) -> dict[str, Any]:
    """capacity_per_second; levels: of each load the uploads a second and how many, p50_ms, p90_ms and p99_ms from sent
    to outcome read."""
    consumer.screen_all(pictures)
    capacity = len(pictures) / min(consumer.screen_all(pictures) for _ in range(TRIES))
    err.print(f"At most {capacity:.0f} uploads a second.")
    levels = []
    for load in LOADS:
        rate = load * capacity
        uploads = [pictures[number % len(pictures)] for number in range(round(rate * seconds))]
        waits = np.percentile(consumer.latencies(uploads, rate), (50, 90, 99))
        p50, p90, p99 = (round(float(wait), 1) for wait in waits)
        err.print(f"{load:.0%}: p50 {p50} ms, p99 {p99} ms")
        levels.append(
            {"load": load, "per_second": round(rate, 1), "uploads": len(uploads)}
            | {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99}
        )
    return {"capacity_per_second": round(capacity, 1), "levels": levels}


if __name__ == "__main__":
    main()
