"""The main loop: avatar-uploads in, exactly one screening or dead letter out per upload, reviews for suspicions.

1. poll a batch  2. read each message and get its picture  3. screen them together  4. deliver outcomes and offsets.
A batch that cannot be delivered is consumed again; ids derive from the event, so a repeat changes nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from config import Settings
from consumers.dead_letters import DeadLetterLimit
from consumers.delivery import Delivery, DeliveryFailed, MessageTooLarge
from consumers.fetch import FetchRefused, PictureFetcher
from consumers.kafka import after, rewind
from consumers.messages import MessageRejected, Profile, inline_bytes, read_upload
from consumers.metrics import Metrics
from consumers.outcomes import Screened, outcome
from detector import Detector, Upload, Verdict
from detector.shadow import changed_cases

log = logging.getLogger("likeness.screening")
PAUSE_SECONDS = (0.2, 10.0)
"""Shortest and longest pause before a batch that could not be delivered is tried again."""

THRESHOLD_STEP = 0.005
"""Cosine by which the threshold has moved when it is logged again."""


class Screening:
    """Consumes uploads until `stop` is set; finishes and commits what it holds, then returns."""

    def __init__(
        self,
        settings: Settings,
        consumer: KafkaConsumer,
        delivery: Delivery,
        detector: Detector,
        fetcher: PictureFetcher,
        metrics: Metrics,
        stop: threading.Event,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._delivery = delivery
        self._detector = detector
        self._fetcher = fetcher
        self._metrics = metrics
        self._stop = stop
        self._now = now
        limits = settings.screening
        self._limit = DeadLetterLimit(limits.dead_letter_share, limits.dead_letter_window, limits.dead_letter_minimum)
        self._fetches = ThreadPoolExecutor(settings.fetch.concurrency, thread_name_prefix="fetch")
        self._pause = PAUSE_SECONDS[0]
        self._told_threshold: float | None = None
        self.last_poll = time.monotonic()
        self.joined = False

    def run(self) -> None:
        """Raises TooManyDeadLetters or WorkerFenced when the process must leave."""
        self._consumer.subscribe([self._settings.topics.uploads], listener=_Joined(self))
        try:
            while not self._stop.is_set():
                self.last_poll = time.monotonic()
                polled = self._consumer.poll(
                    timeout_ms=self._settings.screening.batch_wait_ms, max_records=self._settings.screening.batch_size
                )
                self._report_lag()
                self._report_policy()
                if polled:
                    self._handle([record for records in polled.values() for record in records])
        finally:
            self._fetches.shutdown(cancel_futures=True)

    def _handle(self, records: Sequence[Any]) -> None:
        batch = [self._read(record) for record in records]
        self._fetch([item for item in batch if item.reason is None and item.picture is None])
        self._screen([item for item in batch if item.reason is None])
        self._limit.check([item.reason for item in batch])
        if self._deliver(batch):
            self._limit.count([item.reason for item in batch])
            self._count(batch)

    def _read(self, record: Any) -> Screened:
        item = Screened(record)
        try:
            item.upload = read_upload(record.value)
            if item.upload.image.base64 is not None:
                item.picture = inline_bytes(item.upload.image)
        except MessageRejected as rejected:
            item.fail(rejected.reason, rejected.detail)
        return item

    def _fetch(self, batch: Sequence[Screened]) -> None:
        """Fill in pictures that stand elsewhere, several at a time."""

        def fetch(item: Screened) -> None:
            started = time.perf_counter()
            try:
                item.picture = self._fetcher.fetch(str(item.upload and item.upload.image.url))
            except FetchRefused as refused:
                item.fail(refused.reason, refused.detail)
            self._metrics.stage.labels("fetch").observe(time.perf_counter() - started)

        list(self._fetches.map(fetch, batch))

    def _screen(self, batch: Sequence[Screened]) -> None:
        uploads = [_upload(item) for item in batch]
        for item, verdict in zip(batch, self._detector.screen_batch(uploads), strict=True):
            item.picture = None
            item.verdict = verdict
            if verdict.outcome == "unscreenable":
                item.fail(verdict.reason or "unscreenable", verdict.detail or "")

    def _deliver(self, batch: Sequence[Screened]) -> bool:
        """Whether the batch is delivered; if not, the consumer stands where the batch began."""
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for item in batch:
            offsets |= after(item.record)
        started = time.perf_counter()
        try:
            self._deliver_fitting(batch, offsets)
        except DeliveryFailed as failed:
            self._metrics.delivery_failures.inc()
            log.warning("A batch is consumed again: %s Next try in %.1f s.", failed, self._pause)
            self._rewind()
            return False
        self._pause = PAUSE_SECONDS[0]
        self._metrics.stage.labels("deliver").observe(time.perf_counter() - started)
        return True

    def _rewind(self) -> None:
        """Go back to the committed positions, after a pause that grows; ask for them until the broker tells."""
        while not self._stop.wait(self._pause):
            self._pause = min(2 * self._pause, PAUSE_SECONDS[1])
            try:
                rewind(self._consumer)
                return
            except KafkaError as error:
                log.warning("The committed positions are unknown: %s Next try in %.1f s.", error, self._pause)

    def _deliver_fitting(self, batch: Sequence[Screened], offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        """Deliver; what Kafka refuses for its size goes without the upload's bytes. Raises DeliveryFailed."""
        topics, at = self._settings.topics, self._now()
        while True:
            made = [(output, item) for item in batch for output in outcome(item, topics, at)]
            try:
                self._delivery.deliver([output for output, _ in made], offsets)
                return
            except MessageTooLarge as refused:
                item = next(item for output, item in made if output is refused.output)
                if item.compact:
                    raise
                item.compact = True

    def _count(self, batch: Sequence[Screened]) -> None:
        now = time.time()
        self._metrics.batch.observe(len(batch))
        for item in batch:
            self._metrics.latency.observe(max(0.0, now - item.record.timestamp / 1000))
            event_id = item.upload.event_id if item.upload else None
            if item.reason is not None:
                self._metrics.events.labels("dead_letter").inc()
                self._metrics.dead_letters.labels(item.reason).inc()
                place = f"{item.record.topic}-{item.record.partition}@{item.record.offset}"
                log.warning("dead letter", extra={"event_id": event_id, "reason": item.reason, "position": place})
            elif item.verdict is not None:
                self._count_verdict(item.verdict)
                log.info("screened", extra={"event_id": event_id, "verdict": item.verdict.outcome})

    def _count_verdict(self, verdict: Verdict) -> None:
        self._metrics.events.labels(verdict.outcome).inc()
        self._metrics.faces.inc(len(verdict.faces))
        for finding in verdict.findings:
            self._metrics.findings.labels(finding.kind).inc()
        for silenced in verdict.silenced:
            self._metrics.silenced.labels(silenced.by).inc()
        if verdict.held:
            self._metrics.held.inc()
        if verdict.shadow is not None:
            self._count_shadow(verdict, verdict.shadow)
        for stage, milliseconds in verdict.milliseconds.items():
            self._metrics.stage.labels(stage).observe(milliseconds / 1000)

    def _count_shadow(self, verdict: Verdict, shadow: Verdict) -> None:
        """How the shadow policy would have decided: outcome against outcome, and cases that it adds or lacks."""
        self._metrics.shadow_verdicts.labels(verdict.outcome, shadow.outcome).inc()
        for change, kinds in changed_cases(verdict, shadow).items():
            for kind in kinds:
                self._metrics.shadow_findings.labels(kind, change).inc()

    def _report_policy(self) -> None:
        """Export the threshold in force, and log it when the gallery's growth has moved it."""
        thresholds = self._detector.thresholds
        self._metrics.threshold.set(thresholds.review)
        self._metrics.threshold_extrapolated.set(float(thresholds.extrapolated))
        if thresholds.fpir is not None:
            self._metrics.expected_false_alarms.set(thresholds.fpir)
        if thresholds.detection_rate is not None:
            self._metrics.expected_detection.set(thresholds.detection_rate)
        told = self._told_threshold
        if told is None or abs(told - thresholds.review) >= THRESHOLD_STEP:
            self._told_threshold = thresholds.review
            log.info(
                "The threshold is derived anew from the gallery's size." if told else "The threshold in force.",
                extra={
                    "threshold": round(thresholds.review, 4),
                    "was": None if told is None else round(told, 4),
                    "references": thresholds.references,
                    "fmr": thresholds.fmr,
                    "extrapolated": thresholds.extrapolated,
                },
            )

    def forget_lag(self) -> None:
        """Drop the lag of partitions that another worker may have now."""
        self._metrics.lag.clear()

    def _report_lag(self) -> None:
        for partition in self._consumer.assignment():
            end, position = self._consumer.highwater(partition), self._consumer.position(partition)
            if end is not None and position is not None:
                self._metrics.lag.labels(str(partition.partition)).set(max(0, end - position))


def _upload(item: Screened) -> Upload:
    if item.upload is None or item.picture is None:
        raise ValueError("a message that was not read, or has no picture, is a dead letter")
    profile = item.upload.profile or Profile()
    return Upload(item.picture, item.upload.account_id, profile.display_name, profile.handle)


class _Joined(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes that the group has taken this worker in, even if it has no partition for it."""

    def __init__(self, screening: Screening) -> None:
        self._screening = screening

    def on_partitions_revoked(self, revoked: object) -> None:
        """The next poll goes on with what is left; a batch is never open across polls."""
        self._screening.forget_lag()

    def on_partitions_assigned(self, assigned: object) -> None:
        self._screening.joined = True
        self._screening.forget_lag()
