"""Turns impersonation-reviews into the cases that moderators work on.

1. wait until database and broker are there  2. of each review: read it, make its picture, open the case
3. then commit its offset. What fails is begun anew at the committed offset; a case that is there stays as it is.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from config import Settings, SettingsError
from consumers.case_pictures import CasePictures, PictureMissing
from consumers.console_metrics import ConsoleMetrics
from consumers.kafka import BrokerAway, make_admin, make_consumer, wait_for_broker
from consumers.messages import ImpersonationSuspected, MessageRejected, Profile, read_review
from consumers.places import Place, place_of
from consumers.topics import TopicMissing, ensure_console_topics
from detector.worker_process import WorkersBroken
from records.casework.cases import CasePicture, CaseRecords, NewCase
from records.database import Database
from records.errors import DatabaseAway, RecordsError, UnknownCase

log = logging.getLogger("likeness.console")
FETCH_BYTES = 1_000_000
"""Fetched ahead of each partition; a larger review comes alone."""
POLL_MS = 200
ASK_MS = 5_000
LEAVE_MS = 5_000
"""How long leaving the group may take."""
SHORTEST_PAUSE = 0.25
FACTS = (
    "faces",
    "picture_width",
    "picture_height",
    "model_pack",
    "threshold",
    "sure_threshold",
    "gallery_version",
)


class CaseFeed:
    """Follows the topic of reviews in a thread of its own, as the group `<kafka.group_id>-cases`."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        cases: CaseRecords,
        pictures: CasePictures,
        metrics: ConsoleMetrics,
        stop: threading.Event,
        fail: Callable[[Exception], None],
    ) -> None:
        """`fail` is told why the feed ends before `stop` is set: RecordsError, SettingsError or WorkersBroken."""
        self._settings = settings
        self._database = database
        self._cases = cases
        self._pictures = pictures
        self._metrics = metrics
        self._stop = stop
        self._fail = fail
        self._thread = threading.Thread(target=self._run, name="case-feed", daemon=True)
        self._pause = SHORTEST_PAUSE
        self._place: Place | None = None
        self._stuck = False
        self._well = time.monotonic()
        metrics.since_reviews.set_function(lambda: time.monotonic() - self._well)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Wait for the review in work; `stop` must be set."""
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (BrokerAway, DatabaseAway, KafkaError, TopicMissing) as error:
                if self._stop.is_set():
                    return
                log.warning("Reviews wait in Kafka: %s Next try in %.1f s.", error, self._pause)
            except (RecordsError, SettingsError, WorkersBroken) as error:
                self._fail(error)
                return
            except Exception:  # a defect over one review must not take the pages away from moderators
                self._stuck = True
                log.exception("Reviews wait in Kafka at %s. Next try in %.1f s.", self._place, self._pause)
            self._stop.wait(self._pause)
            self._pause = min(2 * self._pause, self._settings.gallery.retry_seconds)

    def _follow(self) -> None:
        """Until `stop` is set. Raises what `_run` names, and begins anew then."""
        kafka, topics = self._settings.kafka, self._settings.topics
        wait_for_broker(kafka, self._stop, _report_waiting, self._settings.gallery.retry_seconds)
        self._database.check()
        with closing(make_admin(kafka)) as admin:
            ensure_console_topics(admin, topics, kafka)
        group = f"{kafka.group_id}-cases"
        consumer = make_consumer(kafka, group_id=group, max_partition_fetch_bytes=FETCH_BYTES)
        try:
            consumer.partitions_for_topic(topics.reviews)  # who joins without knowing them is given none at first
            consumer.subscribe([topics.reviews])
            while not self._stop.is_set():
                # One at a time: a picture that is waited for holds up the poll, and with it the place in the group.
                for partition, records in consumer.poll(timeout_ms=POLL_MS, max_records=1).items():
                    for record in records:
                        self._place = place_of(record)
                        if self._take(record):
                            _commit(consumer, partition, record)
                            self._stuck = False
                if not self._stuck:
                    self._well, self._pause = time.monotonic(), SHORTEST_PAUSE
                self._metrics.reviews_waiting.set(_waiting(consumer))
        finally:
            consumer.close(timeout_ms=LEAVE_MS)

    def _take(self, record: Any) -> bool:
        """Whether the record is done with."""
        try:
            review = read_review(record.value)
        except MessageRejected as error:
            told = {"position": str(place_of(record)), "error": error.detail}
            log.error("A message that is no review is passed over.", extra=told)
            self._metrics.reviews.labels("unreadable").inc()
            return True
        case_id = str(review.review_id)
        opened = False
        if not self._knows(case_id):
            try:
                picture: CasePicture | None = self._pictures.make(review)
            except PictureMissing as missing:
                if self._stop.is_set():
                    return False  # it may have been given up for that reason alone
                picture = None
                told = {"case_id": case_id, "reason": missing.reason, "detail": missing.detail}
                log.warning("A case has no picture.", extra=told)
                self._metrics.pictures_missing.labels(missing.reason).inc()
            opened = self._cases.open(new_case(review), picture)
        self._metrics.reviews.labels("opened" if opened else "known").inc()
        return True

    def _knows(self, case_id: str) -> bool:
        try:
            self._cases.get(case_id)
        except UnknownCase:
            return False
        return True


def _report_waiting(why: str) -> None:
    log.warning("Reviews wait in Kafka: %s", why)


def new_case(review: ImpersonationSuspected) -> NewCase:
    """The case of a review. Who was found is named by id alone: an erased identity's name is not kept here."""
    leading = review.findings[0]
    profile = review.profile or Profile()
    return NewCase(
        id=str(review.review_id),
        event_id=review.event_id,
        account_id=review.account_id,
        handle=_storable(profile.handle),
        display_name=_storable(profile.display_name),
        account_created_at=profile.created_at,
        uploaded_at=review.uploaded_at,
        screened_at=review.screened_at,
        kind=leading.kind,
        identity_id=leading.identity_id,
        identity_kind=leading.identity_kind,
        priority=review.priority,
        held=review.held,
        evidence=_evidence(review),
        reference_id=leading.reference_id,
        similarity=leading.similarity,
        threshold=leading.threshold,
        picture_url=_public_url(review),
    )


def _evidence(review: ImpersonationSuspected) -> str:
    findings = [
        finding.model_dump(mode="json", exclude={"text": True, "identity_name": True, "runner_up": {"identity_name"}})
        for finding in review.findings
    ]
    facts = review.model_dump(mode="json", include=set(FACTS))
    return json.dumps({"findings": findings, **facts}, ensure_ascii=True, separators=(",", ":"))


def _public_url(review: ImpersonationSuspected) -> str | None:
    """Where others can fetch the picture; not what lies in a store of ours."""
    url = review.image.url
    return _storable(url) if url and url.startswith(("https://", "http://")) else None


def _storable(text: str | None) -> str | None:
    """PostgreSQL takes no NUL in a text."""
    return None if text is None else text.replace("\0", "\ufffd")


def _commit(consumer: KafkaConsumer, partition: TopicPartition, record: Any) -> None:
    consumer.commit({partition: OffsetAndMetadata(record.offset + 1, "", record.leader_epoch)})


def _waiting(consumer: KafkaConsumer) -> int:
    """How many records the partitions of this member have left."""
    left = 0
    for partition in consumer.assignment():
        end, position = consumer.highwater(partition), consumer.position(partition, timeout_ms=ASK_MS)
        left += max(0, end - position) if end is not None and position is not None else 0
    return left
