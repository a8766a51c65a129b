"""One batch of outgoing messages: sent and acknowledged as a whole, or one named error that says what to do."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from kafka import KafkaProducer
from kafka.errors import (
    FencedInstanceIdError,
    InvalidProducerEpochError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    RecordListTooLargeError,
)

FENCED = (ProducerFencedError, InvalidProducerEpochError, FencedInstanceIdError)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_CLOSE_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message to send; a `value` of None deletes `key` from a compacted topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of key, value and headers, before compression."""
        return len(self.key or b"") + len(self.value or b"") + sum(len(k.encode()) + len(v) for k, v in self.headers)


class DeliveryFailed(Exception):
    """The batch did not go through as far as is known; rewind to the committed positions, which tell, and repeat."""


class MessageTooLarge(DeliveryFailed):
    """As DeliveryFailed, because the broker or the client refuses the size of `output`; replace it before repeating."""

    def __init__(self, output: OutgoingMessage) -> None:
        super().__init__(f"A message of {output.size} bytes is too large for the topic {output.topic}.")
        self.output = output


class WorkerFenced(Exception):
    """Another worker runs under this worker's id or holds its place in the group; leave the process."""


def send_all(producer: KafkaProducer, outputs: Sequence[OutgoingMessage], seconds: float) -> None:
    """Send all and wait until each is acknowledged. Raises KafkaError, or MessageTooLarge with the output to blame."""
    deadline = time.monotonic() + seconds
    futures = []
    refused: KafkaError | None = None
    for output in outputs:
        try:
            futures.append(producer.send(output.topic, output.value, output.key, list(output.headers)))
        except MessageSizeTooLargeError as error:
            raise MessageTooLarge(output) from error
        except KafkaError as error:
            # One that is already on its way may have failed meanwhile: then its future tells why.
            refused = error
            break
    # Not flush(): it fails when the broker makes the client split a batch. The lingering time is short.
    failed: list[tuple[OutgoingMessage, KafkaError]] = []
    for output, future in zip(outputs, futures, strict=False):
        try:
            future.get(timeout=max(0.0, deadline - time.monotonic()))
        except KafkaError as error:
            failed.append((output, error))
    fenced = [error for _, error in failed if isinstance(error, FENCED)]
    if fenced:
        raise fenced[0]
    too_large = [output for output, error in failed if isinstance(error, _TOO_LARGE)]
    if too_large:
        # Messages that shared its batch fail with the same error.
        raise MessageTooLarge(max(too_large, key=lambda output: output.size))
    if failed:
        raise failed[0][1]
    if refused:
        raise refused


def named(error: Exception) -> Exception:
    """What the caller is told: WorkerFenced, MessageTooLarge or DeliveryFailed."""
    if isinstance(error, MessageTooLarge):
        return error
    # A producer that has failed once tells the cause of every later failure as text only.
    if isinstance(error, FENCED) or ProducerFencedError.__name__ in str(error):
        return WorkerFenced("Another worker runs under the same id; give every worker a kafka.worker_id of its own.")
    return DeliveryFailed(f"The batch was not delivered: {error}")


def drop(producer: KafkaProducer | None) -> None:
    """Close for good; what the producer still holds is sent or given up before this returns, not after."""
    if producer is None:
        return
    try:
        producer.close(timeout=_CLOSE_SECONDS)
    except KafkaError as error:
        log.warning("A producer was left with unsent messages: %s", error)
