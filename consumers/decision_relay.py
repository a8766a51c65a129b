"""Makes decisions final whose grace has passed, and publishes them to the topic review-decisions.

Every console runs one. They may do so at the same time: a lock in the database lets one at a time publish.
"""

import logging
import threading
import time
from collections.abc import Callable

from kafka.errors import KafkaError

from config import Settings
from consumers.console_metrics import ConsoleMetrics
from consumers.decision_sender import DecisionSender, DecisionSenders
from consumers.kafka import BrokerAway
from consumers.messages import CONTENT_TYPE, ReviewDecided, write_event
from consumers.outgoing import DeliveryFailed, OutgoingMessage, WorkerFenced
from records.casework.case_decisions import CaseDecisions
from records.casework.decision_outbox import DecisionBatch, DecisionOutbox, DecisionToSend
from records.errors import DatabaseAway, RecordsError

log = logging.getLogger("likeness.console")
SOURCE = "likeness/console"
LOOK_SECONDS = 1.0
"""How often decisions are looked for that have become final."""


class DecisionRelay:
    """Moves decisions from the records to Kafka, each until it is acknowledged."""

    def __init__(
        self,
        settings: Settings,
        decisions: CaseDecisions,
        outbox: DecisionOutbox,
        metrics: ConsoleMetrics,
        stop: threading.Event,
        fail: Callable[[Exception], None],
    ) -> None:
        """`fail` is told why the relay ends before `stop` is set: RecordsError."""
        self._settings = settings
        self._decisions = decisions
        self._outbox = outbox
        self._metrics = metrics
        self._stop = stop
        self._fail = fail
        self._senders = DecisionSenders(settings.kafka, settings.topics)
        self._sender: DecisionSender | None = None
        # Two threads: cases are closed in time, however long Kafka lets a batch wait.
        self._threads = [
            threading.Thread(target=self._repeat, args=(task,), name=name, daemon=True)
            for name, task in (("decisions-final", self.finish), ("decision-relay", self.drain))
        ]
        self._drained = time.monotonic()
        metrics.since_decisions.set_function(lambda: time.monotonic() - self._drained)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Wait for what is under way; `stop` must be set."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=10)
        self._drop_sender()

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def finish(self) -> int:
        """Make final what can be undone no more; how many decisions. Raises RecordsError."""
        count = self._decisions.finish_due()
        self._metrics.decided.inc(count)
        return count

    def drain(self) -> int | None:
        """Publish all that is final; how many decisions that was, or None when it was left to another process, which
        may fail: that is no success of ours. Raises DatabaseAway, BrokerAway, DeliveryFailed or KafkaError."""
        total = 0
        while count := self._publish_batch():
            total += count
            if self._stop.is_set():
                break
        if count is None:
            return None
        self._drained = time.monotonic()
        return total

    def _repeat(self, task: Callable[[], int | None]) -> None:
        pause = LOOK_SECONDS
        while not self._stop.wait(pause):
            try:
                if task() is not None:
                    pause = LOOK_SECONDS
            except (DatabaseAway, BrokerAway, DeliveryFailed, WorkerFenced, KafkaError) as error:
                pause = min(2 * pause, self._settings.gallery.retry_seconds)
                log.warning("Decisions wait in the database: %s Next try in %.1f s.", error, pause)
            except RecordsError as error:
                self._fail(error)
                return

    def _publish_batch(self) -> int | None:
        """How many decisions; None while another process publishes."""
        try:
            count = self._outbox.drain(self._publish, self._told)
        except WorkerFenced:  # another console has sent since
            self._drop_sender()
            count = self._outbox.drain(self._publish, self._told)
        except (BrokerAway, DeliveryFailed, KafkaError):
            self._drop_sender()
            raise
        self._metrics.sent.inc(count or 0)
        return count

    def _told(self) -> int:
        return self._open_sender().told

    def _publish(self, batch: DecisionBatch) -> None:
        self._open_sender().send([self._message(row) for row in batch.rows], batch.number)

    def _open_sender(self) -> DecisionSender:
        self._sender = self._sender or self._senders.open()
        return self._sender

    def _drop_sender(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def _message(self, row: DecisionToSend) -> OutgoingMessage:
        """The same bytes at every repeat: the event's time is that of the decision."""
        decided = ReviewDecided.model_validate_json(row.value)
        value = write_event(decided, decided.decision_id, decided.decided_at, source=SOURCE)
        return OutgoingMessage(self._settings.topics.decisions, row.key.encode(), value, (CONTENT_TYPE,))
