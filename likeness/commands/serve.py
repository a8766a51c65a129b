"""likeness serve: the moderation console."""

import logging
import signal
import threading
from functools import partial
from types import FrameType

from config import Settings, load_settings
from consumers.console_service import ConsoleService
from consumers.quality_metrics import DAYS
from likeness.console_enrolling import open_enrolling
from likeness.logs import set_up_logs
from likeness.page_server import PageServer
from records.announcer import utc_now
from records.errors import DatabaseAway
from records.gallery import GalleryRecords
from records.keys import load_master_key

log = logging.getLogger("likeness.console")


def serve() -> None:
    """Serve the moderation console, take in reviews and send decisions, until SIGTERM or Ctrl-C."""
    settings = load_settings()
    set_up_logs(settings.log.level, settings.log.format)
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    try:
        run_console(settings, stop)
    except DatabaseAway as error:
        if not stop.is_set():
            raise
        log.warning("Stopped while it waited: %s", error)
    log.info("Stopped.")


def run_console(settings: Settings, stop: threading.Event) -> None:
    """Returns once `stop` is set and all that was under way has ended. Raises PackError, MasterKeyError, SettingsError,
    SchemaMismatch or WorkersBroken, each with one sentence for the operator; DatabaseAway if it never was there."""
    from web.app import make_app
    from web.desk import open_desk

    with ConsoleService(settings, stop) as service:
        database = service.open_database()
        given = settings.keys.master_key.get_secret_value() if settings.keys.master_key else None
        master_key = load_master_key(given, settings.master_key_file, create=True)
        looking = service.open_looking()
        enrols = open_enrolling(settings, looking, GalleryRecords(database, master_key))
        desk = open_desk(settings, database, master_key, enrols=enrols)
        pages = PageServer(make_app(desk), settings.web.host, settings.web.port)
        try:
            upkeep = (
                desk.cases.reroute,
                lambda: desk.cases.erase_pictures(utc_now()),
                desk.sessions.sweep,
                desk.golden.sweep,
            )
            count, quality = desk.counts.of_all, partial(desk.quality.look_ahead, DAYS)
            service.start(
                looking, database, desk.cases, desk.decisions, desk.gallery, desk.audit, count, quality, upkeep
            )
            pages.start()
            log.info("The moderation console is at %s", pages.address)
            service.wait(pages)
        finally:
            pages.close()
            if enrols is not None:
                enrols.close()
