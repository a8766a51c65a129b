"""The ground of commands that ask Kafka: what goes wrong there ends them with one sentence."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from kafka.errors import KafkaError

from config.settings import Kafka
from consumers.kafka import wait_for_broker
from likeness.errors import BadInput


@contextmanager
def asking_kafka(kafka: Kafka) -> Iterator[None]:
    """Raises BrokerAway when no broker answers at once, and BadInput for what the broker refuses."""
    with quiet_kafka():
        at_once = Event()
        at_once.set()
        wait_for_broker(kafka, at_once, lambda _sentence: None)
        try:
            yield
        except KafkaError as error:
            raise BadInput(f"Kafka refuses: {error}.") from error


@contextmanager
def quiet_kafka() -> Iterator[None]:
    """The client library does not log what we tell in a sentence of our own."""
    library = logging.getLogger("kafka")
    before = library.level
    library.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        library.setLevel(before)
