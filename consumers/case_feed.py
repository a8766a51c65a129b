"""Turns impersonation-reviews into the cases that moderators work on: each with its picture; one that is there stays as
it is."""

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from kafka.admin import KafkaAdminClient

from config import Settings
from consumers.case_pictures import CasePictures, PictureMissing
from consumers.console_metrics import ConsoleMetrics
from consumers.feed import Feed
from consumers.messages import ImpersonationSuspected, MessageRejected, Profile, read_review
from consumers.places import place_of
from consumers.topics import ensure_console_topics
from records.casework.cases import CasePicture, CaseRecords, NewCase
from records.database import Database
from records.errors import UnknownCase

log = logging.getLogger("likeness.console")
FACTS = (
    "faces",
    "picture_width",
    "picture_height",
    "model_pack",
    "threshold",
    "sure_threshold",
    "gallery_version",
)


class CaseFeed(Feed):
    """Follows the topic of reviews as the group `<kafka.group_id>-cases`."""

    what = "Reviews"

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
        """As in Feed."""
        group_id = f"{settings.kafka.group_id}-cases"
        gauges = metrics.reviews_waiting, metrics.since_reviews
        super().__init__(settings, database, settings.topics.reviews, group_id, *gauges, stop, fail)
        self._cases = cases
        self._pictures = pictures
        self._metrics = metrics

    def _ensure_topics(self, admin: KafkaAdminClient) -> None:
        ensure_console_topics(admin, self._settings.topics, self._settings.kafka)

    def _take(self, record: Any) -> bool:
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
        trigger=review.trigger,
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
