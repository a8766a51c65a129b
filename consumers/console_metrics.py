"""Every metric of the moderation console's process, declared once. None carries an account, an identity or a score."""

from dataclasses import asdict

from prometheus_client import CollectorRegistry, Counter, Gauge, PlatformCollector, ProcessCollector

from consumers.quality_metrics import QualityMetrics
from consumers.since import SinceGauge
from records.faces_kept import People


class ConsoleMetrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        registry = self.registry

        self.ready = Gauge(
            "likeness_console_ready",
            "1 from when pages are answered, while the threads behind them run.",
            registry=registry,
        )
        self.cases_open = Gauge(
            "likeness_console_cases_open",
            "Cases of a queue that wait for a decision, of all consoles together.",
            ["queue"],
            registry=registry,
        )
        self.cases_late = Gauge(
            "likeness_console_cases_late",
            "Of these, those that are older than the queue's target.",
            ["queue"],
            registry=registry,
        )
        self.reviews = Counter(
            "likeness_console_reviews",
            "Reviews taken from Kafka, by result: opened (a case), known (a repeat), unreadable.",
            ["result"],
            registry=registry,
        )
        self.pictures_missing = Counter(
            "likeness_console_pictures_missing",
            "Cases that were opened without their picture, by reason.",
            ["reason"],
            registry=registry,
        )
        self.reviews_waiting = Gauge(
            "likeness_console_reviews_waiting", "Reviews in Kafka that are no cases yet.", registry=registry
        )
        self.since_reviews = Gauge(
            "likeness_console_seconds_since_reviews",
            "Seconds since Kafka was last asked for reviews, and what it had made cases, without an error.",
            registry=registry,
        )
        self.people_with_faces = Gauge(
            "likeness_people_with_faces",
            "People of whom a face is kept, by where: gallery, reports, cases. One person may be in several.",
            ["where"],
            registry=registry,
        )
        self.reports = Counter(
            "likeness_console_reports",
            "Reports of platforms taken from Kafka, by result: taken, known (a repeat), refused, unreadable.",
            ["result"],
            registry=registry,
        )
        self.reports_waiting = Gauge(
            "likeness_console_reports_waiting",
            "Reports of platforms in Kafka that are not taken in.",
            registry=registry,
        )
        self.since_reports = Gauge(
            "likeness_console_seconds_since_reports",
            "Seconds since Kafka was last asked for reports, and what it had taken in, without an error; 0 without the "
            "topic.",
            registry=registry,
        )
        self.workers_lost = Counter(
            "likeness_console_workers_lost",
            "Worker processes that were replaced, by how they ended: crash, timeout.",
            ["how"],
            registry=registry,
        )
        self.decided = Counter(
            "likeness_console_decisions_final", "Decisions that can be undone no more.", registry=registry
        )
        self.sent = Counter("likeness_console_decisions_sent", "Decisions sent to Kafka.", registry=registry)
        self.since_decisions = SinceGauge(
            "likeness_console_seconds_since_decisions",
            "Seconds since this process last looked at the decisions, and sent those due, without an error; absent "
            "without the console.",
            registry=registry,
        )
        self.coop_reports = Counter(
            "likeness_console_coop_reports",
            "Cases sent to ROOST Coop, by result: taken, refused (not sent again by itself), failed (tried again).",
            ["result"],
            registry=registry,
        )
        self.coop_waiting = Gauge(
            "likeness_console_coop_waiting", "Cases that Coop is still to be told of.", registry=registry
        )
        self.since_coop = SinceGauge(
            "likeness_console_seconds_since_coop",
            "Seconds since this process last saw to it that no case waited for Coop, without an error; absent from who "
            "tells Coop nothing.",
            registry=registry,
        )
        self.mails = Counter(
            "likeness_console_mails",
            "Mails to reporters, by result: sent, refused (nobody can be written to there, or there is no address), "
            "failed (tried again).",
            ["result"],
            registry=registry,
        )
        self.since_mails = SinceGauge(
            "likeness_console_seconds_since_mails",
            "Seconds since this process last saw to it that no mail was due, without an error; absent from who sends "
            "none.",
            registry=registry,
        )
        self.since_expiry = SinceGauge(
            "likeness_console_seconds_since_expiry",
            "Seconds since all whose consent had ended were erased, without an error.",
            registry=registry,
        )
        self.quality = QualityMetrics(registry)
        # So that a first event is an increase from 0, which an alert can see.
        for result in ("opened", "known", "unreadable"):
            self.reviews.labels(result)
        for result in ("taken", "known", "refused", "unreadable"):
            self.reports.labels(result)
        for how in ("crash", "timeout"):
            self.workers_lost.labels(how)
        for result in ("taken", "refused", "failed"):
            self.coop_reports.labels(result)
        for result in ("sent", "refused", "failed"):
            self.mails.labels(result)

    def show_people(self, people: People) -> None:
        for where, count in asdict(people).items():
            self.people_with_faces.labels(where).set(count)
