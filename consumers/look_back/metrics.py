"""Every metric of the process that looks back, declared once. None carries an account, an identity or a score."""

from prometheus_client import CollectorRegistry, Counter, Gauge, PlatformCollector, ProcessCollector

from consumers.since import SinceGauge

RESULTS = ("clear", "review", "no_face", "not_fetched", "unreadable", "other_pack", "expired")


class LookBackMetrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        registry = self.registry

        self.pictures = Counter(
            "likeness_look_back_pictures",
            "Earlier uploads looked at, by result: " + ", ".join(RESULTS) + ".",
            ["result"],
            registry=registry,
        )
        self.findings = Counter(
            "likeness_look_back_findings", "Reviews sent about earlier uploads, repeats included.", registry=registry
        )
        self.undone = Gauge(
            "likeness_look_back_identities", "Look-backs that are not done, of all processes.", registry=registry
        )
        self.seconds_behind = Gauge(
            "likeness_look_back_seconds_behind",
            "Seconds since the oldest look-back that is not done was asked for.",
            registry=registry,
        )
        self.paused = Gauge(
            "likeness_look_back_paused", "1 while it waits until screening has caught up.", registry=registry
        )
        self.since_step = SinceGauge(
            "likeness_look_back_seconds_since_step",
            "Seconds since this process's last step without an error, of searching or of finding nothing to do.",
            registry=registry,
        )
        self.workers_lost = Counter(
            "likeness_look_back_workers_lost",
            "Worker processes that were replaced, by how they ended: crash, timeout.",
            ["how"],
            registry=registry,
        )
        # So that a first event is an increase from 0, which an alert can see.
        for result in RESULTS:
            self.pictures.labels(result)
        for how in ("crash", "timeout"):
            self.workers_lost.labels(how)
