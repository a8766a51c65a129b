"""Every metric of the screening consumer, declared once. No metric carries an account, an identity or a score."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, PlatformCollector, ProcessCollector

from consumers.since import SinceGauge

_STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        registry = self.registry

        self.build = Info("likeness_build", "Version, model pack and delivery in force.", registry=registry)
        self.events = Counter(
            "likeness_events",
            "Uploads that ended, by outcome: clear, review, no_face, dead_letter.",
            ["outcome"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "likeness_dead_letters", "Uploads that ended as dead letters, by reason.", ["reason"], registry=registry
        )
        self.findings = Counter("likeness_findings", "Findings sent to review, by kind.", ["kind"], registry=registry)
        self.silenced = Counter(
            "likeness_findings_silenced", "Findings not raised, by what silenced them.", ["by"], registry=registry
        )
        self.held = Counter(
            "likeness_reviews_held",
            "Reviews that wait apart from the queue: all they found belongs to quarantined identities.",
            registry=registry,
        )
        self.threshold = Gauge(
            "likeness_threshold", "Cosine from which a face is raised, as derived for the gallery.", registry=registry
        )
        self.threshold_extrapolated = Gauge(
            "likeness_threshold_extrapolated",
            "1 when the threshold lies beyond what the calibration's data support.",
            registry=registry,
        )
        self.expected_false_alarms = Gauge(
            "likeness_expected_false_alarm_rate",
            "Share of uploads of nobody in the gallery that a face raises, by the calibration; 0 = unknown.",
            registry=registry,
        )
        self.expected_detection = Gauge(
            "likeness_expected_detection_rate",
            "Share of photos of a person with one reference that reach the threshold, by the calibration.",
            registry=registry,
        )
        self.shadow_verdicts = Counter(
            "likeness_shadow_verdicts",
            "Uploads by the outcome in force and the outcome of the shadow policy.",
            ["outcome", "shadow"],
            registry=registry,
        )
        self.shadow_findings = Counter(
            "likeness_shadow_findings",
            "Identities that only one of both policies raises, by kind: extra = shadow only, missing = in force only.",
            ["kind", "change"],
            registry=registry,
        )
        self.faces = Counter("likeness_faces", "Faces probed.", registry=registry)
        self.stage = Histogram(
            "likeness_stage_seconds",
            "Time per upload by stage (fetch, decode, hash, detect, align, embed, quality, match, judge, read) and per "
            "batch (deliver).",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self.probes = Counter(
            "likeness_probes",
            "Uploads with faces, by whether these are kept for those who are protected later: kept, no_key (the day's "
            "key is not at hand); none without look_back.days.",
            ["result"],
            registry=registry,
        )
        self.latency = Histogram(
            "likeness_latency_seconds",
            "From an upload's Kafka timestamp to its delivered outcome.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
            registry=registry,
        )
        self.batch = Histogram(
            "likeness_batch_events",
            "Uploads screened together.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=registry,
        )
        self.in_flight = Gauge(
            "likeness_uploads_in_flight", "Uploads taken on that have no delivered outcome yet.", registry=registry
        )
        self.workers_lost = Counter(
            "likeness_workers_lost",
            "Worker processes that were replaced, by how they ended: crash, timeout.",
            ["how"],
            registry=registry,
        )
        self.fetches_waiting = Gauge(
            "likeness_fetches_waiting", "Pictures by URL that wait for a place at their host.", registry=registry
        )
        self.fetches_running = Gauge("likeness_fetches_running", "Pictures by URL under way.", registry=registry)
        self.fetch_hosts_down = Gauge(
            "likeness_fetch_hosts_down", "Image hosts that are left alone after failures in a row.", registry=registry
        )
        self.delivery_failures = Counter(
            "likeness_delivery_failures", "Batches whose delivery failed and was repeated.", registry=registry
        )
        self.gallery_references = Gauge("likeness_gallery_references", "References searched.", registry=registry)
        self.gallery_identities = Gauge("likeness_gallery_identities", "Identities searched.", registry=registry)
        self.gallery_version = Gauge("likeness_gallery_version", "Sequence of the newest change.", registry=registry)
        self.gallery_unusable = Gauge(
            "likeness_gallery_references_unusable",
            "References without an embedding of this model pack.",
            registry=registry,
        )
        self.gallery_changes = Counter(
            "likeness_gallery_changes",
            "Gallery changes by result: applied, removed, stale, unreadable.",
            ["result"],
            registry=registry,
        )
        self.vector_search = Histogram(
            "likeness_vector_search_seconds",
            "With [milvus]: time to find what the gallery holds about the uploads of a batch.",
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self.vector_written = Histogram(
            "likeness_vector_written_seconds",
            "With [milvus]: from a gallery change's Kafka timestamp to its rows in Milvus, if this process wrote them.",
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
            registry=registry,
        )
        self.since_outbox = SinceGauge(
            "likeness_seconds_since_outbox",
            "Seconds since this process last looked at the outbox, and sent what it held, without an error.",
            registry=registry,
        )
        self.published = Counter("likeness_outbox_published", "Gallery changes sent to Kafka.", registry=registry)
        self.lag = Gauge(
            "likeness_consumer_lag", "Uploads not yet consumed, by partition.", ["partition"], registry=registry
        )
        self.since_poll = Gauge(
            "likeness_seconds_since_poll", "Seconds since the consumer last asked for uploads.", registry=registry
        )
        self.rebalances = Counter(
            "likeness_rebalances",
            "Times that the group has given this worker partitions, the first time included.",
            registry=registry,
        )
        self.ready = Gauge("likeness_ready", "1 while the consumer screens.", registry=registry)
        # So that a first event is an increase from 0, which an alert can see.
        for outcome in ("clear", "review", "no_face", "dead_letter"):
            self.events.labels(outcome)
        for how in ("crash", "timeout"):
            self.workers_lost.labels(how)
        for result in ("kept", "no_key"):
            self.probes.labels(result)
        for result in ("applied", "removed", "stale", "unreadable"):
            self.gallery_changes.labels(result)
