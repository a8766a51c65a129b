"""How a batch of decisions reaches Kafka: exactly once where the broker has transactions, else at least once.

With transactions the batch and its number go out together, the number as the committed offset of a group of our own on
partition 0 of the topic. Who comes after a crash ends what was left open, reads that offset, and knows what was told.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing

from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from config.settings import Kafka, Topics
from consumers.kafka import BrokerAway, make_consumer, make_producer
from consumers.outgoing import DeliveryFailed, OutgoingMessage, WorkerFenced, drop, named, send_all
from consumers.transaction_probe import probe_transactions

log = logging.getLogger("likeness.console")
_ASK_MS = 3_000
_RECONNECT_MS = 1_000
"""Longest pause before the next attempt to connect: a batch waits in the client while Kafka is away."""


class DecisionSender(ABC):
    """Sends batches, until its first error: then another is made. `told`: the number of the last batch that is known
    to be on the topic, 0 if there is none or nobody knows."""

    told = 0

    @abstractmethod
    def send(self, messages: Sequence[OutgoingMessage], number: int) -> None:
        """Returns once all are durable, within `kafka.transaction_seconds`. Raises DeliveryFailed, or WorkerFenced when
        a sender was made after this one."""

    @abstractmethod
    def close(self) -> None: ...


class AtLeastOnceSender(DecisionSender):
    """Who dies before the batch's rows are deleted sends it again. Raises BrokerAway."""

    def __init__(self, kafka: Kafka) -> None:
        self._seconds = kafka.transaction_seconds
        self._producer = make_producer(kafka, reconnect_backoff_max_ms=_RECONNECT_MS)

    def send(self, messages: Sequence[OutgoingMessage], number: int) -> None:
        try:
            send_all(self._producer, messages, self._seconds)
        except KafkaError as error:
            raise named(error) from error

    def close(self) -> None:
        drop(self._producer)


class ExactlyOnceSender(DecisionSender):
    """Readers of committed messages see each batch once. Ends what a predecessor left open, and the predecessor.
    Raises BrokerAway or KafkaError."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._seconds = kafka.transaction_seconds
        self._group = decisions_group(kafka)
        self._place = TopicPartition(topics.decisions, 0)
        self._producer = make_producer(kafka, self._group, reconnect_backoff_max_ms=_RECONNECT_MS)
        try:
            # In this order: the offset stands only when no transaction is open any more.
            self._producer.init_transactions()
            with closing(make_consumer(kafka, group_id=self._group)) as consumer:
                self.told = consumer.committed(self._place, timeout_ms=_ASK_MS) or 0
        except (KafkaError, BrokerAway):
            self.close()
            raise

    def send(self, messages: Sequence[OutgoingMessage], number: int) -> None:
        try:
            _within(self._seconds, lambda: self._transact(messages, number))
        except KafkaError as error:
            raise named(error) from error
        self.told = number

    def close(self) -> None:
        """At once: what it may still hold is never committed, because the next sender ends it."""
        threading.Thread(target=drop, args=(self._producer,), name="decision-sender", daemon=True).start()

    def _transact(self, messages: Sequence[OutgoingMessage], number: int) -> None:
        self._producer.begin_transaction()
        send_all(self._producer, messages, self._seconds)
        try:
            self._producer.send_offsets_to_transaction({self._place: OffsetAndMetadata(number, "", -1)}, self._group)
        except KafkaError as error:  # its words do not say where
            if isinstance(told := named(error), WorkerFenced):
                raise told from error
            raise DeliveryFailed(f"No offset could be committed on {self._place.topic}: {error}") from error
        self._producer.commit_transaction()


class DecisionSenders:
    """Makes senders of the kind that `kafka.delivery` asks for; with `auto` the strongest that the broker proves."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._kafka = kafka
        self._topics = topics
        self._transactional = kafka.delivery == "transactional"

    def open(self) -> DecisionSender:
        """To be called by one at a time on a group. Raises BrokerAway or KafkaError."""
        kafka = self._kafka
        if not self._transactional and kafka.delivery == "auto":
            self._transactional, why = probe_transactions(kafka, self._topics, decisions_group(kafka), trials=1)
            how = "exactly once" if self._transactional else "at least once"
            log.info("Decisions are sent %s: %s.", how, why)
        return ExactlyOnceSender(kafka, self._topics) if self._transactional else AtLeastOnceSender(kafka)


def decisions_group(kafka: Kafka) -> str:
    """The group whose offset counts batches; also the transactional id of those who send them."""
    return f"{kafka.group_id}-decisions"


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Does the work, or raises DeliveryFailed while it still goes on: the client waits for a commit without limit."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except Exception as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="decision-transaction", daemon=True).start()
    try:
        outcome.result(seconds)
    except TimeoutError:
        raise DeliveryFailed(f"Kafka did not end the transaction within {seconds:.0f} s.") from None
