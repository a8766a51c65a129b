"""Sends the demo's uploads through Kafka, one after the other, and waits for the outcome of each on the topics."""

import base64
import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from config import Settings
from consumers.kafka import make_consumer, make_producer
from consumers.messages import read_data
from demo.events import DemoEvent

OUTCOME_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of the topics for one upload, and the milliseconds from sending it to reading that."""

    screening: dict[str, Any] | None
    review: dict[str, Any] | None
    dead_letter: dict[str, Any] | None
    milliseconds: float

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Those of the review, most urgent first."""
        return list(self.review["findings"]) if self.review else []

    @property
    def reason(self) -> str:
        return str(self.dead_letter["reason"]) if self.dead_letter else ""

    @property
    def verdict(self) -> str:
        return str(self.screening["verdict"]) if self.screening else "dead letter"

    def matches(self, event: DemoEvent) -> bool:
        """Whether this is the outcome that is right for `event`."""
        if self.dead_letter:
            return self.screening is None and self.dead_letter["reason"] == event.expected
        if self.review is None:
            return self.verdict == event.expected
        findings = self.review["findings"]
        named = {finding["identity_name"] for finding in findings if finding["identity_name"]}
        marked = any(finding["kind"] == "foreign_watermark" for finding in findings)
        return (findings[0]["kind"], named, marked) == (event.expected, {event.identity}, event.marked)


def upload_all(settings: Settings, events: list[DemoEvent], pictures: Path, port: int) -> list[Outcome]:
    """The outcomes in the order of `events`. Pictures by URL are written to the folder `pictures`, which a web server
    on `port` of 127.0.0.1 serves."""
    topics = settings.topics
    consumer = make_consumer(settings.kafka)
    consumer.assign(
        [
            TopicPartition(topic, number)
            for topic in (topics.screenings, topics.reviews, topics.dead_letters)
            for number in range(topics.partitions)
        ]
    )
    producer = make_producer(settings.kafka)
    try:
        return [_upload(settings, event, pictures, port, producer, consumer) for event in events]
    finally:
        producer.close()
        consumer.close()


def _upload(
    settings: Settings, event: DemoEvent, pictures: Path, port: int, producer: KafkaProducer, consumer: KafkaConsumer
) -> Outcome:
    event_id = str(uuid.uuid4())
    message = _message(event, event_id, pictures, port)
    sent = time.monotonic()
    producer.send(settings.topics.uploads, json.dumps(message).encode(), event.account_id.encode()).get(timeout=10)
    found: dict[str, dict[str, Any]] = {}
    while time.monotonic() < sent + OUTCOME_SECONDS:
        for records in consumer.poll(timeout_ms=20).values():
            for record in records:
                data = read_data(record.value)
                if data["event_id"] == event_id:
                    found[record.topic] = data
        screening, review = found.get(settings.topics.screenings), found.get(settings.topics.reviews)
        dead = found.get(settings.topics.dead_letters)
        if dead or (screening and (screening["verdict"] != "review" or review)):
            return Outcome(screening, review, dead, 1e3 * (time.monotonic() - sent))
    return Outcome(None, None, None, 1e3 * OUTCOME_SECONDS)


def _message(event: DemoEvent, event_id: str, pictures: Path, port: int) -> dict[str, Any]:
    name = f"{event_id}.jpg"
    if event.way == "inline":
        image = {"base64": base64.b64encode(event.picture).decode()}
    elif not event.picture:
        image = {"url": "http://10.0.0.1/avatar.jpg"}
    else:
        (pictures / name).write_bytes(event.picture)
        url = f"http://127.0.0.1:{port}/{name}" if event.way == "http" else (pictures / name).as_uri()
        image = {"url": url}
    upload = {
        "event_id": event_id,
        "account_id": event.account_id,
        "image": image,
        "profile": {"handle": event.handle},
    }
    if not event.cloud_event:
        return upload
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/demo",
        "type": "likeness.avatar.uploaded.v1",
        "datacontenttype": "application/json",
        "data": upload,
    }
