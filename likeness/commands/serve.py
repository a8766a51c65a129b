"""likeness serve: the moderation console and the report page."""

import logging
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from config import Settings, load_settings
from consumers.console_service import ConsoleService
from consumers.quality_metrics import DAYS
from likeness.console_enrolling import open_enrolling
from likeness.console_showing import open_showing
from likeness.logs import set_up_logs
from likeness.page_server import PageServer
from records.announcer import utc_now
from records.database import Database
from records.erased_rows import ErasedRows
from records.errors import DatabaseAway
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.open_master_key import open_master_key
from records.keys.probe_keys import ProbeKeys
from records.reports.notices import ReportNotices

if TYPE_CHECKING:
    from consumers.milvus.mirror import MilvusMirror

log = logging.getLogger("likeness.console")


def serve() -> None:
    """Serve the moderation console and the report page, take in reviews and send decisions, until SIGTERM or Ctrl-C."""
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
        master_key = open_master_key(settings.keys, settings.master_key_file, create=True)
        looking = service.open_looking()
        records = GalleryRecords(database, master_key)
        enrols = open_enrolling(settings, looking, records, _mirror_in_milvus(settings, database, master_key, records))
        web = settings.web
        mailing = None
        if "reports" in web.serves:
            remind = timedelta(days=settings.reports.remind_days)
            mailing = service.open_mailing(ReportNotices(database, master_key, remind=remind))
        last_word = mailing.last_word if mailing else None
        shows = open_showing(settings, database, master_key, looking)
        desk = open_desk(settings, database, master_key, enrols=enrols, shows=shows, last_word=last_word)
        pages = PageServer(make_app(desk), web.host, web.port, web.trusted_proxies)
        try:
            upkeep = [desk.report_drafts.sweep, desk.report_limits.sweep, desk.report_access.sweep]
            if "console" in web.serves:
                count, quality = desk.counts.of_all, partial(desk.quality.look_ahead, DAYS)
                needed = desk.cases, desk.decisions, desk.gallery, desk.audit, desk.platform_intake, desk.sealing
                service.start(looking, database, *needed, count, quality)
                upkeep += [
                    desk.cases.reroute,
                    lambda: desk.cases.erase_pictures(utc_now()),
                    desk.sessions.sweep,
                    desk.golden.sweep,
                    ErasedRows(database).sweep,
                    lambda: ProbeKeys(database, master_key, settings.look_back.days).sweep(utc_now()),
                ]
            service.keep_up(upkeep)
            service.end_consents(lambda: desk.erasure.expire(utc_now()))
            pages.start()
            what = "moderation console" if "console" in web.serves else "report page"
            log.info("The %s is at %s", what, pages.address)
            service.wait(pages)
        finally:
            pages.close()
            for one in (enrols, shows):
                if one is not None:
                    one.close()


def _mirror_in_milvus(
    settings: Settings, database: Database, master_key: MasterKey, records: GalleryRecords
) -> "Callable[[str, int], MilvusMirror] | None":
    """None where each process holds the gallery."""
    if settings.milvus.uri is None:
        return None
    from consumers.milvus.mirror import MilvusMirror  # pymilvus is an extra, and slow to import
    from consumers.milvus.side import open_store

    return partial(MilvusMirror, records, partial(open_store, settings, database, master_key))
