"""`python -m benchmarks.kafka_client`: what the Kafka client alone costs a consumer, by compression and fetch size.

Uploads with avatars of 16 KB and photos of 100 KB inline lie on a topic of an embedded broker, as a platform's producer
sends them with each compression. They are read by the client that screening uses, and nothing is done with them; then
as many outcomes are sent and confirmed, by fours as under load. Each takes turns; milliseconds are of a core, for each
upload, in the client's process, and the medians of the rounds.
"""

import base64
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from kafka import TopicPartition
from kafka.admin import NewTopic
from rich.table import Table

from benchmarks.pictures import fetch_models_and_portraits, make_photos, make_pictures
from benchmarks.results import write_results
from benchmarks.through_kafka import broker_settings
from config import Settings
from consumers.kafka import make_admin, make_consumer, make_producer
from consumers.service import FETCH_BYTES
from likeness.console import err, out

COMPRESSIONS = (None, "lz4", "zstd")
FETCHES = (250_000, FETCH_BYTES, 4_000_000)
UPLOADS = {"avatars": 1_000, "photos": 300}
OUTCOMES = 1_000
OUTCOME_BYTES = 700
TOGETHER = 4
"""Outcomes that are sent and confirmed together: what ends meanwhile."""
ROUNDS = 5


def main() -> None:
    _, portraits = fetch_models_and_portraits()
    pictures = {"avatars": make_pictures(portraits, 200), "photos": make_photos(portraits, 60)}
    with tempfile.TemporaryDirectory(prefix="likeness-kafka-") as home, broker_settings(Path(home)) as settings:
        read, send_ms = _read(settings, pictures), _send(settings)
    write_results("kafka_client", {"read": read, "send_ms": send_ms})
    table = Table("uploads", "compression", "bytes on the topic, of those sent", "fetch bytes", "ms to read one")
    for one in read:
        table.add_row(*(str(one[name]) for name in ("uploads", "compression", "size", "fetch_bytes", "ms")))
    out.print(table)
    out.print(f"To send an outcome and see it confirmed, {TOGETHER} at once: {send_ms} ms")


def _read(settings: Settings, pictures: dict[str, list[bytes]]) -> list[dict[str, Any]]:
    topics = {(kind, compression): f"{kind}-{compression}" for kind in pictures for compression in COMPRESSIONS}
    with closing(make_admin(settings.kafka)) as admin:
        admin.create_topics([NewTopic(topic, 1, 1) for topic in topics.values()])
    sizes = {}
    for (kind, compression), topic in topics.items():
        sizes[topic] = _fill(settings, topic, pictures[kind], UPLOADS[kind], compression)
    taken: dict[tuple[str, str | None, int], list[float]] = {}
    for number in range(ROUNDS):
        for (kind, compression), topic in topics.items():
            for fetch_bytes in FETCHES:
                spent = _read_all(settings, topic, UPLOADS[kind], fetch_bytes)
                taken.setdefault((kind, compression, fetch_bytes), []).append(spent)
        err.print(f"Round {number + 1} of {ROUNDS}")
    return [
        {
            "uploads": kind,
            "compression": compression or "none",
            "size": round(sizes[topics[kind, compression]], 2),
            "fetch_bytes": fetch_bytes,
            "ms": round(statistics.median(spent), 3),
        }
        for (kind, compression, fetch_bytes), spent in taken.items()
    ]


def _fill(settings: Settings, topic: str, pictures: Sequence[bytes], count: int, compression: str | None) -> float:
    """Puts `count` uploads there; gives the share of their bytes that a producer's batches have, as it counts them."""
    with closing(make_producer(settings.kafka, compression_type=compression)) as producer:
        for number in range(count):
            image = {"base64": base64.b64encode(pictures[number % len(pictures)]).decode()}
            upload = {"event_id": str(uuid.uuid4()), "account_id": f"acct-{number}", "image": image}
            producer.send(topic, json.dumps(upload).encode())
        producer.flush(60)
        return float(producer.metrics()["producer-metrics"]["compression-rate-avg"])


def _read_all(settings: Settings, topic: str, count: int, fetch_bytes: int) -> float:
    """Milliseconds of a core for each upload."""
    with closing(make_consumer(settings.kafka, max_partition_fetch_bytes=fetch_bytes)) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek_to_beginning()
        consumer.poll(timeout_ms=500, max_records=1)
        consumer.seek_to_beginning()
        started, seen = time.process_time(), 0
        while seen < count:
            seen += sum(map(len, consumer.poll(timeout_ms=500, max_records=TOGETHER).values()))
        return 1e3 * (time.process_time() - started) / count


def _send(settings: Settings) -> float:
    value, taken = b"x" * OUTCOME_BYTES, []
    with closing(make_admin(settings.kafka)) as admin:
        admin.create_topics([NewTopic("outcomes", 1, 1)])
    with closing(make_producer(settings.kafka)) as producer:
        for _ in range(ROUNDS):
            started = time.process_time()
            for _ in range(OUTCOMES // TOGETHER):
                for sent in [producer.send("outcomes", value, b"account") for _ in range(TOGETHER)]:
                    sent.get(30)
            taken.append(1e3 * (time.process_time() - started) / OUTCOMES)
    return round(statistics.median(taken), 3)


if __name__ == "__main__":
    main()
