"""Publishes the gallery's outbox to the topic gallery-changes. Every consumer runs one; one at a time works."""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from kafka import KafkaProducer
from kafka.errors import KafkaError

from config import Settings
from consumers.kafka import BrokerAway, make_producer
from consumers.messages import CONTENT_TYPE, GalleryChanged, write_event
from consumers.metrics import Metrics
from consumers.outgoing import DeliveryFailed, OutgoingMessage, drop, send_all
from records.errors import DatabaseAway
from records.outbox import Outbox, OutboxRow

log = logging.getLogger("likeness.gallery")
SOURCE = "likeness/gallery"
TOGETHER = 500
"""Rows that are sent at once; fewer, and none is left."""


class GalleryRelay:
    """Moves rows from the outbox to Kafka, in order, each until it is acknowledged."""

    def __init__(self, settings: Settings, outbox: Outbox, metrics: Metrics, stop: threading.Event) -> None:
        self._settings = settings
        self._outbox = outbox
        self._metrics = metrics
        self._stop = stop
        self._producer: KafkaProducer | None = None
        self._thread = threading.Thread(target=self._run, name="gallery-relay", daemon=True)
        self._drained = time.monotonic()
        metrics.since_outbox.set_function(lambda: time.monotonic() - self._drained)

    def drain(self) -> int | None:
        """Publish all that waits now; how many rows that was, or None when it was left to another process, which may
        fail: that is no success of ours. Raises DatabaseAway, BrokerAway, DeliveryFailed or KafkaError."""
        total, count = 0, TOGETHER
        while count == TOGETHER:
            drained = self._outbox.drain(self._publish, TOGETHER)
            if drained is None:
                return None
            total += (count := drained)
        self._drained = time.monotonic()
        return total

    def start(self) -> None:
        """Go on in a thread of its own until the process stops."""
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        drop(self._producer)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        wait = self._settings.gallery.relay_seconds
        while not self._stop.wait(wait):
            try:
                if self.drain() is not None:
                    wait = self._settings.gallery.relay_seconds
            except (DatabaseAway, BrokerAway, DeliveryFailed, KafkaError) as error:
                wait = min(2 * wait, self._settings.gallery.retry_seconds)
                log.warning("Gallery changes wait in the outbox: %s Next try in %.1f s.", error, wait)

    def _publish(self, rows: Sequence[OutboxRow]) -> None:
        now = datetime.now(UTC)
        messages = [self._message(row, now) for row in rows]
        try:
            self._producer = self._producer or make_producer(self._settings.kafka)
            send_all(self._producer, messages, self._settings.kafka.transaction_seconds)
        except (KafkaError, DeliveryFailed):
            # One refused message spoils an idempotent producer for all later ones.
            drop(self._producer)
            self._producer = None
            raise
        self._metrics.published.inc(len(rows))

    def _message(self, row: OutboxRow, now: datetime) -> OutgoingMessage:
        sequence = ("sequence", str(row.sequence).encode())
        if row.value is None:
            return OutgoingMessage(self._settings.topics.gallery_changes, row.key.encode(), None, (sequence,))
        change = GalleryChanged.model_validate_json(row.value)
        value = write_event(change, f"{row.key}:{row.sequence}", now, source=SOURCE)
        return OutgoingMessage(self._settings.topics.gallery_changes, row.key.encode(), value, (CONTENT_TYPE, sequence))
