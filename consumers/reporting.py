"""What the screening loop tells operators: metrics and a log line for each upload that ended, the policy in force."""

import logging
import time
from collections.abc import Mapping, Sequence

from kafka import KafkaConsumer, TopicPartition

from consumers.metrics import Metrics
from consumers.outcomes import Screened
from detector import Verdict
from detector.policy import Thresholds
from detector.shadow import changed_cases

log = logging.getLogger("likeness.screening")
THRESHOLD_STEP = 0.005
"""Cosine by which the threshold has moved when it is logged again."""


class Reporter:
    """Counts and logs what was delivered."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._told_threshold: float | None = None

    def delivered(self, batch: Sequence[Screened]) -> None:
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
                self._verdict(item.verdict)
                log.info("screened", extra={"event_id": event_id, "verdict": item.verdict.outcome})

    def _verdict(self, verdict: Verdict) -> None:
        self._metrics.events.labels(verdict.outcome).inc()
        self._metrics.faces.inc(len(verdict.faces))
        for finding in verdict.findings:
            self._metrics.findings.labels(finding.kind).inc()
        for silenced in verdict.silenced:
            self._metrics.silenced.labels(silenced.by).inc()
        if verdict.held:
            self._metrics.held.inc()
        if verdict.shadow is not None:
            self._shadow(verdict, verdict.shadow)
        for stage, milliseconds in verdict.milliseconds.items():
            self._metrics.stage.labels(stage).observe(milliseconds / 1000)

    def _shadow(self, verdict: Verdict, shadow: Verdict) -> None:
        """How the shadow policy would have decided: outcome against outcome, and cases that it adds or lacks."""
        self._metrics.shadow_verdicts.labels(verdict.outcome, shadow.outcome).inc()
        for change, kinds in changed_cases(verdict, shadow).items():
            for kind in kinds:
                self._metrics.shadow_findings.labels(kind, change).inc()

    def lag(self, consumer: KafkaConsumer, under_way: Mapping[TopicPartition, int]) -> None:
        """Export how many uploads each assigned partition has left, those that are `under_way` included."""
        self._metrics.in_flight.set(sum(under_way.values()))
        for partition in consumer.assignment():
            end, position = consumer.highwater(partition), consumer.position(partition)
            if position is not None:
                # The broker tells the end of a partition that stands idle only once: then the position is the end.
                left = max(0, (position if end is None else end) - position)
                self._metrics.lag.labels(str(partition.partition)).set(left + under_way.get(partition, 0))

    def policy(self, thresholds: Thresholds) -> None:
        """Export the threshold in force, and log it when the gallery's growth has moved it."""
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
