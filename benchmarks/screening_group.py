"""Several `likeness run` in one consumer group, measured from outside: pictures per second, milliseconds, and who used
the processor."""

import base64
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from kafka import TopicPartition

from config import Settings
from consumers.kafka import make_admin, make_consumer, make_producer
from consumers.messages import read_data
from consumers.topics import ensure_topics
from demo.broker import free_port

_SECONDS = 120.0
"""The longest that anything here is waited for."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run took: the rate, and seconds of a core by who used them."""

    pictures: int
    seconds: float
    workers: float
    """Of the processes that look at pictures."""
    mains: float
    """Of the consumers themselves: Kafka, matching, delivery."""
    broker: float
    bench: float
    """Of who sent the uploads and counted the outcomes."""
    shares: tuple[int, ...]
    """Pictures that each process screened."""
    sent: float
    """Bytes of an upload's message."""
    received: float
    """Bytes of an outcome's message."""

    @property
    def rate(self) -> float:
        return self.pictures / self.seconds

    @property
    def processor(self) -> float:
        """The share of all cores that was used."""
        used = self.workers + self.mains + self.broker + self.bench
        return used / self.seconds / (os.cpu_count() or 1)


class ScreeningGroup:
    """Screening processes as a context manager: none at first; `grow` and `shrink` change nothing but their number."""

    def __init__(self, settings: Settings, broker: psutil.Process, environment: dict[str, str]) -> None:
        """`environment`: of each process, beside an HTTP port of its own."""
        self._settings = settings
        self._broker = broker
        self._environment = os.environ | environment
        self._members: list[tuple[subprocess.Popen[bytes], int]] = []

    def __enter__(self) -> Self:
        admin = make_admin(self._settings.kafka)
        ensure_topics(admin, self._settings.topics, self._settings.kafka)
        admin.close()
        topics = self._settings.topics
        self._outcomes = make_consumer(self._settings.kafka, fetch_max_wait_ms=20)
        self._outcomes.assign(
            [TopicPartition(topic, n) for topic in (topics.screenings, topics.dead_letters) for n in range(self._parts)]
        )
        self._producer = make_producer(self._settings.kafka)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shrink(0)
        self._producer.close()
        self._outcomes.close()

    def grow(self, size: int) -> None:
        """Start processes until there are `size`; return once each has its share of the partitions."""
        while len(self._members) < size:
            port = free_port()
            with (self._settings.home / "work" / f"consumer-{len(self._members)}.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "likeness", "run"],
                    env=self._environment | {"LIKENESS_HTTP__PORT": str(port)},
                    stderr=log,
                )
            self._members.append((process, port))
        self._settle()

    def shrink(self, size: int) -> None:
        """Ask processes to leave until there are `size`; return once the others have their partitions."""
        leaving, self._members = self._members[size:], self._members[:size]
        for process, _ in leaving:
            process.terminate()
        for process, _ in leaving:
            process.wait(60)
        if self._members:
            self._settle()

    @property
    def memory_mb(self) -> float:
        """Of one consumer with all its processes, on average; a page that several share counts once (PSS)."""
        families = [[main, *main.children(recursive=True)] for main in self._mains]
        return statistics.mean(sum(float(one.memory_full_info().pss) for one in family) for family in families) / 1e6

    @property
    def deliver_ms(self) -> float:
        """That a delivery took, on average over all since the processes started."""
        name = 'likeness_stage_seconds_{}{{stage="deliver"}}'
        total, count = (
            sum(value for _, port in self._members for value in _samples(port, name.format(what)))
            for what in ("sum", "count")
        )
        return 1e3 * total / count

    def slots(self) -> list[str]:
        """The names for transactions that processes have taken so far."""
        return sorted(path.stem for path in (self._settings.home / "workers").iterdir())

    def screen_all(self, pictures: Sequence[bytes]) -> Load:
        """Send uploads as fast as Kafka takes them, the same number to each partition, and wait for all outcomes."""
        values = [_message(str(number), picture) for number, picture in enumerate(pictures)]
        counted, used = self._screened(), self._processor_seconds()
        started = time.perf_counter()
        for number, value in enumerate(values):
            self._producer.send(self._settings.topics.uploads, value, partition=number % self._parts)
        ended: list[int] = []
        while len(ended) < len(values):
            self._check(started)
            for records in self._outcomes.poll(timeout_ms=50).values():
                ended += [len(record.value) for record in records]
        seconds = time.perf_counter() - started
        workers, mains, broker, bench = (
            after - before for before, after in zip(used, self._processor_seconds(), strict=True)
        )
        shares = tuple(after - before for before, after in zip(counted, self._screened(), strict=True))
        sizes = statistics.mean(map(len, values)), statistics.mean(ended)
        return Load(len(values), seconds, workers, mains, broker, bench, shares, *sizes)

    def latencies(self, pictures: Sequence[bytes], rate: float) -> list[float]:
        """Milliseconds from each upload sent to its outcome read; uploads come by chance, `rate` a second."""
        chance = random.Random(12)
        values = {str(number): _message(str(number), picture) for number, picture in enumerate(pictures)}
        due = dict(zip(values, arrival_times(len(values), rate), strict=True))
        waiting, sent, taken = list(values), dict[str, float](), list[float]()
        started = time.perf_counter()
        while len(taken) < len(values):
            self._check(started)
            while waiting and time.perf_counter() - started >= due[waiting[0]]:
                number = waiting.pop(0)
                sent[number] = started + due[number]
                partition = chance.randrange(self._parts)
                self._producer.send(self._settings.topics.uploads, values[number], partition=partition)
            for records in self._outcomes.poll(timeout_ms=2).values():
                now = time.perf_counter()
                taken += [1e3 * (now - sent[read_data(record.value)["event_id"]]) for record in records]
        return taken

    @property
    def _parts(self) -> int:
        return self._settings.topics.partitions

    @property
    def _mains(self) -> list[psutil.Process]:
        return [psutil.Process(process.pid) for process, _ in self._members]

    def _processor_seconds(self) -> list[float]:
        """So far: of workers, mains, broker, and this process."""
        workers = [child for main in self._mains for child in main.children(recursive=True)]
        return [sum(map(_spent, group)) for group in (workers, self._mains, [self._broker], [psutil.Process()])]

    def _screened(self) -> list[int]:
        """By process, how many uploads it has delivered."""
        return [sum(round(value) for value in _samples(port, "likeness_events_total")) for _, port in self._members]

    def _settle(self) -> None:
        """Wait until all are ready and have the same number of partitions."""
        started, wanted = time.perf_counter(), [self._parts // len(self._members)] * len(self._members)
        while [len(_samples(port, "likeness_consumer_lag{")) for _, port in self._members] != wanted:
            self._check(started)
            time.sleep(0.1)

    def _check(self, started: float) -> None:
        if any(process.poll() is not None for process, _ in self._members):
            raise RuntimeError(f"A consumer has ended; its log is under {self._settings.home / 'work'}.")
        if time.perf_counter() - started > _SECONDS:
            raise TimeoutError(f"It took longer than {_SECONDS:.0f} s.")


def arrival_times(count: int, rate: float) -> list[float]:
    """Seconds at which uploads come by chance, always the same: `rate` a second on average."""
    chance = random.Random(11)
    return list(itertools.accumulate(chance.expovariate(rate) for _ in range(count)))


def broker_process(folder: Path) -> psutil.Process:
    """The process that this one started in `folder`."""
    for child in psutil.Process().children(recursive=True):
        if Path(child.cwd()) == folder.resolve():
            return child
    raise LookupError(f"no process of ours runs in {folder}")


def _message(event_id: str, picture: bytes) -> bytes:
    image = {"base64": base64.b64encode(picture).decode()}
    return json.dumps({"event_id": event_id, "account_id": f"acct-{event_id}", "image": image}).encode()


def _samples(port: int, start: str) -> list[float]:
    """The values of the samples on /metrics whose names begin so; none while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            lines: list[str] = answer.read().decode().splitlines()
    except OSError:
        return []
    return [float(line.rpartition(" ")[2]) for line in lines if line.startswith(start)]


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
