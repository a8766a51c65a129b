"""From settings to Kafka clients, and the two questions every process asks of them: is the broker there, was all read.

Secrets leave their wrapping only here. Whatever the guarantees of delivery.py rest on cannot be overridden.
"""

import logging
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import tenacity
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from config.settings import Kafka, SettingsError
from consumers.greeting import Refused, Unfit, Unreachable, check_security, greet
from consumers.membership import Rebalances

Records = list[Any]
"""kafka-python ConsumerRecords in the order of their offsets."""

_FIXED = frozenset(
    {"acks", "auto_offset_reset", "enable_auto_commit", "enable_idempotence", "isolation_level", "transactional_id"}
    | {"bootstrap_servers", "max_in_flight_requests_per_connection"}
)
_POLL_MS = 50
_ASK_MS = 3_000
_QUIET_SECONDS = 1.0

log = logging.getLogger(__name__)


class BrokerAway(ConnectionError):
    """No broker answers or none lets us in; the message names where and why, and never a secret."""


def client_options(kafka: Kafka) -> dict[str, Any]:
    """What all clients share: where, who, and how it is secured. Secrets are in the clear in the result.

    Raises SettingsError when `[kafka.extra]` names an option that no client has or that delivery depends on.
    """
    known = KafkaConsumer.DEFAULT_CONFIG.keys() | KafkaProducer.DEFAULT_CONFIG.keys()
    for name in kafka.extra:
        if name in _FIXED:
            raise SettingsError(f"kafka.extra.{name} is not allowed: the guarantees of delivery depend on it.")
        if name not in known:
            raise SettingsError(f"kafka.extra.{name} is not an option of kafka-python's clients.")
    options = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",")],
        "client_id": kafka.client_id,
        "bootstrap_timeout_ms": 10_000,
        "reconnect_backoff_max_ms": 5_000,
        "security_protocol": kafka.security_protocol,
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": kafka.sasl_password.get_secret_value() if kafka.sasl_password else None,
        "ssl_cafile": str(kafka.ssl_cafile) if kafka.ssl_cafile else None,
        "ssl_certfile": str(kafka.ssl_certfile) if kafka.ssl_certfile else None,
        "ssl_keyfile": str(kafka.ssl_keyfile) if kafka.ssl_keyfile else None,
        # Never None with a certificate: OpenSSL would ask the terminal for an encrypted key's password.
        "ssl_password": kafka.ssl_password.get_secret_value() if kafka.ssl_password else kafka.ssl_certfile and "",
        "ssl_check_hostname": kafka.ssl_check_hostname,
    }
    return {name: value for name, value in options.items() if value is not None}


def make_consumer(kafka: Kafka, *topics: str, group_id: str | None = None, **options: Any) -> KafkaConsumer:
    """A consumer that starts at the earliest offset, sees committed messages only and commits only when told.

    With `topics` it is subscribed and sees every rebalance through; without, the caller subscribes or assigns.
    Raises BrokerAway.
    """
    defaults = {
        "session_timeout_ms": kafka.session_timeout_ms,
        "heartbeat_interval_ms": max(100, min(3_000, kafka.session_timeout_ms // 3)),
        "max_poll_interval_ms": kafka.max_poll_interval_ms,
        "max_partition_fetch_bytes": kafka.max_message_bytes,
        "fetch_max_bytes": max(50_000_000, kafka.max_message_bytes),
        "allow_auto_create_topics": False,
    }
    fixed = {
        "group_id": group_id,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
    }
    consumer = _connected(kafka, lambda: KafkaConsumer(**_merged(KafkaConsumer, kafka, defaults, options, fixed)))
    if topics:
        consumer.subscribe(topics, listener=Rebalances(consumer))
    return consumer


def make_producer(kafka: Kafka, transactional_id: str | None = None, **options: Any) -> KafkaProducer:
    """An idempotent producer that waits for all in-sync replicas; every wait ends within `kafka.transaction_seconds`.

    With a `transactional_id` it is transactional, but its transactions are not yet initialised. Raises BrokerAway.
    """
    third = round(kafka.transaction_seconds * 1000 / 3)
    defaults = {
        "compression_type": "lz4",
        "linger_ms": 2,
        "batch_size": 131_072,
        "max_request_size": kafka.max_outcome_bytes,
        "max_block_ms": third,
        "request_timeout_ms": third,
        "delivery_timeout_ms": 2 * third,
        "allow_auto_create_topics": False,
    }
    fixed: dict[str, Any] = {"acks": "all", "enable_idempotence": True}
    if transactional_id is not None:
        # The broker gives a transaction up only after this process has: no commit can fail for want of time alone.
        timeout = round(kafka.transaction_seconds * 1000) + 5_000
        fixed |= {"transactional_id": transactional_id, "transaction_timeout_ms": timeout}
    return _connected(kafka, lambda: KafkaProducer(**_merged(KafkaProducer, kafka, defaults, options, fixed)))


def make_admin(kafka: Kafka, **options: Any) -> KafkaAdminClient:
    """A client for topics and groups. Raises BrokerAway."""
    return _connected(kafka, lambda: KafkaAdminClient(**_merged(KafkaAdminClient, kafka, {}, options, {})))


def wait_for_broker(kafka: Kafka, stop: Event, on_wait: Callable[[str], None], max_seconds: float = 30.0) -> None:
    """Return once a broker answers; `on_wait` gets a sentence before each pause, pauses grow up to `max_seconds`.

    A broker that refuses us is waited for as well: what it knows of users and certificates may be mended there.
    Raises SettingsError when no broker could accept what is set, and BrokerAway when `stop` is set first.
    """
    try:
        check_security(client_options(kafka))
    except Unfit as error:
        raise SettingsError(f"{error}.") from None
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(BrokerAway),
        wait=tenacity.wait_random_exponential(multiplier=0.25, max=max_seconds),
        stop=tenacity.stop_when_event_set(stop),
        sleep=tenacity.sleep_using_event(stop),
        before_sleep=lambda state: on_wait(str(state.outcome.exception()) if state.outcome else ""),
        reraise=True,
    )
    attempts(_greet, kafka)


def read_to_end(consumer: KafkaConsumer, stop: Event, seconds: float = 30.0) -> Iterator[Records]:
    """Yield what the assigned partitions hold, in lists, and end where they ended when they were read.

    What an open transaction holds is not committed yet and not waited for. Ends early when `stop` is set.
    Raises BrokerAway when nothing moves for `seconds`.
    """
    waiting = set(consumer.assignment())
    positions: dict[TopicPartition, int | None] = {}
    moved = time.monotonic()
    while waiting and not stop.is_set():
        yield from consumer.poll(timeout_ms=_POLL_MS).values()
        now = {partition: consumer.position(partition, timeout_ms=1_000) for partition in waiting}
        if now != positions:
            positions, moved = now, time.monotonic()
        # Highwaters come with each fetch and are right on every broker, but do not know where a transaction is open.
        stable = _stable_ends(consumer, waiting) if time.monotonic() - moved > _QUIET_SECONDS else {}
        for partition, position in now.items():
            end = stable.get(partition, consumer.highwater(partition))
            if position is not None and end is not None and position >= end:
                waiting.discard(partition)
        if time.monotonic() - moved > seconds:
            raise BrokerAway(f"Nothing came from {sorted({p.topic for p in waiting})} for {seconds:.0f} s.")


def _stable_ends(consumer: KafkaConsumer, partitions: set[TopicPartition]) -> dict[TopicPartition, int]:
    """Where the committed messages end; too low on the embedded broker, so to be asked only when all is quiet."""
    try:
        ends: dict[TopicPartition, int] = consumer.end_offsets(list(partitions), timeout_ms=1_000)
    except KafkaError as error:
        log.warning("The ends of %s are unknown: %s", sorted({p.topic for p in partitions}), error)
        return {}
    return ends


def rewind(consumer: KafkaConsumer) -> dict[TopicPartition, OffsetAndMetadata]:
    """Seek every assigned partition to where the group's committed offset stands, or to its beginning without one.

    The committed offsets of those that have one. Raises KafkaError, KafkaTimeoutError while the broker is silent.
    """
    stands = {}
    for partition in consumer.assignment():
        # The first answer may be to a question from before a rebalance, which a poll too short left open.
        consumer.committed(partition, timeout_ms=_ASK_MS)
        committed = consumer.committed(partition, metadata=True, timeout_ms=_ASK_MS)
        if committed is None:
            consumer.seek_to_beginning(partition)
        else:
            consumer.seek(partition, committed.offset)
            stands[partition] = committed
    return stands


def _merged(
    client: Any, kafka: Kafka, defaults: dict[str, Any], options: dict[str, Any], fixed: dict[str, Any]
) -> dict[str, Any]:
    extra = {name: value for name, value in kafka.extra.items() if name in client.DEFAULT_CONFIG}
    return client_options(kafka) | defaults | extra | options | fixed


def _greet(kafka: Kafka) -> None:
    """Raise BrokerAway unless one of the brokers lets this client in."""
    options = client_options(kafka)
    silent, refusals = "", []
    for server in options["bootstrap_servers"]:
        host, _, port = server.rpartition(":")
        try:
            greet(host.strip("[]"), int(port), options)
            return
        except Unreachable as error:
            silent = f"No Kafka broker answers at {kafka.bootstrap_servers} over {kafka.security_protocol} ({error})."
        except Refused as error:
            refusals.append(f"The broker at {server} cannot be used over {kafka.security_protocol}: {error}.")
        except Unfit as error:
            raise BrokerAway(f"Kafka cannot be asked: {error}.") from error
    raise BrokerAway(refusals[0] if refusals else silent)


def _connected(kafka: Kafka, make: Callable[[], Any]) -> Any:
    # A client that cannot connect leaves a thread and sockets behind and does not tell why.
    _greet(kafka)
    try:
        return make()
    except (KafkaError, OSError) as error:
        where = f"{kafka.bootstrap_servers} over {kafka.security_protocol}"
        raise BrokerAway(f"No Kafka broker answers at {where} ({type(error).__name__}).") from error
