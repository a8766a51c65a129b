"""How outputs and consumed offsets reach Kafka together: in one transaction, or outputs first and offsets after.

A caller screens a batch, calls `deliver` with all outputs and the offsets that they answer, and goes on.
On DeliveryFailed it rewinds (consumers/kafka.py) and repeats; ids that derive from the event make repeats harmless.
"""

import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from kafka.structs import OffsetAndMetadata

from config.settings import Kafka, Topics
from consumers.kafka import BrokerAway, make_producer
from consumers.outgoing import (
    FENCED,
    DeliveryFailed,
    MessageTooLarge,
    OutgoingMessage,
    WorkerFenced,
    drop,
    named,
    send_all,
)
from consumers.transaction_probe import probe_transactions
from consumers.worker_slot import worker_slot

__all__ = [
    "AtLeastOnceDelivery",
    "Delivery",
    "DeliveryFailed",
    "MessageTooLarge",
    "OutgoingMessage",
    "TransactionalDelivery",
    "WorkerFenced",
    "choose_delivery",
    "probe_transactions",
    "worker_slot",
]

Offsets = Mapping[TopicPartition, OffsetAndMetadata]
"""By partition, the offset of the next message to consume."""

_SILENT = (KafkaTimeoutError, KafkaConnectionError)
_FAILURES = (KafkaError, BrokerAway, MessageTooLarge)
_EXIT_STUCK = 70
_SETTLE_PAUSE_SECONDS = 0.1

log = logging.getLogger(__name__)


class Delivery(ABC):
    """Hands outputs and offsets to Kafka. Used from one thread, the one that polls the consumer."""

    name: str

    @abstractmethod
    def deliver(self, outputs: Sequence[OutgoingMessage], offsets: Offsets, member: Any = None) -> None:
        """Return once the outputs are durable and the offsets committed.

        `member`: the consumer's group_metadata() from when the partitions were known to be its own, so that nothing is
        committed for partitions that the group has given to another since; None = as it is now.

        Blocks for some `kafka.transaction_seconds` at most. Raises DeliveryFailed, MessageTooLarge or WorkerFenced;
        no offset moves after that.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the broker; nothing is in flight between two calls of `deliver`."""


class AtLeastOnceDelivery(Delivery):
    """Outputs first, offsets once all are acknowledged: a failure in between repeats outputs, never loses one."""

    name = "at_least_once"

    def __init__(self, kafka: Kafka, consumer: KafkaConsumer) -> None:
        self._kafka = kafka
        self._consumer = consumer
        self._producer: KafkaProducer | None = make_producer(kafka)

    def deliver(self, outputs: Sequence[OutgoingMessage], offsets: Offsets, member: Any = None) -> None:
        try:
            if self._producer is None:
                self._producer = make_producer(self._kafka)
            send_all(self._producer, outputs, self._kafka.transaction_seconds)
            self._consumer.commit(dict(offsets), timeout_ms=round(self._kafka.transaction_seconds * 1000))
        except _FAILURES as error:
            # One refused message spoils an idempotent producer for all later ones.
            drop(self._producer)
            self._producer = None
            raise named(error) from error

    def close(self) -> None:
        drop(self._producer)


class TransactionalDelivery(Delivery):
    """Outputs and offsets in one transaction: readers of committed messages see all of it, once, or none.

    kafka-python waits for the end of a transaction without limit. After `kafka.transaction_seconds` the outcome is
    anyone's guess, so `give_up` ends the process; the next worker under this id ends the transaction and starts
    from the committed offsets.
    """

    name = "transactional"

    def __init__(
        self,
        kafka: Kafka,
        consumer: KafkaConsumer,
        transactional_id: str,
        give_up: Callable[[], None] = lambda: os._exit(_EXIT_STUCK),
    ) -> None:
        self._kafka = kafka
        self._consumer = consumer
        self._transactional_id = transactional_id
        self._give_up = give_up
        with self._watched():
            self._producer: KafkaProducer | None = self._open()

    def deliver(self, outputs: Sequence[OutgoingMessage], offsets: Offsets, member: Any = None) -> None:
        with self._watched():
            try:
                producer = self._prepare(outputs, offsets, member)
            except _FAILURES as error:
                self._abandon(error)
                raise named(error) from error
            try:
                producer.commit_transaction()
            except KafkaError as error:
                told = named(error)
                self._abandon(error)
                if not isinstance(told, WorkerFenced):
                    self._settle()
                raise told from error

    def close(self) -> None:
        drop(self._producer)

    def _prepare(self, outputs: Sequence[OutgoingMessage], offsets: Offsets, member: Any) -> KafkaProducer:
        """All of a transaction but its commit."""
        member = member or self._consumer.group_metadata()
        if self._producer is None:
            self._producer = self._open()
        self._producer.begin_transaction()
        send_all(self._producer, outputs, self._kafka.transaction_seconds)
        self._producer.send_offsets_to_transaction(dict(offsets), member)
        return self._producer

    def _settle(self) -> None:
        """Return once a commit of unknown fate has ended one way or the other, or leave with the watchdog.

        The committed offsets then tell which, and the caller rewinds to them.
        """
        while self._producer is None:
            try:
                self._producer = self._open()
            except (KafkaError, BrokerAway) as error:
                log.warning("The fate of a commit is unknown as yet: %s", error)
                time.sleep(_SETTLE_PAUSE_SECONDS)

    def _open(self) -> KafkaProducer:
        producer = make_producer(self._kafka, self._transactional_id)
        try:
            producer.init_transactions()
        except KafkaError:
            drop(producer)
            raise
        return producer

    def _abandon(self, error: Exception) -> None:
        """End the transaction and the producer, which keeps offsets of an aborted transaction for the next one."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # With a silent broker the abort would wait for it; `init_transactions` of the next producer aborts as well.
        if not isinstance(error, (BrokerAway, *_SILENT, *FENCED)):
            try:
                producer.abort_transaction()
            except KafkaError as second:
                log.warning("The transaction could not be aborted (%s); the next one aborts it.", second)
        drop(producer)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        watchdog = threading.Timer(self._kafka.transaction_seconds, self._expire)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def _expire(self) -> None:
        seconds = self._kafka.transaction_seconds
        log.critical("A transaction of %s has not ended within %.0f s: leaving.", self._transactional_id, seconds)
        self._give_up()


def choose_delivery(kafka: Kafka, topics: Topics, consumer: KafkaConsumer, worker: str) -> Delivery:
    """The delivery that `kafka.delivery` asks for; with `auto` the strongest that the broker proves it can do.

    `worker` is this worker's stable name (kafka.worker_id or worker_slot). To be called before the consumer's first
    poll: it ends what a predecessor left open, and only then do committed offsets stand. Logs the choice and why.
    Raises BrokerAway, DeliveryFailed or WorkerFenced when the broker does not let the first transaction be prepared.
    """
    transactional, why = kafka.delivery == "transactional", "kafka.delivery says so"
    if kafka.delivery == "auto":
        transactional, why = probe_transactions(kafka, topics, worker)
    log.info("Delivery is %s: %s.", "transactional" if transactional else "at least once", why)
    try:
        if transactional:
            return TransactionalDelivery(kafka, consumer, f"{kafka.group_id}-{worker}")
        return AtLeastOnceDelivery(kafka, consumer)
    except KafkaError as error:
        raise named(error) from error
