"""What the pages work with: the settings in force and the records, opened once for the whole process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from config import Settings
from records.announcer import utc_now
from records.audit import AuditLog
from records.case_claims import CaseClaims
from records.case_decisions import CaseDecisions
from records.cases import CaseRecords
from records.database import Database
from records.decisions import DecisionRecords
from records.gallery import GalleryRecords
from records.moderators import ModeratorRecords
from records.quarantine import BurstRule
from records.queues import QueueRule
from records.web_sessions import WebSessions


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings and the records that every page may use; safe to share among threads."""

    settings: Settings
    cases: CaseRecords
    claims: CaseClaims
    decisions: CaseDecisions
    moderators: ModeratorRecords
    sessions: WebSessions
    audit: AuditLog
    gallery: GalleryRecords
    clock: Callable[[], datetime]


def open_desk(
    settings: Settings, database: Database, master_key: bytes, *, clock: Callable[[], datetime] = utc_now
) -> Desk:
    """A desk over a migrated database, by the rules of `settings`. Asks the database nothing yet."""
    console = settings.console
    queues = [QueueRule(**queue.model_dump()) for queue in console.queues]
    lease = timedelta(seconds=console.lease_seconds)
    taught = DecisionRecords(database, master_key, BurstRule(**settings.quarantine.model_dump()), clock=clock)
    return Desk(
        settings=settings,
        cases=CaseRecords(
            database, master_key, queues, keep_pictures=timedelta(days=console.picture_days), clock=clock
        ),
        claims=CaseClaims(database, queues, lease=lease, clock=clock),
        decisions=CaseDecisions(
            database,
            taught,
            queues,
            grace=timedelta(seconds=console.grace_seconds),
            lease=lease,
            reasons=console.reasons,
            clock=clock,
        ),
        moderators=ModeratorRecords(database, master_key, clock=clock),
        sessions=WebSessions(
            database,
            lifetime=timedelta(hours=settings.web.session_hours),
            idle=timedelta(minutes=settings.web.idle_minutes),
            clock=clock,
        ),
        audit=AuditLog(database, clock=clock),
        gallery=GalleryRecords(database, master_key, clock=clock),
        clock=clock,
    )
