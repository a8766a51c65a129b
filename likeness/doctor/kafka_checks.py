"""The broker, the consumer group and transactions."""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from threading import Event

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from config import Settings, SettingsError
from config.settings import Kafka
from consumers.kafka import BrokerAway, make_admin, make_consumer, wait_for_broker
from consumers.transaction_probe import probe_transactions
from likeness.doctor.finding import Finding
from likeness.doctor.topic_checks import topic_checks

_POLL_MS = 100
_ENDS_SECONDS = 4.0


def kafka_checks(settings: Settings, *, deep: bool) -> Iterator[Finding]:
    """With `deep` transactions are tried out, which writes to a topic of their own."""
    kafka = settings.kafka
    at_once = Event()
    at_once.set()
    try:
        wait_for_broker(kafka, at_once, lambda _sentence: None)
        with closing(make_admin(kafka, request_timeout_ms=8_000)) as admin:
            yield broker(kafka, admin)
            yield from topic_checks(settings, admin)
            yield from group(settings, admin)
        if deep:
            yield transactions(settings)
    except (BrokerAway, SettingsError) as error:
        mend = "See that it runs, and kafka.bootstrap_servers, security_protocol, sasl_* and ssl_*."
        yield Finding("broker", "fail", str(error), mend)
    except KafkaError as error:
        yield Finding("broker", "fail", f"It refuses what was asked: {error}.", "See the rights of this user (ACLs).")


def broker(kafka: Kafka, admin: KafkaAdminClient) -> Finding:
    """That it answers, over which protocol, and of how many brokers the cluster is."""
    who = f" as {kafka.sasl_username} ({kafka.sasl_mechanism})" if kafka.sasl_username else ""
    count = len(admin.describe_cluster()["brokers"])
    return Finding(
        "broker", "ok", f"{kafka.bootstrap_servers} answers over {kafka.security_protocol}{who}; brokers: {count}."
    )


def group(settings: Settings, admin: KafkaAdminClient) -> Iterator[Finding]:
    """Who is in the consumer group, and what it has left to do."""
    name = settings.kafka.group_id
    title = f"group {name}"
    try:
        told = admin.describe_groups([name])[name]
        members: int | None = len(told["members"])
    except (KafkaError, ValueError, KeyError):  # no coordinator before the first group; some brokers cannot tell
        members = None
    try:
        offsets = {tp: one.offset for tp, one in admin.list_group_offsets(name)[name].items() if one.offset >= 0}
    except (KafkaError, ValueError, KeyError) as error:
        yield Finding(title, "unknown", f"Its offsets are not told: {str(error) or type(error).__name__}.")
        return
    committed = {partition: at for partition, at in offsets.items() if partition.topic == settings.topics.uploads}
    if not committed:
        yield Finding(title, "warn", "It has consumed nothing yet.", "Start `likeness run`.")
        return
    with closing(make_consumer(settings.kafka, max_partition_fetch_bytes=1, fetch_max_wait_ms=_POLL_MS)) as consumer:
        lag = sum(end - at for partition, end, at in _ends(consumer, committed))
        first = consumer.beginning_offsets(list(committed), timeout_ms=4_000)
    yield lagging(title, members, lag)
    lost = sum(max(0, first[partition] - at) for partition, at in committed.items() if partition in first)
    if lost:
        said = f"{lost:,} uploads have left the topic before they were consumed."
        yield Finding(title, "fail", said, "Send them again from where they came; keep uploads for longer.")


def lagging(title: str, members: int | None, lag: int) -> Finding:
    """`members` is None where the broker does not tell."""
    said = f"{'Its members are not told' if members is None else f'{members} members'}; {lag:,} uploads wait."
    if members == 0:
        return Finding(title, "warn", said, "Start `likeness run`: nobody screens.")
    return Finding(title, "ok", said)


def transactions(settings: Settings) -> Finding:
    """Whether the broker keeps its word on them, and what follows for delivery."""
    works, why = probe_transactions(settings.kafka, settings.topics, f"doctor-{socket.gethostname()}-{os.getpid()}")
    chosen = settings.kafka.delivery
    said = f"{'They work' if works else 'They do not work'}: {why}. kafka.delivery is {chosen}."
    if works or chosen == "at_least_once":
        return Finding("transactions", "ok", said)
    if chosen == "auto":
        return Finding(
            "transactions", "warn", said, "Readers must pass over repeats by their ids, or take Apache Kafka 4."
        )
    return Finding("transactions", "fail", said, "Set kafka.delivery to auto or at_least_once, or mend the broker.")


def _ends(
    consumer: KafkaConsumer, committed: Mapping[TopicPartition, int]
) -> Iterator[tuple[TopicPartition, int, int]]:
    """Partition, its end and what is committed; the end comes with a fetch, which is right on every broker."""
    consumer.assign(list(committed))
    for partition, at in committed.items():
        consumer.seek(partition, at)
    waiting = dict(committed)
    deadline = time.monotonic() + _ENDS_SECONDS
    while waiting and time.monotonic() < deadline:
        consumer.poll(timeout_ms=_POLL_MS, max_records=1)
        for partition in list(waiting):
            if (end := consumer.highwater(partition)) is not None:
                at = waiting.pop(partition)
                yield partition, max(at, end), at
                consumer.pause(partition)
