"""One screening process from start to end: waits for what it needs, loads the gallery, screens, leaves tidily.

Order of start: model pack, database, broker, topics, outbox, gallery to its end, first upload. /readyz says what it
waits for meanwhile.
"""

import importlib.metadata
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

import tenacity
from kafka.errors import KafkaError

from config import Settings, SettingsError
from consumers.delivery import Delivery, DeliveryFailed, choose_delivery
from consumers.fetch import PictureFetcher
from consumers.fetch_queue import FetchQueue
from consumers.gallery_feed import GalleryFeed
from consumers.gallery_relay import GalleryRelay
from consumers.health import HealthServer
from consumers.kafka import BrokerAway, make_admin, make_consumer, wait_for_broker
from consumers.look_back.probe_keeper import ProbeKeeper
from consumers.metrics import Metrics
from consumers.open_detector import open_watched_detector
from consumers.screening import Screening
from consumers.topics import ensure_topics
from consumers.worker_slot import worker_slot
from detector import Detector
from detector.index import GalleryIndex
from detector.searchable import SearchableGallery
from records.database import Database, open_database
from records.errors import DatabaseAway
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.open_master_key import open_master_key
from records.keys.probe_keys import ProbeKeys
from records.outbox import Outbox

if TYPE_CHECKING:
    from consumers.milvus.side import MilvusSide
    from consumers.milvus.writer import GalleryWriter

log = logging.getLogger("likeness.service")
T = TypeVar("T")
FETCH_BYTES = 1_000_000
"""Fetched ahead of each partition; a larger message comes alone. More would hide how far the topic has grown."""

LEAVE_MS = 5_000
"""How long leaving the group may take at the end."""
REPEAT_SECONDS = 30.0
"""How often the same reason for waiting is logged."""


class Service:
    """A screening process. `run` returns once `stop` is set and everything held is finished and committed."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._metrics = Metrics()
        self._waiting_for: str | None = "Starting."
        self._told = 0.0
        self._screening: Screening | None = None
        self._milvus: MilvusSide | None = None
        self._threads: tuple[GalleryRelay | GalleryFeed | GalleryWriter | ProbeKeeper, ...] = ()

    def run(self) -> None:
        """Raises PackError, NoThreshold, MasterKeyError, SchemaMismatch, SettingsError, TopicMissing,
        GalleryOfAnotherPack, TooManyDeadLetters or WorkerFenced, each with one sentence for the operator."""
        with ExitStack() as stack:
            health = self._listen()
            stack.callback(health.close)
            self._metrics.since_poll.set_function(self._since_poll)
            self._metrics.ready.set_function(lambda: float(self.ready() is None))
            log.info("Serving /metrics, /healthz and /readyz.", extra={"port": health.port})
            try:
                self._serve(stack)
            except (BrokerAway, DatabaseAway, DeliveryFailed, KafkaError) as error:
                if not self._stop.is_set():
                    raise
                log.warning("Stopped while it waited: %s", error)
            finally:
                # Whatever ended the screening, the gallery's threads end before their clients are closed.
                self._stop.set()
                log.info("Stopping.")
        log.info("Stopped.")

    def healthy(self) -> str | None:
        """None, or why an orchestrator should start this process anew."""
        silent = self._since_poll()
        if silent > self._settings.kafka.max_poll_interval_ms / 1000:
            return f"The consumer has not polled for {silent:.0f} s."
        dead = [thread for thread in self._threads if not thread.alive]
        if dead and not self._stop.is_set():
            return f"{type(dead[0]).__name__} has ended."
        return None

    def ready(self) -> str | None:
        """None while uploads are screened, else what is missing."""
        if self._waiting_for is None and self._screening and not self._screening.joined:
            return "Joining the consumer group."
        uploads_wait = self._milvus.waiting if self._milvus else None
        return self._waiting_for or uploads_wait or self.healthy()

    def _since_poll(self) -> float:
        return time.monotonic() - self._screening.last_poll if self._screening else 0.0

    def _serve(self, stack: ExitStack) -> None:
        settings, stop = self._settings, self._stop
        self._waiting_for = "Loading the model pack."
        self._milvus = open_milvus(settings, self._metrics, stop)
        make_gallery = self._milvus.make_gallery if self._milvus else GalleryIndex
        detector = open_watched_detector(
            settings, lambda how: self._metrics.workers_lost.labels(how).inc(), make_gallery
        )
        stack.callback(detector.close)
        index = detector.index

        self._waiting_for = "Opening the database."
        database = open_database(settings.database_url)
        stack.callback(database.close)
        self._wait(database.migrate, "the database", DatabaseAway)
        master = open_master_key(settings.keys, settings.master_key_file, create=True)
        records = GalleryRecords(database, master)
        self._waiting_for = "Asking for the broker."
        wait_for_broker(settings.kafka, stop, self._report_waiting, settings.gallery.retry_seconds)
        self._waiting_for = "Loading the gallery."
        self._wait(self._make_topics, "the broker", BrokerAway, KafkaError)
        relay = GalleryRelay(settings, Outbox(database), self._metrics, stop)
        stack.callback(relay.close)
        self._wait(relay.drain, "the database and the broker", DatabaseAway, BrokerAway, DeliveryFailed, KafkaError)
        if self._milvus:
            follows: GalleryFeed | GalleryWriter = self._open_milvus(stack, self._milvus, database, master, records)
            galleries: Sequence[SearchableGallery] = self._milvus.galleries
        else:
            follows, galleries = self._load_gallery(stack, detector, records), detector.indexes
        index.require_searchable()
        for beside in galleries[1:]:
            if beside.without_embedding:
                log.warning(
                    "The shadow policy cannot search %d references: run `likeness gallery reembed --pack %s`.",
                    beside.without_embedding,
                    settings.shadow.pack,
                )
        consumer = self._wait(
            lambda: make_consumer(
                settings.kafka, group_id=settings.kafka.group_id, max_partition_fetch_bytes=FETCH_BYTES
            ),
            "the broker",
            BrokerAway,
        )
        stack.callback(consumer.close, timeout_ms=LEAVE_MS)
        # Once only: each call takes another name while this process holds the first.
        worker = settings.kafka.worker_id or worker_slot(settings.home)
        delivery: Delivery = self._wait(
            lambda: choose_delivery(settings.kafka, settings.topics, consumer, worker),
            "the broker",
            BrokerAway,
            DeliveryFailed,
        )
        stack.callback(delivery.close)
        fetcher = PictureFetcher(settings.fetch, settings.pictures.max_bytes)
        stack.callback(fetcher.close)
        self._metrics.build.info(
            {"version": importlib.metadata.version("likeness"), "pack": index.pack, "delivery": delivery.name}
        )
        fetches = FetchQueue(settings.fetch, fetcher)
        stack.callback(fetches.close)
        self._metrics.fetches_waiting.set_function(lambda: fetches.waiting)
        self._metrics.fetches_running.set_function(lambda: fetches.running)
        self._metrics.fetch_hosts_down.set_function(lambda: fetches.hosts_down)
        keeper = self._keep_probes(stack, database, master) if settings.look_back.days else None
        self._screening = Screening(settings, consumer, delivery, detector, fetches, self._metrics, stop, keeper=keeper)
        relay.start()
        follows.follow()
        self._threads = (relay, follows, *((keeper,) if keeper else ()))
        self._waiting_for = None
        log.info(
            "Screening.",
            extra={
                "pack": index.pack,
                "threshold": round(detector.thresholds.review, 4),
                "shadow": settings.shadow.on,
                "delivery": delivery.name,
                "references": index.references,
                "group": settings.kafka.group_id,
            },
        )
        self._screening.run()

    def _load_gallery(self, stack: ExitStack, detector: Detector, records: GalleryRecords) -> GalleryFeed:
        feed = self._wait(
            lambda: GalleryFeed(
                self._settings, records, detector.indexes, self._metrics, self._stop, on_progress=self._report_loading
            ),
            "the broker",
            BrokerAway,
        )
        stack.callback(feed.close)
        self._wait(feed.load, "the gallery", BrokerAway, KafkaError)
        return feed

    def _open_milvus(
        self, stack: ExitStack, milvus: "MilvusSide", database: Database, master: MasterKey, records: GalleryRecords
    ) -> "GalleryWriter":
        """The writer, which has begun; the gallery is in Milvus then, whoever wrote it."""
        stack.callback(milvus.close)
        self._wait(lambda: milvus.open(database, master, records), "Milvus", DatabaseAway)
        milvus.writer.follow()
        self._wait(
            lambda: milvus.wait_until_written(self._report_waiting), "the gallery", DatabaseAway, BrokerAway, KafkaError
        )
        return milvus.writer

    def _keep_probes(self, stack: ExitStack, database: Database, master: MasterKey) -> ProbeKeeper:
        keys = ProbeKeys(database, master, self._settings.look_back.days)
        keeper = ProbeKeeper(self._settings.topics.probes, keys, self._metrics, self._stop)
        self._wait(keeper.prepare, "the database", DatabaseAway)
        stack.callback(keeper.close)
        keeper.start()
        return keeper

    def _listen(self) -> HealthServer:
        http = self._settings.http
        try:
            return HealthServer(http.host, http.port, self._metrics.registry, self.healthy, self.ready)
        except OSError as error:
            raise SettingsError(
                f"Nothing can be served on http.host {http.host} and http.port {http.port}: {error.strerror}."
            ) from error

    def _make_topics(self) -> None:
        admin = make_admin(self._settings.kafka)
        try:
            ensure_topics(admin, self._settings.topics, self._settings.kafka, self._settings.look_back.days)
        finally:
            admin.close()

    def _wait(self, attempt: Callable[[], T], what: str, *away: type[Exception]) -> T:
        """The result of `attempt`, tried again with growing pauses while it raises one of `away`."""

        def report(state: tenacity.RetryCallState) -> None:
            self._report_waiting(f"Waiting for {what}: {state.outcome.exception() if state.outcome else ''}")

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(away),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=self._settings.gallery.retry_seconds),
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=report,
            reraise=True,
        )
        return attempts(attempt)

    def _report_loading(self, how_far: str) -> None:
        self._waiting_for = how_far

    def _report_waiting(self, why: str) -> None:
        now = time.monotonic()
        if why != self._waiting_for or now - self._told > REPEAT_SECONDS:
            log.warning("%s", why)
            self._told = now
        self._waiting_for = why


def open_milvus(settings: Settings, metrics: Metrics, stop: threading.Event) -> "MilvusSide | None":
    """None where each process holds the gallery. Raises SettingsError."""
    if settings.milvus.uri is None:
        return None
    try:
        from consumers.milvus.side import MilvusSide  # pymilvus is an extra, and slow to import
    except ImportError as error:
        raise SettingsError(
            f"milvus.uri is set, and {error.name} is missing: pip install 'likeness[milvus]'."
        ) from None
    return MilvusSide(settings, metrics, stop)
