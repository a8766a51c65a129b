"""`python -m benchmarks.pipeline`: the share of the models' speed that is left through Kafka, and who takes the rest.

The ceiling is the models alone, on all cores, with the same pictures decoded and faces cut out beforehand. Broker,
sender and reader run on the same cores: what each process takes is told, and the share of the ceiling is told twice, by
the clock on the wall, and by what the consumer's own processes used of the processor. Pictures come as avatars of some
16 KB inline, as photos of some 100 KB inline, and as the same photos by URL from a web server on this machine.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.ceiling import models_only
from benchmarks.pictures import fetch_models_and_portraits, make_photos, make_pictures
from benchmarks.results import write_results
from benchmarks.stages import fill, stages
from benchmarks.through_kafka import RunningConsumer, broker_settings, enrol_random, running_consumer
from config import load_settings
from consumers.open_detector import open_detector
from demo.broker import free_port
from detector import Detector
from likeness.console import err, out

REFERENCES = 10_000
PICTURES = {"avatars": 200, "photos": 60}
"""Of each measurement."""
IN_FLIGHT = 64
"""Less than is sent: a consumer with a backlog holds back, and polls seldom."""
ROUNDS = 3


def main() -> None:
    models, portraits = fetch_models_and_portraits()
    made = {
        "avatars": make_pictures(portraits, PICTURES["avatars"]),
        "photos": make_photos(portraits, PICTURES["photos"]),
    }
    with tempfile.TemporaryDirectory(prefix="likeness-pipeline-") as folder:
        home = Path(folder)
        (home / "models").symlink_to(models)
        figures = measure(home, made)
    write_results("pipeline", figures)
    _print(figures)


def measure(home: Path, made: dict[str, list[bytes]], rounds: int = ROUNDS) -> dict[str, Any]:
    """bytes: of a picture, by kind; stages_ms: on one core; ways: of each way through Kafka the pictures a second, the
    share of the ceiling by the clock and by the consumer's own seconds of a core, and core_ms of each process a
    picture."""
    with closing(open_detector(load_settings(home=home))) as detector, _web_server(home) as host:
        fill(detector, REFERENCES)
        figures: dict[str, Any] = {
            "references": REFERENCES,
            "bytes": {kind: round(statistics.mean(map(len, pictures))) for kind, pictures in made.items()},
            "stages_ms": {kind: _rounded(stages(detector, pictures)) for kind, pictures in made.items()},
        }
        ways: dict[str, tuple[str, Sequence[bytes | str]]] = {
            "avatars inline": ("avatars", made["avatars"]),
            "photos inline": ("photos", made["photos"]),
            "photos by URL": ("photos", _served(home, host, made["photos"])),
        }
        fetch = {"allowed_hosts": [host], "private_hosts": [host]}
        with broker_settings(home, fetch=fetch, screening={"in_flight": IN_FLIGHT}) as settings:
            enrol_random(settings, "opencv-zoo@1", 128, REFERENCES // 5, 5)
            with running_consumer(settings) as consumer:
                figures["ways"] = {
                    name: _way(consumer, detector, uploads, made[kind], rounds)
                    for name, (kind, uploads) in ways.items()
                }
    return figures


def _way(
    consumer: RunningConsumer,
    detector: Detector,
    uploads: Sequence[bytes | str],
    pictures: Sequence[bytes],
    rounds: int,
) -> dict[str, Any]:
    """Ceiling and Kafka in turn."""
    ceiling, count = models_only(detector, pictures, os.cpu_count() or 1), len(pictures)
    ceiling()
    consumer.screen_all(uploads)
    measured: list[dict[str, float]] = []
    for _ in range(rounds):
        started, used = time.perf_counter(), time.process_time()
        ceiling()
        alone, model_ms = count / (time.perf_counter() - started), 1e3 * (time.process_time() - used) / count
        before = consumer.processor_seconds
        rate = count / consumer.screen_all(uploads)
        used_ms = {name: 1e3 * (now - before[name]) / count for name, now in consumer.processor_seconds.items()}
        own = used_ms["consumer"] + used_ms["workers"]
        measured.append(
            {"ceiling_per_second": alone, "per_second": rate, "share_of_ceiling": rate / alone}
            | {"share_of_own_core_seconds": model_ms / own, "core_ms models alone": model_ms}
            | {f"core_ms {name}": spent for name, spent in used_ms.items()}
        )
        err.print(f"{rate:.0f} pictures a second, of the models' {alone:.0f}")
    return _rounded({name: statistics.median(one[name] for one in measured) for name in measured[0]})


def _served(home: Path, host: str, pictures: Sequence[bytes]) -> list[str]:
    for number, picture in enumerate(pictures):
        (home / "served" / f"{number}.jpg").write_bytes(picture)
    return [f"http://{host}/{number}.jpg" for number in range(len(pictures))]


@contextmanager
def _web_server(home: Path) -> Iterator[str]:
    """Host and port of a web server that serves the folder `served`."""
    (home / "served").mkdir()
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", str(home / "served")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items()}


def _print(figures: dict[str, Any]) -> None:
    ways: dict[str, dict[str, float]] = figures["ways"]
    table = Table("figure", *ways)
    for name in next(iter(ways.values())):
        table.add_row(name.replace("_", " "), *(f"{way[name]:.2f}" for way in ways.values()))
    out.print(table)
    for kind, of_stages in figures["stages_ms"].items():
        told = ", ".join(f"{stage} {spent:.2f}" for stage, spent in of_stages.items())
        out.print(f"{kind} of {figures['bytes'][kind]} bytes, ms on one core: {told}")


if __name__ == "__main__":
    main()
