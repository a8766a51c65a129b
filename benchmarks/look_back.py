"""`python -m benchmarks.look_back`: what a look-back costs the live traffic, and how fast kept faces are compared.

A consumer screens on an embedded broker while a look-back goes on beside it, which is stopped and let go on again in
turn, every few seconds, so that whatever else the machine does meets both alike: at full load (pictures per second),
and at half of it (milliseconds from an upload to its outcome). The figures are in docs/reports.md.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.pictures import fetch_models_and_portraits, make_pictures
from benchmarks.through_kafka import RunningConsumer, broker_settings, enrol_random, running_consumer
from config import Settings
from consumers.look_back.probes import open_probe, probe_message
from consumers.messages import AvatarUploaded, Image, Profile
from consumers.open_detector import open_matcher, open_watched_looking
from detector.verdict import Face, KeptProbes, Upload
from likeness.console import err, out
from records.database import open_database
from records.keys.keyring import DataKey

ROUNDS = 20
FULL, HALF = 120, 40
"""Pictures of each measurement."""
PAST = 2_000
"""Uploads that are looked back at: more than can be, meanwhile."""
PROBES = 5_000


def main() -> None:
    models, portraits = fetch_models_and_portraits()
    pictures = make_pictures(portraits, FULL)
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
        home = Path(folder)
        (home / "models").symlink_to(models)
        with broker_settings(home) as settings:
            enrol_random(settings, "opencv-zoo@1", 128, 200, 5)
            with running_consumer(settings) as consumer:
                _print(_measure(settings, consumer, pictures))
            out.print(_kept_faces(settings))


def _measure(settings: Settings, consumer: RunningConsumer, pictures: Sequence[bytes]) -> dict[str, list[float]]:
    full = PAST / consumer.screen_all([pictures[number % FULL] for number in range(PAST)], seconds=1_800)
    err.print(f"Full load: {full:.0f} pictures per second")
    figures: dict[str, list[float]] = {}
    with _look_back(settings) as process:
        for number in range(ROUNDS):
            for beside in (False, True) if number % 2 else (True, False):
                os.killpg(process.pid, signal.SIGCONT if beside else signal.SIGSTOP)
                name, before = "with" if beside else "without", _seen(settings)
                rate = FULL / consumer.screen_all(pictures)
                latencies = consumer.latencies(pictures[:HALF], full / 2)
                err.print(f"Round {number + 1} of {ROUNDS}, {name}: {_seen(settings) - before} looked back at")
                figures.setdefault(f"full load, {name}", []).append(rate)
                figures.setdefault(f"median ms at half load, {name}", []).append(statistics.median(latencies))
        os.killpg(process.pid, signal.SIGCONT)
    return figures


@contextmanager
def _look_back(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A look-back for one person that has begun, in a process group of its own, and is ended afterwards."""
    environment = os.environ | {
        "LIKENESS_HOME": str(settings.home),
        "LIKENESS_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
    }
    somebody = str(_one(settings, "SELECT min(id) FROM identities"))
    command = [sys.executable, "-m", "likeness", "lookback", "--since", "1d", "--identity", somebody]
    with (settings.home / "work" / "lookback.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        while _seen(settings) == 0:
            if process.poll() is not None:
                raise RuntimeError("the look-back has ended; its log is lookback.log in the benchmark's folder")
            time.sleep(0.1)
        yield process
        if process.poll() is not None:
            raise RuntimeError("the look-back ended before the measurement did")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _seen(settings: Settings) -> int:
    return int(str(_one(settings, "SELECT coalesce(sum(seen), 0) FROM look_backs")))


def _one(settings: Settings, query: str) -> object:
    with closing(open_database(settings.database_url)) as database, database.engine.connect() as connection:
        return connection.exec_driver_sql(query).scalar()


def _kept_faces(settings: Settings) -> str:
    """What it costs of a core to keep the face of an upload, and to compare it later."""
    random = np.random.default_rng(5)
    vectors = random.normal(size=(PROBES, 1, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    hashes = random.integers(0, 2**63, size=(8, 4), dtype=np.uint64)
    face = Face((203.2, 168.4, 314.4, 413.7), (), 0.9, 0.93)
    upload = AvatarUploaded(
        event_id="avatar-7f3a",
        account_id="u-20931",
        image=Image(url="https://img.example.com/a/7f3a.jpg"),
        uploaded_at=datetime.now(UTC),
        profile=Profile(handle="@lena.b", display_name="Lena"),
    )
    key, now = DataKey.new("probes_2026-02-03"), datetime.now(UTC)
    started = time.process_time()
    sealed = [
        probe_message(
            "avatar-probes",
            upload,
            upload.image,
            KeptProbes((face,), vector, hashes, 720, 900, "opencv-zoo@1"),
            key,
            now,
        )
        for vector in vectors
    ]
    keeping = (time.process_time() - started) / PROBES
    looking = open_watched_looking(settings, print)
    matcher = open_matcher(settings, looking.facts, threads=1)
    looking.close()
    started = time.process_time()
    for start in range(0, PROBES, 500):
        probed = [open_probe(one.value, {now.date(): key}) for one in sealed[start : start + 500]]
        matcher.verdicts([Upload(b"", one.upload.account_id) for one in probed], [one.kept for one in probed])
    comparing = (time.process_time() - started) / PROBES
    matcher.close()
    size = len(sealed[0].value or b"")
    return (
        f"Kept faces: {1e6 * keeping:.0f} us to seal one ({size} bytes), {1e6 * comparing:.0f} us to open and compare"
    )


def _print(figures: dict[str, list[float]]) -> None:
    table = Table("figure", "without", "with", "with / without, of the rounds' medians", "of each round")
    for name in dict.fromkeys(one.rpartition(",")[0] for one in figures):
        without, beside = figures[f"{name}, without"], figures[f"{name}, with"]
        ratios = [b / a for a, b in zip(without, beside, strict=True)]
        medians = statistics.median(without), statistics.median(beside)
        told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        table.add_row(name, f"{medians[0]:.1f}", f"{medians[1]:.1f}", f"{statistics.median(ratios):.2f}", told)
    out.print(table)


if __name__ == "__main__":
    main()
