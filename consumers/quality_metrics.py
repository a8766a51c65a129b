"""What a console tells Prometheus of the quality of review: of all consoles together, over the last 30 days, and of no
single person."""

from prometheus_client import CollectorRegistry, Gauge

from records.quality.review_quality import OUTCOMES, Precision, ReviewQuality

DAYS = 30
ALL = "all"


class QualityMetrics:
    """The gauges of ConsoleMetrics that `show` sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Gauge(
            "likeness_review_decisions",
            "Final decisions of the last 30 days, by finding.",
            ["kind", "decision"],
            registry=registry,
        )
        self.by_band = Gauge(
            "likeness_review_decisions_by_band",
            "Of these, those on a likeness, by how far it was above the threshold: cosine, in steps of 0.05.",
            ["band", "decision"],
            registry=registry,
        )
        self.pairs = Gauge(
            "likeness_review_pairs",
            "Cases of the last 30 days that two people judged without knowing of each other, by finding.",
            ["kind"],
            registry=registry,
        )
        self.kappa = Gauge(
            "likeness_review_kappa",
            "Cohen's kappa of these pairs; absent where they do not tell it.",
            ["kind"],
            registry=registry,
        )
        self.tests = Gauge(
            "likeness_review_tests",
            "Test cases done in the last 30 days, by result: right, wrong, escalated.",
            ["result"],
            registry=registry,
        )
        self.seconds = Gauge(
            "likeness_review_decision_seconds",
            "From a case's coming to its decision, over the last 30 days: quantiles 0.5 and 0.9.",
            ["queue", "quantile"],
            registry=registry,
        )

    def show(self, quality: ReviewQuality) -> None:
        """Sets all gauges to these figures; what is no more is absent."""
        for gauge in (self.decisions, self.by_band, self.pairs, self.kappa, self.seconds):
            gauge.clear()
        for kind, worth in quality.kinds.items():
            _decisions(self.decisions, kind, worth)
        for band, worth in quality.bands.items():
            _decisions(self.by_band, f"{band * 0.05:.2f}", worth)
        for kind, agreed in {**quality.agreements, ALL: quality.agreement}.items():
            self.pairs.labels(kind).set(agreed.pairs)
            if agreed.kappa is not None:
                self.kappa.labels(kind).set(agreed.kappa)
        for result in ("right", "wrong", "escalated"):
            self.tests.labels(result).set(getattr(quality.tests, result))
        for flow in quality.queues:
            if flow.median is not None and flow.p90 is not None:
                self.seconds.labels(flow.queue, "0.5").set(flow.median)
                self.seconds.labels(flow.queue, "0.9").set(flow.p90)


def _decisions(gauge: Gauge, group: str, worth: Precision) -> None:
    for decision in OUTCOMES:
        gauge.labels(group, decision).set(getattr(worth, decision))
