"""The process that looks back: opens what it needs, the cheaper of both ways, and works until it is told to stop.

Faces that were kept need no model; without them (look_back.days = 0) uploads are looked at by one worker process.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Self

import numpy as np
import tenacity
from numpy.typing import NDArray

from config import Settings, SettingsError
from consumers.fetch import PictureFetcher
from consumers.health import HealthServer
from consumers.look_back.indexed_past import Meant
from consumers.look_back.metrics import LookBackMetrics
from consumers.look_back.ways import KeptFaces, ReplayedUploads, Way
from consumers.look_back.worker import SETTLE_SECONDS, LookBackWorker
from consumers.open_detector import open_matcher, open_watched_looking
from consumers.patient_fetch import PatientFetcher
from detector import Detector
from detector.matching import Matcher
from detector.worker_pool import How
from records.audit import AuditLog
from records.database import Database, open_database
from records.errors import DatabaseAway
from records.keys.keyring import MasterKey
from records.keys.open_master_key import open_master_key
from records.keys.probe_keys import ProbeKeys
from records.reports.look_backs import LookBacks

log = logging.getLogger("likeness.look_back")
LOOK_SECONDS = 60.0
"""One picture may take by the clock on the wall: whoever gives way waits for the processor."""
STUCK_SECONDS = 300.0
"""Without a step for so long, the process is to be started anew."""


class LookBackService:
    """To be used as a context manager."""

    def __init__(self, settings: Settings, stop: threading.Event, *, settle: float = SETTLE_SECONDS) -> None:
        """settle: see look_back.py."""
        self._settle = settle
        self._settings = settings
        self._stop = stop
        self.metrics = LookBackMetrics()
        self._worker: LookBackWorker | None = None
        self._waiting_for: str | None = "Starting."
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._stack.close()

    def follow(self) -> None:
        """Does look-backs as they are asked for, and serves /metrics, /healthz and /readyz, until `stop` is set. Raises
        PackError, NoThreshold, MasterKeyError, SettingsError, SchemaMismatch or WorkersBroken, each with one sentence
        for the operator."""
        http = self._settings.http
        try:
            health = HealthServer(http.host, http.port, self.metrics.registry, self._healthy, self._ready)
        except OSError as error:
            raise SettingsError(
                f"Nothing can be served on http.host {http.host} and http.port {http.port}: {error.strerror}; "
                "give each process on a machine an http.port of its own."
            ) from error
        self._stack.callback(health.close)
        database = open_database(self._settings.database_url)
        self._stack.callback(database.close)
        try:
            self._wait_for(database)
        except DatabaseAway:
            if self._stop.is_set():
                return
            raise
        worker, _ = self._open(database)
        self._waiting_for = None
        log.info("Looking back, when it is asked for.", extra={"days": self._settings.look_back.days})
        worker.run()
        log.info("Stopped.")

    def open(self) -> tuple[LookBackWorker, LookBacks]:
        """Who looks back, and where it is asked for. Raises as `follow`, and DatabaseAway."""
        database = open_database(self._settings.database_url)
        self._stack.callback(database.close)
        database.migrate()
        return self._open(database)

    def _open(self, database: Database) -> tuple[LookBackWorker, LookBacks]:
        settings = self._settings
        master_key = open_master_key(settings.keys, settings.master_key_file, create=True)
        back = timedelta(days=settings.look_back.days or settings.look_back.replay_days)
        look_backs = LookBacks(database, master_key, AuditLog(database), back=back)
        way, matcher = self._way(database, master_key)
        worker = LookBackWorker(
            settings, database, look_backs, matcher, way, self.metrics, self._stop, settle=self._settle
        )
        self._stack.callback(worker.close)
        self._worker = worker
        return worker, look_backs

    def _way(self, database: Database, master_key: MasterKey) -> tuple[Way, Matcher]:
        settings = self._settings
        keys = ProbeKeys(database, master_key, settings.look_back.days)

        def on_lost(how: How) -> None:
            self.metrics.workers_lost.labels(how).inc()

        looking = open_watched_looking(settings, on_lost, seconds=LOOK_SECONDS)
        matcher = open_matcher(settings, looking.facts, threads=1)
        if settings.look_back.days:
            looking.close()
            self._stack.callback(matcher.close)
            return KeptFaces(
                settings, matcher, keys, self.metrics, self._open_places(database, master_key, keys)
            ), matcher
        detector = Detector(matcher, looking)
        self._stack.callback(detector.close)
        fetcher = PatientFetcher(PictureFetcher(settings.fetch, settings.pictures.max_bytes), self._stop)
        self._stack.callback(fetcher.close)
        return ReplayedUploads(settings, detector, fetcher, self.metrics, self._stop), matcher

    def _open_places(
        self, database: Database, master_key: MasterKey, keys: ProbeKeys
    ) -> Callable[[NDArray[np.float32], str, float], Meant] | None:
        """With [milvus]: where kept faces lie that are like others; they are brought there meanwhile."""
        settings = self._settings
        if settings.milvus.uri is None:
            return None
        from consumers.look_back.probe_places import ProbePlaces, ProbeWriter  # pymilvus is an extra, slow to import
        from consumers.milvus.side import open_store
        from consumers.milvus.topic_writer import positions

        store, _ = open_store(settings, database, master_key, later=True)  # without it all kept faces are compared
        self._stack.callback(store.close)
        places = ProbePlaces(store, keys)
        writer = ProbeWriter(settings, database, store, places, self._stop)
        self._stack.callback(writer.close)
        writer.follow()

        def near(faces: NDArray[np.float32], pack: str, least: float) -> Meant:
            until = {int(number): end for number, end in positions(store, settings.topics.probes).items()}
            return Meant(places.near(faces, pack, least), until)

        return near

    def _wait_for(self, database: Database) -> None:
        def report(state: tenacity.RetryCallState) -> None:
            self._waiting_for = f"Waiting for the database: {state.outcome.exception() if state.outcome else ''}"
            log.warning("%s", self._waiting_for)

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(DatabaseAway),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=self._settings.gallery.retry_seconds),
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=report,
            reraise=True,
        )
        attempts(database.migrate)

    def _healthy(self) -> str | None:
        silent = self._worker.since_turn if self._worker else 0.0
        return f"Nothing has moved for {silent:.0f} s." if silent > STUCK_SECONDS else None

    def _ready(self) -> str | None:
        return self._waiting_for or self._healthy()
