"""Does this broker keep its word on transactions? Tried out, because brokers that speak the protocol may not.

A message is committed and another aborted; a reader of committed messages must see the one and not the other. A trial
that ends without an answer, since the broker is busy or starting, is made again: what follows from it lasts as long as
the process.
"""

import logging
import threading
import time

from kafka import TopicPartition
from kafka.errors import KafkaError

from config.settings import Kafka, Topics
from consumers.kafka import BrokerAway, make_admin, make_consumer, make_producer
from consumers.topics import TopicMissing, create_missing, probe_topic

log = logging.getLogger(__name__)
_POLL_MS = 50


class _Undecided(Exception):
    """The trial ended without an answer."""


def probe_transactions(
    kafka: Kafka, topics: Topics, worker: str, seconds: float = 8.0, trials: int = 3
) -> tuple[bool, str]:
    """Whether transactions work, and why it is thought so, as words that follow a colon.

    A trial takes `seconds` at most; without an answer from any of the `trials`, they do not. `worker` makes the
    probe's transactional id its own. Raises BrokerAway.
    """
    why = ""
    for trial in range(1, trials + 1):
        try:
            # each by a name of its own: a trial that was left behind would fence off the next one
            return _try(kafka, topics, worker if trial == 1 else f"{worker}-{trial}", seconds)
        except _Undecided as undecided:
            why = str(undecided)
            log.warning("Whether the broker's transactions work is open after trial %d of %d: %s.", trial, trials, why)
    return False, why


def _try(kafka: Kafka, topics: Topics, worker: str, seconds: float) -> tuple[bool, str]:
    outcome: list[tuple[bool, str] | BrokerAway | _Undecided] = []

    def run() -> None:
        try:
            outcome.append(_probe(kafka, topics, worker, time.monotonic() + seconds))
        except (KafkaError, TopicMissing) as error:
            why = f"the trial transaction failed ({error})"
            outcome.append(_Undecided(why) if getattr(error, "retriable", False) else (False, why))
        except BrokerAway as error:
            outcome.append(error)

    # The client waits without limit for the end of a transaction; a thread can be left behind.
    thread = threading.Thread(target=run, name="transaction-probe", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise _Undecided(f"the trial transaction did not end within {seconds:.0f} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _probe(kafka: Kafka, topics: Topics, worker: str, deadline: float) -> tuple[bool, str]:
    topic = probe_topic(topics)
    admin = make_admin(kafka)
    try:
        create_missing(admin, (topic,), topics.create)
    finally:
        admin.close()
    producer = make_producer(kafka, f"likeness-probe-{worker}", transaction_timeout_ms=10_000, linger_ms=0)
    try:
        producer.init_transactions()
        producer.begin_transaction()
        committed = producer.send(topic.name, b"committed").get(timeout=5).offset
        producer.commit_transaction()
        producer.begin_transaction()
        aborted = producer.send(topic.name, b"aborted").get(timeout=5).offset
        producer.abort_transaction()
    finally:
        producer.close(timeout=1)
    seen = _read(kafka, TopicPartition(topic.name, 0), committed, aborted, deadline)
    if committed not in seen:
        return False, "the broker does not show a committed message"
    if aborted in seen:
        return False, "the broker shows an aborted message to readers of committed messages"
    return True, "the broker shows committed messages and hides aborted ones"


def _read(kafka: Kafka, partition: TopicPartition, first: int, last: int, deadline: float) -> set[int]:
    """The offsets that a reader of committed messages sees from `first` to beyond `last`."""
    consumer = make_consumer(kafka, fetch_max_wait_ms=_POLL_MS)
    seen: set[int] = set()
    try:
        consumer.assign([partition])
        consumer.seek(partition, first)
        while time.monotonic() < deadline and consumer.position(partition) <= last:
            for records in consumer.poll(timeout_ms=_POLL_MS).values():
                seen.update(record.offset for record in records)
    finally:
        consumer.close()
    return seen
