"""The main loop: avatar-uploads in, exactly one screening or dead letter out per upload, reviews for suspicions.

1. poll  2. read each message, get its picture, screen it: many uploads side by side  3. deliver what has ended.
Uploads end in any order (consumers/progress.py), so nothing waits for a slow one. What cannot be delivered is consumed
again; ids derive from the event, so a repeat changes nothing.
"""

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import AuthorizationError, KafkaError
from kafka.structs import OffsetAndMetadata

from config import Settings
from consumers.dead_letter_limit import DeadLetterLimit, Ended
from consumers.delivery import Delivery, DeliveryFailed, MessageTooLarge, OutgoingMessage
from consumers.fetch_gate import FetchGate
from consumers.fetch_queue import FetchQueue
from consumers.fetch_rules import FetchRefused
from consumers.kafka import rewind
from consumers.look_back.probe_keeper import ProbeKeeper
from consumers.membership import Membership
from consumers.messages import MessageRejected, Profile, inline_bytes, read_upload
from consumers.metrics import Metrics
from consumers.outcomes import Screened, outcome
from consumers.progress import Progress
from consumers.reporting import Reporter
from detector import Detector, Upload

log = logging.getLogger("likeness.screening")
PAUSE_SECONDS = (0.2, 10.0)
"""Shortest and longest pause before what could not be delivered is tried again."""

MOMENT_MS = 20
"""How long a poll waits for more while uploads are under way. Under shorter polls the client hardly joins its group."""
HELD_SECONDS = 0.2
"""How long no poll is made while no more is taken on: each costs half a millisecond, and only tells of the group."""

REPORT_SECONDS = 1.0


class Screening:
    """Consumes uploads until `stop` is set; delivers what has ended by then, and returns."""

    def __init__(
        self,
        settings: Settings,
        consumer: KafkaConsumer,
        delivery: Delivery,
        detector: Detector,
        fetches: FetchQueue,
        metrics: Metrics,
        stop: threading.Event,
        *,
        keeper: ProbeKeeper | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._limits = settings.screening
        self._consumer = consumer
        self._delivery = delivery
        self._detector = detector
        self._fetches: FetchGate[Screened] = FetchGate(fetches, settings.screening.in_flight_bytes)
        self._metrics = metrics
        self._reporter = Reporter(metrics)
        self._stop = stop
        self._keeper = keeper
        self._now = now
        self._dead_letters = DeadLetterLimit(
            self._limits.dead_letter_share, self._limits.dead_letter_window, self._limits.dead_letter_minimum
        )
        self._membership = Membership(consumer, metrics)
        self._changes = 0
        self._member: Any = None
        self._progress: dict[TopicPartition, Progress] = {}
        self._numbers = itertools.count()
        self._in_work: set[Screened] = set()
        self._bytes = 0
        self._news: queue.SimpleQueue[Screened] = queue.SimpleQueue()
        self._ended: list[Screened] = []
        self._full = False
        self._pause = PAUSE_SECONDS[0]
        self._reported = 0.0
        self.last_poll = time.monotonic()

    @property
    def joined(self) -> bool:
        """Whether the group has taken this worker in, even if it has no partition for it."""
        return self._membership.joined

    def run(self) -> None:
        """Raises TooManyDeadLetters, WorkerFenced or WorkersBroken when the process must leave."""
        self._consumer.subscribe([self._settings.topics.uploads], listener=self._membership)
        try:
            while not self._stop.is_set():
                self._report()
                self._take_on(self._poll())
                self._begin_fetches()
                self._advance()
                if self._is_due():
                    self._deliver()
            if self._ended:
                self._deliver()
        finally:
            self._forget()

    # Taking uploads on

    def _poll(self) -> dict[TopicPartition, list[Any]]:
        self._hold_back()
        if self._full and time.monotonic() - self.last_poll < HELD_SECONDS:
            self._wait_for_news()
            return {}
        self.last_poll = time.monotonic()
        wait_ms = MOMENT_MS if self._in_work else self._limits.batch_wait_ms
        try:
            polled: dict[TopicPartition, list[Any]] = self._consumer.poll(
                timeout_ms=wait_ms, max_records=self._limits.batch_size
            )
        except AuthorizationError as error:
            pause = self._grown_pause()
            log.warning("Uploads may not be read: %s See the access rights. Next try in %.1f s.", error, pause)
            self._stop.wait(pause)
            return {}
        if self._membership.changes != self._changes:
            # Whose records these are is anyone's guess; from the committed positions on they are ours.
            self._stand()
            return {}
        return polled

    def _wait_for_news(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._news.put(self._news.get(timeout=MOMENT_MS / 1000))

    def _hold_back(self) -> None:
        """Pause partitions while there is enough to do; the group sees a consumer that polls."""
        most, least = self._limits.in_flight, self._limits.in_flight * 3 // 4
        most_bytes = self._limits.in_flight_bytes
        self._full = (len(self._in_work) >= least or self._bytes >= most_bytes * 3 // 4) and (
            self._full or len(self._in_work) >= most or self._bytes >= most_bytes
        )
        assigned, paused = self._consumer.assignment(), self._consumer.paused()
        held = {one for one in assigned if self._full or (one in self._progress and self._progress[one].full)}
        if held - paused:
            self._consumer.pause(*(held - paused))
        if paused - held:
            self._consumer.resume(*(paused - held))

    def _take_on(self, polled: dict[TopicPartition, list[Any]]) -> None:
        for partition, records in polled.items():
            progress = self._progress_at(partition, records[0].offset)
            for record in records:
                if not progress.reaches(record.offset):
                    self._consumer.seek(partition, record.offset)
                    break
                if progress.begin(record.offset, record.leader_epoch):
                    self._begin(Screened(record, partition, next(self._numbers)))

    def _progress_at(self, partition: TopicPartition, offset: int) -> Progress:
        """That of a partition of which `offset` was polled; a new one where the group has none, or the topic is not
        what it was."""
        progress = self._progress.get(partition)
        if progress is not None and offset < progress.next:
            log.warning("%s has been set back to offset %d: uploads from there on are screened.", partition, offset)
            self._drop({item for item in self._in_work if item.partition == partition})
            progress = None
        if progress is None:
            progress = self._progress[partition] = Progress(OffsetAndMetadata(offset, "", -1))
        return progress

    def _begin(self, item: Screened) -> None:
        self._in_work.add(item)
        self._dead_letters.begin(item.number)
        self._hold(item, len(item.record.value or b""))
        try:
            item.upload = read_upload(item.record.value)
            image = item.upload.image
            picture = None if image.base64 is None else inline_bytes(image)
        except MessageRejected as rejected:
            self._fail(item, rejected.reason, rejected.detail)
            return
        if picture is None:
            self._fetches.add(item, str(image.url))
        else:
            self._screen(item, picture)

    def _hold(self, item: Screened, size: int) -> None:
        item.size += size
        self._bytes += size

    def _screen(self, item: Screened, picture: bytes) -> None:
        assert item.upload is not None
        profile = item.upload.profile or Profile()
        item.fetched = True
        self._hold(item, len(picture))
        upload = Upload(picture, item.upload.account_id, profile.display_name, profile.handle)
        self._await(item, self._detector.submit(upload))

    def _await(self, item: Screened, step: Any) -> None:
        item.step, item.began = step, time.perf_counter()
        step.add_done_callback(lambda _: self._news.put(item))

    def _begin_fetches(self) -> None:
        for item, fetch in self._fetches.begin(self._bytes):
            self._await(item, fetch)

    # Steps that end

    def _advance(self) -> None:
        """Take each upload whose fetch or screening has ended a step further."""
        while not self._news.empty():
            item = self._news.get()
            # A fetch that was taken back tells of its end, too.
            if item in self._in_work and item.step is not None and item.step.done() and not item.step.cancelled():
                self._step_ended(item)

    def _step_ended(self, item: Screened) -> None:
        step, item.step = item.step, None
        assert step is not None
        if not item.fetched:
            self._metrics.stage.labels("fetch").observe(time.perf_counter() - item.began)
            try:
                picture = step.result()
            except FetchRefused as refused:
                self._fetches.ended(item, None)
                self._fail(item, refused.reason, refused.detail)
            else:
                self._fetches.ended(item, len(picture))
                self._screen(item, picture)
            return
        item.verdict = step.result()
        if item.verdict.outcome == "unscreenable":
            self._fail(item, item.verdict.reason or "unscreenable", item.verdict.detail or "")
        else:
            self._end(item)

    def _fail(self, item: Screened, reason: str, detail: str) -> None:
        item.reason, item.detail = reason, detail
        self._end(item)

    def _end(self, item: Screened) -> None:
        item.ended = time.monotonic()
        self._ended.append(item)

    # Delivering

    def _is_due(self) -> bool:
        """Whether enough has ended, or has waited long enough for company."""
        if not self._ended:
            return False
        alone = len(self._ended) == len(self._in_work)
        waited = time.monotonic() - self._ended[0].ended
        return alone or len(self._ended) >= self._limits.batch_size or waited >= self._limits.batch_wait_ms / 1000

    def _deliver(self) -> None:
        if self._membership.changes != self._changes:
            return
        batch = self._ended
        fates = {item.number: Ended(item.reason, item.upload.account_id if item.upload else None) for item in batch}
        self._dead_letters.check(fates)
        by_partition: dict[TopicPartition, set[int]] = {}
        for item in batch:
            by_partition.setdefault(item.partition, set()).add(item.record.offset)
        offsets = {one: self._progress[one].after(ended) for one, ended in by_partition.items()}
        started = time.perf_counter()
        try:
            self._deliver_fitting(batch, offsets)
        except DeliveryFailed as failed:
            self._metrics.delivery_failures.inc()
            log.warning("Uploads are consumed again: %s Next try in %.1f s.", failed, self._pause)
            if not self._stop.wait(self._grown_pause()):
                self._stand()
            return
        self._pause = PAUSE_SECONDS[0]
        self._metrics.stage.labels("deliver").observe(time.perf_counter() - started)
        for partition, ended in by_partition.items():
            self._progress[partition].end(ended)
        self._dead_letters.count(fates)
        self._let_go(batch)
        self._reporter.delivered(batch)

    def _deliver_fitting(self, batch: Sequence[Screened], offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        """Deliver; what Kafka refuses for its size goes without the upload's bytes. Raises DeliveryFailed."""
        topics, at = self._settings.topics, self._now()
        while True:
            made = [(output, item) for item in batch for output in (*outcome(item, topics, at), *self._kept(item, at))]
            try:
                self._delivery.deliver([output for output, _ in made], offsets, self._member)
                return
            except MessageTooLarge as refused:
                item = next(item for output, item in made if output is refused.output)
                if item.compact:
                    raise
                item.compact = True

    def _kept(self, item: Screened, at: datetime) -> list[OutgoingMessage]:
        """What keeps the upload's faces for those who are protected later, if that is wanted."""
        kept = self._keeper.message(item, at) if self._keeper else None
        return [kept] if kept else []

    # Letting go

    def _forget(self) -> None:
        """Drop all that is under way: it is others' now, or begins anew."""
        self._drop(set(self._in_work))
        self._progress = {}
        self._metrics.lag.clear()

    def _drop(self, items: Collection[Screened]) -> None:
        """Let go of uploads that have not been delivered."""
        self._fetches.drop(items)
        for item in items:
            if item.step is not None:
                item.step.cancel()
        self._dead_letters.forget(item.number for item in items)
        self._let_go(items)

    def _let_go(self, items: Collection[Screened]) -> None:
        self._in_work.difference_update(items)
        self._bytes -= sum(item.size for item in items)
        self._ended = [item for item in self._ended if item in self._in_work]

    def _stand(self) -> None:
        """Begin at the committed positions, as the member of the group that this process is now; ask until told."""
        while True:
            self._forget()
            try:
                self._changes, self._member = self._membership.changes, self._consumer.group_metadata()
                self._progress = {one: Progress(where) for one, where in rewind(self._consumer).items()}
                return
            except KafkaError as error:
                log.warning("The committed positions are unknown: %s Next try in %.1f s.", error, self._pause)
                self.last_poll = time.monotonic()
                if self._stop.wait(self._grown_pause()):
                    return

    def _grown_pause(self) -> float:
        pause, self._pause = self._pause, min(2 * self._pause, PAUSE_SECONDS[1])
        return pause

    def _report(self) -> None:
        if time.monotonic() - self._reported < REPORT_SECONDS:
            return
        self._reported = time.monotonic()
        self._reporter.policy(self._detector.thresholds)
        self._reporter.lag(self._consumer, Counter(item.partition for item in self._in_work))
