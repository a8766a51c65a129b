"""Makes decisions final whose grace has passed, and publishes them to the topic review-decisions.

Every console runs one. They may do so at the same time: a lock in the database lets one at a time publish.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from kafka import KafkaProducer
from kafka.errors import KafkaError

from config import Settings
from consumers.console_metrics import ConsoleMetrics
from consumers.kafka import BrokerAway, make_producer
from consumers.messages import CONTENT_TYPE, ReviewDecided, write_event
from consumers.outgoing import DeliveryFailed, OutgoingMessage, drop, send_all
from records.audit import AuditLog
from records.casework.case_decisions import CaseDecisions
from records.casework.decision_outbox import DecisionOutbox, DecisionToSend
from records.errors import DatabaseAway, RecordsError

log = logging.getLogger("likeness.console")
SOURCE = "likeness/console"
LOOK_SECONDS = 1.0
"""How often decisions are looked for that have become final."""
TOGETHER = 500
"""Decisions that are sent at once; fewer, and none is left."""


class DecisionRelay:
    """Moves decisions from the records to Kafka, each until it is acknowledged."""

    def __init__(
        self,
        settings: Settings,
        decisions: CaseDecisions,
        outbox: DecisionOutbox,
        audit: AuditLog,
        metrics: ConsoleMetrics,
        stop: threading.Event,
        fail: Callable[[Exception], None],
    ) -> None:
        """`fail` is told why the relay ends before `stop` is set: RecordsError."""
        self._settings = settings
        self._decisions = decisions
        self._outbox = outbox
        self._audit = audit
        self._metrics = metrics
        self._stop = stop
        self._fail = fail
        self._producer: KafkaProducer | None = None
        self._thread = threading.Thread(target=self._run, name="decision-relay", daemon=True)
        self._drained = time.monotonic()
        metrics.since_decisions.set_function(lambda: time.monotonic() - self._drained)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Wait for what is under way; `stop` must be set."""
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        drop(self._producer)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def finish(self) -> int:
        """Make final what can be undone no more; how many decisions. Raises RecordsError."""
        count = self._decisions.finish_due()
        self._metrics.decided.inc(count)
        return count

    def drain(self) -> int:
        """Publish all that is final; how many decisions that was. Raises DatabaseAway, BrokerAway, DeliveryFailed or
        KafkaError."""
        total = count = self._outbox.drain(self._publish, TOGETHER)
        while count == TOGETHER:
            total += (count := self._outbox.drain(self._publish, TOGETHER))
        self._drained = time.monotonic()
        return total

    def _run(self) -> None:
        pause = LOOK_SECONDS
        next_drain = 0.0
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.finish()
                if time.monotonic() >= next_drain:
                    self.drain()
                    pause = LOOK_SECONDS
            except (DatabaseAway, BrokerAway, DeliveryFailed, KafkaError) as error:
                pause = min(2 * pause, self._settings.gallery.retry_seconds)
                next_drain = time.monotonic() + pause
                log.warning("Decisions wait in the database: %s Next try in %.1f s.", error, pause)
            except RecordsError as error:
                self._fail(error)
                return

    def _publish(self, rows: Sequence[DecisionToSend]) -> None:
        """Sends, and writes down that it did: who dies in between sends, and writes down, once more."""
        decisions = [ReviewDecided.model_validate_json(row.value) for row in rows]
        messages = [self._message(row.key, decided) for row, decided in zip(rows, decisions, strict=True)]
        try:
            self._producer = self._producer or make_producer(self._settings.kafka)
            send_all(self._producer, messages, self._settings.kafka.transaction_seconds)
        except (KafkaError, DeliveryFailed):
            # One refused message spoils an idempotent producer for all later ones.
            drop(self._producer)
            self._producer = None
            raise
        self._metrics.sent.inc(len(rows))
        for decided in decisions:
            details = {"decision_id": decided.decision_id}
            self._audit.append("system", "decision_sent", str(decided.review_id), details)

    def _message(self, key: str, decided: ReviewDecided) -> OutgoingMessage:
        """The same bytes at every repeat: the event's time is that of the decision."""
        value = write_event(decided, decided.decision_id, decided.decided_at, source=SOURCE)
        return OutgoingMessage(self._settings.topics.decisions, key.encode(), value, (CONTENT_TYPE,))
