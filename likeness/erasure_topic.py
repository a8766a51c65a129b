"""What topics still hold of somebody who was erased: the newest message of them on gallery-changes must be the
tombstone; a report that came by victim-reports lies there sealed for this deployment, until Kafka drops it."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from kafka import TopicPartition

from config import Settings
from consumers.kafka import make_consumer, read_to_end
from consumers.messages import read_data
from records.errors import NotSealed
from records.keys.sealing import SealingKeyLost, SealingKeys
from records.reports.remains import Check, Subject


def look_at_topics(settings: Settings, subject: Subject, sealing: SealingKeys) -> Sequence[Check]:
    """Reads the topics to their ends. Raises BrokerAway, KafkaError, DatabaseAway, MasterKeyError."""
    checks, identity_id, topics = [], subject.erased.identity_id, settings.topics
    if identity_id is not None:
        checks.append(_changes(settings, identity_id))
        checks.append(_reviews(settings, identity_id, subject.number))
    if subject.platform_id is not None and topics.reports:
        checks.append(_reports(settings, topics.reports, subject.platform_id, sealing))
    return checks


def _changes(settings: Settings, identity_id: str) -> Check:
    where, sealed, newest = f"topic {settings.topics.gallery_changes}", 0, False
    for record in _records(settings, settings.topics.gallery_changes):
        if record.key == identity_id.encode():
            sealed += record.value is not None
            newest = record.value is not None
    if newest:
        return Check(where, 1, "the tombstone is not there: does a consumer run that publishes the outbox?")
    if sealed:
        return Check(
            where, 0, f"{sealed} × sealed with the destroyed key, until Kafka clears them away; then a tombstone"
        )
    return Check(where, 0, "nothing but a tombstone, or not even that")


def _reviews(settings: Settings, identity_id: str, number: str | None) -> Check:
    where, count, names = f"topic {settings.topics.reviews}", 0, set[str | None]()
    for record in _records(settings, settings.topics.reviews):
        if record.value is not None and identity_id.encode() in record.value:
            count += 1
            names |= {one.get("identity_name") for one in _people(record.value) if one["identity_id"] == identity_id}
    if number is not None and names - {None, number}:
        return Check(where, count, "reviews name the person by another name than the case number")
    by = "its name" if number is None else "case number"
    return Check(where, 0, f"{count} × by id and {by}, until Kafka drops them" if count else "no review names them")


def _reports(settings: Settings, topic: str, platform_id: str, sealing: SealingKeys) -> Check:
    where, wanted = f"topic {topic}", json.dumps(platform_id).encode()
    plain = json.dumps(platform_id, ensure_ascii=False).encode()
    count = lost = 0
    for record in _records(settings, topic):
        try:
            value = _opened(record.value, sealing)
        except SealingKeyLost:
            lost += 1
            continue
        count += wanted in value or plain in value
    if count:
        says = "the report as the platform sent it, which only this deployment's own key opens, until Kafka drops it"
        return Check(where, count, says)
    if lost:
        says = f"the report is not there, unless among {lost} that no master key opens any more, until Kafka drops them"
        return Check(where, 0, says)
    return Check(where, 0, "the report is not there any more")


def _opened(value: bytes | None, sealing: SealingKeys) -> bytes:
    """What was sealed; what was not, as it is: it was passed over, but lies there. Raises SealingKeyLost."""
    try:
        return sealing.open(value)
    except SealingKeyLost:
        raise
    except NotSealed:
        return value or b""


def _people(value: bytes) -> Iterator[dict[str, Any]]:
    for finding in read_data(value)["findings"]:
        yield from (one for one in (finding, finding.get("runner_up")) if one and one.get("identity_id"))


def _records(settings: Settings, topic: str) -> Iterator[Any]:
    with closing(make_consumer(settings.kafka)) as consumer:
        if numbers := consumer.partitions_for_topic(topic):
            consumer.assign([TopicPartition(topic, number) for number in numbers])
            consumer.seek_to_beginning()
            for records in read_to_end(consumer, threading.Event()):
                yield from records
