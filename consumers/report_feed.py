"""Takes reports from platforms' own forms in, from the topic victim-reports, where they lie sealed.

A report that cannot be taken in is told in the log, by its place and what is wrong, and passed over. It does not go to
the dead letters: they would keep the person's photos for 14 days more, and are sent again as uploads.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from kafka.admin import KafkaAdminClient

from config import Settings
from consumers.console_metrics import ConsoleMetrics
from consumers.feed import Feed
from consumers.messages import MessageRejected, read_report
from consumers.places import place_of
from consumers.topics import ensure_report_topic
from records.database import Database
from records.errors import NotSealed, ReportUnfit
from records.keys.sealing import SealingKeys
from records.reports.platform_intake import TOPIC, PlatformIntake

log = logging.getLogger("likeness.console")


class ReportFeed(Feed):
    """Follows the topic of reports as the group `<kafka.group_id>-reports`."""

    what = "Reports"

    def __init__(
        self,
        settings: Settings,
        topic: str,
        database: Database,
        intake: PlatformIntake,
        sealing: SealingKeys,
        metrics: ConsoleMetrics,
        stop: threading.Event,
        fail: Callable[[Exception], None],
    ) -> None:
        """As in Feed."""
        group_id = f"{settings.kafka.group_id}-reports"
        gauges = metrics.reports_waiting, metrics.since_reports
        super().__init__(settings, database, topic, group_id, *gauges, stop, fail)
        self._intake = intake
        self._sealing = sealing
        self._metrics = metrics

    def _ensure_topics(self, admin: KafkaAdminClient) -> None:
        ensure_report_topic(admin, self._settings.topics, self._settings.kafka)

    def _take(self, record: Any) -> bool:
        try:
            taken = self._intake.take(read_report(self._sealing.open(record.value)), TOPIC)
        except NotSealed as error:
            self._pass_over(record, "unreadable", str(error))
        except MessageRejected as error:
            self._pass_over(record, "unreadable", error.detail)
        except ReportUnfit as unfit:
            self._pass_over(record, "refused", "; ".join(f"{where}: {what}" for where, what in unfit.problems))
        else:
            self._metrics.reports.labels("known" if taken.pin is None else "taken").inc()
        return True

    def _pass_over(self, record: Any, result: str, why: str) -> None:
        told = {"position": str(place_of(record)), "error": why}
        log.error("A report from Kafka cannot be taken in; it is passed over.", extra=told)
        self._metrics.reports.labels(result).inc()
