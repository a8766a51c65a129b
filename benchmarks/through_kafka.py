"""A broker and a screening consumer in processes of their own, to be measured from outside."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from kafka import TopicPartition

from config import Settings, load_settings
from consumers.kafka import make_consumer, make_producer
from consumers.messages import read_data
from demo.broker import EmbeddedBroker, free_port
from records.database import open_database
from records.gallery import GalleryRecords
from records.keys.open_master_key import open_master_key
from records.references import ReferencePhoto

FETCH_WAIT_MS = 100
"""Apache Kafka answers a waiting fetch as soon as there is a message, the embedded broker after a third of the wait, on
average: with the client's own 500 ms an upload takes 150 ms to reach a consumer that is idle. With 10 ms, clients and
broker are so busy asking and answering that a third fewer pictures are screened."""


class RunningConsumer:
    """`likeness run`, ready to screen."""

    def __init__(self, settings: Settings, process: subprocess.Popen[bytes], started: float) -> None:
        self.settings = settings
        self._process = psutil.Process(process.pid)
        self.start_seconds = self._wait_until_ready(started)
        topics = settings.topics
        self._outcomes = make_consumer(settings.kafka)
        self._outcomes.assign(
            [
                TopicPartition(topic, number)
                for topic in (topics.screenings, topics.dead_letters)
                for number in range(topics.partitions)
            ]
        )

    @property
    def memory_mb(self) -> float:
        """Of all its processes; a page that several share counts once (PSS)."""
        family = [self._process, *self._process.children(recursive=True)]
        return sum(float(process.memory_full_info().pss) for process in family) / 1e6

    @property
    def parent_mb(self) -> float:
        """Resident memory of the process that has the gallery."""
        return float(self._process.memory_info().rss) / 1e6

    @property
    def processor_seconds(self) -> dict[str, float]:
        """Seconds of a core that each has had so far: the consumer's own process, its workers, the broker, and
        this process, which sends and counts."""
        bench = psutil.Process()
        brokers = [child for child in bench.children() if child.pid != self._process.pid and child.name() == "tansu"]
        workers = self._process.children(recursive=True)
        parts = {"consumer": [self._process], "workers": workers, "broker": brokers, "sender and reader": [bench]}
        return {name: sum(_processor_seconds(one) for one in family) for name, family in parts.items()}

    def screen_all(self, pictures: Sequence[bytes | str], seconds: float = 300.0) -> float:
        """Seconds from the first upload sent to the last outcome read; of each picture its bytes, or its URL."""
        uploads = [_upload(picture, number) for number, picture in enumerate(pictures)]
        waiting = {event_id for event_id, _, _ in uploads}
        producer = make_producer(self.settings.kafka)
        started = time.perf_counter()
        for _, account, value in uploads:
            producer.send(self.settings.topics.uploads, value, account.encode())
        producer.flush(timeout=60)
        while waiting:
            if time.perf_counter() - started > seconds:
                raise TimeoutError(f"{len(waiting)} uploads have no outcome after {seconds:.0f} s")
            for records in self._outcomes.poll(timeout_ms=500).values():
                waiting -= {read_data(record.value)["event_id"] for record in records}
        taken = time.perf_counter() - started
        producer.close()
        return taken

    def latencies(self, pictures: Sequence[bytes | str], rate: float) -> list[float]:
        """Milliseconds from each upload sent to its outcome read, at `rate` uploads a second, sent by the clock."""
        uploads = [_upload(picture, number) for number, picture in enumerate(pictures)]
        producer, sent = make_producer(self.settings.kafka, linger_ms=0), dict[str, float]()

        def send() -> None:
            started = time.perf_counter()
            for number, (event_id, account, value) in enumerate(uploads):
                time.sleep(max(0.0, started + number / rate - time.perf_counter()))
                sent[event_id] = time.perf_counter()
                producer.send(self.settings.topics.uploads, value, account.encode())

        sender = threading.Thread(target=send)
        sender.start()
        taken: list[float] = []
        while len(taken) < len(uploads):
            for records in self._outcomes.poll(timeout_ms=50).values():
                now = time.perf_counter()
                events = [read_data(record.value)["event_id"] for record in records]
                taken += [1e3 * (now - sent[one]) for one in events if one in sent]
        sender.join()
        producer.close()
        return taken

    def close(self) -> None:
        self._outcomes.close()

    def _wait_until_ready(self, started: float) -> float:
        while time.perf_counter() - started < 120:
            if not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE:
                raise RuntimeError("the consumer has ended; its log is consumer.log in the benchmark's folder")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.http.port}/readyz", timeout=1):
                    return time.perf_counter() - started
            except OSError:
                time.sleep(0.02)
        raise TimeoutError("the consumer was not ready within 120 s")


def _upload(picture: bytes | str, number: int) -> tuple[str, str, bytes]:
    """Event id, account and message of an upload, picture inline or by URL."""
    event_id, account = str(uuid.uuid4()), f"acct-{number % 97}"
    image = {"url": picture} if isinstance(picture, str) else {"base64": base64.b64encode(picture).decode()}
    return event_id, account, json.dumps({"event_id": event_id, "account_id": account, "image": image}).encode()


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def broker_settings(home: Path, **more: Any) -> Iterator[Settings]:
    """Settings for an embedded broker that runs meanwhile; `more`: tables of others."""
    with EmbeddedBroker(home / "work") as broker:
        yield load_settings(
            home=home,
            kafka={
                "bootstrap_servers": broker.bootstrap_servers,
                "session_timeout_ms": 3000,
                "extra": {"fetch_max_wait_ms": FETCH_WAIT_MS},
            },
            http={"host": "127.0.0.1", "port": free_port()},
            log={"level": "WARNING"},
            **more,
        )


@contextmanager
def running_consumer(settings: Settings) -> Iterator[RunningConsumer]:
    """A consumer of `settings`, ready, ended afterwards."""
    environment = os.environ | {
        "LIKENESS_HOME": str(settings.home),
        "LIKENESS_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "LIKENESS_KAFKA__SESSION_TIMEOUT_MS": str(settings.kafka.session_timeout_ms),
        "LIKENESS_KAFKA__EXTRA": json.dumps(settings.kafka.extra),
        "LIKENESS_HTTP__HOST": settings.http.host,
        "LIKENESS_HTTP__PORT": str(settings.http.port),
        "LIKENESS_LOG__LEVEL": settings.log.level,
        "LIKENESS_SCREENING__IN_FLIGHT": str(settings.screening.in_flight),
        "LIKENESS_FETCH__ALLOWED_HOSTS": json.dumps(settings.fetch.allowed_hosts),
        "LIKENESS_FETCH__PRIVATE_HOSTS": json.dumps(settings.fetch.private_hosts),
    }
    started = time.perf_counter()
    with (settings.home / "work" / "consumer.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "likeness", "run"], env=environment, stderr=log)
    try:
        consumer = RunningConsumer(settings, process, started)
        yield consumer
        consumer.close()
    finally:
        process.terminate()
        process.wait(timeout=30)


def enrol_random(settings: Settings, pack: str, dimension: int, identities: int, each: int) -> None:
    """Put identities with random references into the gallery, as `likeness gallery import` would."""
    database = open_database(settings.database_url)
    database.migrate()
    records = GalleryRecords(database, open_master_key(settings.keys, settings.master_key_file, create=True))
    random = np.random.default_rng(5)
    for number in range(identities):
        vectors = random.normal(size=(each, dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        photos = [
            ReferencePhoto(
                "benchmark", f"{number:032x}{place:032x}", b"jpeg", 112, 112, (0, 0, 112, 112), 1.0, {pack: vector}
            )
            for place, vector in enumerate(vectors)
        ]
        records.add_identity(f"Person {number}", "celebrity", references=photos)
    database.close()
