"""What goes on behind the console's pages: reviews become cases, decisions are sent, what is old is erased.

Order of start: /metrics and /healthz, database, master key, model pack, then (once the pages are there) the threads.
Kafka may be away: the threads wait for it, and the pages work on what the database holds.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Protocol

import tenacity

from config import Settings, SettingsError
from consumers.case_feed import CaseFeed
from consumers.case_pictures import CasePictures
from consumers.console_metrics import ConsoleMetrics
from consumers.coop import CoopRelay
from consumers.decision_relay import DecisionRelay
from consumers.feed import Feed
from consumers.health import HealthServer
from consumers.mail.mailing import Mailing
from consumers.open_detector import open_watched_looking
from consumers.report_feed import ReportFeed
from detector.looking import InProcesses
from records.audit import AuditLog
from records.casework.case_counts import QueueCount
from records.casework.case_decisions import CaseDecisions
from records.casework.cases import CaseRecords
from records.casework.coop_reports import CoopReports
from records.casework.decision_outbox import DecisionOutbox
from records.database import Database, open_database
from records.errors import DatabaseAway, RecordsError
from records.faces_kept import people_with_faces
from records.gallery import GalleryRecords
from records.keys.sealing import SealingKeys
from records.quality.review_quality import ReviewQuality
from records.reports.notices import ReportNotices
from records.reports.platform_intake import PlatformIntake

log = logging.getLogger("likeness.console")
UPKEEP_SECONDS = 3600.0
EXPIRY_SECONDS = 60.0
"""How long what has ended may go on matching: consent ends by itself."""
COUNT_SECONDS = 15.0
"""How often open cases are counted for /metrics."""
QUALITY_SECONDS = 300.0
"""How often the quality of review is."""


class Pages(Protocol):
    """Who answers the pages."""

    @property
    def alive(self) -> bool: ...


class ConsoleService:
    """The threads of one console. They begin with `start` and end with `close`; `stop` is set when they cannot go on.

    To be used as a context manager.
    """

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        """Raises SettingsError when [http] cannot be served."""
        self._settings = settings
        self._stop = stop
        self._metrics = ConsoleMetrics()
        self._metrics.ready.set_function(lambda: self._ready() is None)
        self._waiting_for: str | None = "Starting."
        self._failure: Exception | None = None
        self._pages: Pages | None = None
        self._threads: tuple[Feed | DecisionRelay | CoopRelay | Mailing, ...] = ()
        self._stack = ExitStack()
        http = settings.http
        try:
            health = HealthServer(http.host, http.port, self._metrics.registry, self._healthy, self._ready)
        except OSError as error:
            raise SettingsError(
                f"Nothing can be served on http.host {http.host} and http.port {http.port}: {error.strerror}; "
                "give each process on a machine an http.port of its own."
            ) from error
        self._stack.callback(health.close)

    def __enter__(self) -> "ConsoleService":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._stack.close()

    def open_database(self) -> Database:
        """The database, migrated; waits while it is away. Raises DatabaseAway once `stop` is set, SchemaMismatch."""
        database = open_database(self._settings.database_url)
        self._stack.callback(database.close)
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(DatabaseAway),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=self._settings.gallery.retry_seconds),
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=self._report_waiting,
            reraise=True,
        )
        attempts(database.migrate)
        self._waiting_for = "Loading the model pack."
        return database

    def open_looking(self) -> InProcesses:
        """Who looks at strangers' pictures. Raises PackError, WorkersBroken."""
        looking = open_watched_looking(self._settings, lambda how: self._metrics.workers_lost.labels(how).inc())
        self._stack.callback(looking.close)
        return looking

    def start(
        self,
        looking: InProcesses,
        database: Database,
        cases: CaseRecords,
        decisions: CaseDecisions,
        gallery: GalleryRecords,
        audit: AuditLog,
        intake: PlatformIntake,
        sealing: SealingKeys,
        count: Callable[[], Sequence[QueueCount]],
        quality: Callable[[], ReviewQuality],
    ) -> None:
        """Begins the threads of the console; `count` and `quality` tell of all queues for /metrics. Raises
        SettingsError."""
        settings, metrics, stop = self._settings, self._metrics, self._stop
        pictures = CasePictures(settings, looking, gallery, stop)
        self._stack.callback(pictures.close)
        feed = CaseFeed(settings, database, cases, pictures, metrics, stop, self._fail)
        relay = DecisionRelay(settings, decisions, DecisionOutbox(database, audit), metrics, stop, self._fail)
        coop = (CoopRelay(settings, CoopReports(database), metrics, stop, self._fail),) if settings.coop.url else ()
        topic = settings.topics.reports
        reports = (ReportFeed(settings, topic, database, intake, sealing, metrics, stop, self._fail),) if topic else ()
        threads = (feed, relay, *coop, *reports)
        self._threads += threads
        for thread in threads:
            self._stack.callback(thread.close)
            thread.start()
        self._repeat("count", [lambda: self._show(count())], COUNT_SECONDS)
        self._repeat("quality", [lambda: metrics.quality.show(quality())], QUALITY_SECONDS)
        self._repeat("faces", [lambda: metrics.show_people(people_with_faces(database))], QUALITY_SECONDS)

    def open_mailing(self, notices: ReportNotices) -> Mailing | None:
        """Who writes to reporters, from now on; None without [mail]. Raises SettingsError."""
        if not self._settings.mail.host:
            return None
        if not self._settings.web.public_address:
            raise SettingsError("mail.host needs web.public_address: reporters are sent to their page there.")
        mailing = Mailing(self._settings, notices, self._metrics, self._stop, self._fail)
        self._threads += (mailing,)
        self._stack.callback(mailing.close)
        mailing.start()
        return mailing

    def end_consents(self, expire: Callable[[], object]) -> None:
        """Begins a thread that erases whose consent has ended, now and every minute."""
        well = time.monotonic()

        def expire_all() -> None:
            nonlocal well
            expire()
            well = time.monotonic()

        self._metrics.since_expiry.set_function(lambda: time.monotonic() - well)
        self._repeat("expiry", [expire_all], EXPIRY_SECONDS)

    def keep_up(self, tasks: Sequence[Callable[[], object]]) -> None:
        """Begins a thread that does the tasks now and every hour."""
        self._repeat("upkeep", tasks, UPKEEP_SECONDS)

    def wait(self, pages: Pages) -> None:
        """Ready until `stop` is set, while `pages` are answered; raises what a thread could not go on for."""
        self._pages = pages
        self._waiting_for = None
        self._stop.wait()
        if self._failure is not None:
            raise self._failure

    def _repeat(self, name: str, tasks: Sequence[Callable[[], object]], seconds: float) -> None:
        """Begins a thread that does the tasks now and every so many seconds."""
        thread = threading.Thread(target=self._do_again, args=(name, tasks, seconds), name=name, daemon=True)
        thread.start()
        self._stack.callback(thread.join, 10)

    def _do_again(self, name: str, tasks: Sequence[Callable[[], object]], seconds: float) -> None:
        while not self._stop.is_set():
            pause = seconds
            for task in tasks:
                try:
                    task()
                except DatabaseAway as error:
                    pause = self._settings.gallery.retry_seconds
                    log.warning("The %s of cases waits: %s", name, error)
                    break
                except RecordsError as error:
                    self._fail(error)
                    break
                except Exception:  # a defect over one case or report must not end it for all others
                    log.exception("The %s of cases failed. Next try in %.0f s.", name, seconds)
            self._stop.wait(pause)

    def _show(self, counts: Sequence[QueueCount]) -> None:
        for queue in counts:
            self._metrics.cases_open.labels(queue.queue).set(queue.open)
            self._metrics.cases_late.labels(queue.queue).set(queue.late)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._stop.set()

    def _healthy(self) -> str | None:
        if self._stop.is_set():
            return None
        if self._pages is not None and not self._pages.alive:
            return "The pages are no longer answered."
        dead = [thread for thread in self._threads if not thread.alive]
        return f"{type(dead[0]).__name__} has ended." if dead else None

    def _ready(self) -> str | None:
        return self._waiting_for or self._healthy()

    def _report_waiting(self, state: tenacity.RetryCallState) -> None:
        self._waiting_for = f"Waiting for the database: {state.outcome.exception() if state.outcome else ''}"
        log.warning("%s", self._waiting_for)
