"""What the pages work with: the settings in force and the records, opened once for the whole process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from config import Settings
from records.announcer import utc_now
from records.audit import AuditLog
from records.casework.appeals import AppealRecords
from records.casework.campaigns import BurstOfCases, Campaigns
from records.casework.case_batches import CaseBatches
from records.casework.case_claims import CaseClaims
from records.casework.case_counts import CaseCounts
from records.casework.case_decisions import CaseDecisions
from records.casework.case_listing import CaseListing
from records.casework.cases import CaseRecords
from records.casework.golden_cases import GoldenCases
from records.casework.golden_copies import GoldenMix
from records.casework.queues import QueueRule
from records.database import Database
from records.decisions import DecisionRecords
from records.gallery import GalleryRecords
from records.gallery_pages import GalleryPages
from records.people.api_tokens import ApiTokens
from records.people.arrivals import Arrivals
from records.people.listing import People
from records.people.moderators import ModeratorRecords
from records.people.web_sessions import WebSessions
from records.quality.review_quality import QualityRecords
from records.quarantine import BurstRule
from web.enrolling import Enrols

COUNTS_KEPT = timedelta(seconds=1)
CAMPAIGNS_KEPT = 5  # times as long


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings and the records that every page may use; safe to share among threads."""

    settings: Settings
    cases: CaseRecords
    claims: CaseClaims
    counts: CaseCounts
    campaigns: Campaigns
    batches: CaseBatches
    decisions: CaseDecisions
    moderators: ModeratorRecords
    people: People
    arrivals: Arrivals
    sessions: WebSessions
    audit: AuditLog
    golden: GoldenCases
    quality: QualityRecords
    appeals: AppealRecords
    tokens: ApiTokens
    listing: CaseListing
    gallery: GalleryRecords
    gallery_pages: GalleryPages
    taught: DecisionRecords
    enrols: Enrols | None
    clock: Callable[[], datetime]


def open_desk(
    settings: Settings,
    database: Database,
    master_key: bytes,
    *,
    enrols: Enrols | None = None,
    keep_counts: timedelta = COUNTS_KEPT,
    clock: Callable[[], datetime] = utc_now,
) -> Desk:
    """A desk over a migrated database, by the rules of `settings`. Asks the database nothing yet. keep_counts: for how
    long what was counted over all cases is shown again. enrols: None where photos cannot be judged."""
    console = settings.console
    audit = AuditLog(database, clock=clock)
    queues = [QueueRule(**queue.model_dump()) for queue in console.queues]
    lease = timedelta(seconds=console.lease_seconds)
    taught = DecisionRecords(database, master_key, BurstRule(**settings.quarantine.model_dump()), clock=clock)
    burst = BurstOfCases(console.campaign_cases, console.campaign_hours)
    decisions = CaseDecisions(
        database,
        taught,
        queues,
        audit,
        grace=timedelta(seconds=console.grace_seconds),
        lease=lease,
        reasons=console.reasons,
        clock=clock,
    )
    return Desk(
        settings=settings,
        cases=CaseRecords(
            database,
            master_key,
            queues,
            keep_pictures=timedelta(days=console.picture_days),
            double_review_rate=console.double_review_rate,
            report_to_coop=settings.coop.url is not None,
            clock=clock,
        ),
        claims=CaseClaims(
            database, queues, audit, lease=lease, golden=GoldenMix(master_key, console.golden_rate), clock=clock
        ),
        counts=CaseCounts(database, queues, keep=keep_counts, clock=clock),
        campaigns=Campaigns(
            database, queues, audit, burst=burst, lease=lease, keep=CAMPAIGNS_KEPT * keep_counts, clock=clock
        ),
        batches=CaseBatches(database, decisions, audit, lease=lease, clock=clock),
        decisions=decisions,
        moderators=ModeratorRecords(database, master_key, clock=clock),
        people=People(database, clock=clock),
        arrivals=Arrivals(database, clock=clock),
        sessions=WebSessions(
            database,
            lifetime=timedelta(hours=settings.web.session_hours),
            idle=timedelta(minutes=settings.web.idle_minutes),
            clock=clock,
        ),
        audit=audit,
        golden=GoldenCases(database, audit, clock=clock),
        quality=QualityRecords(database, [rule.name for rule in queues], clock=clock),
        appeals=AppealRecords(database, AuditLog(database, clock=clock), queues, clock=clock),
        tokens=ApiTokens(database, audit, clock=clock),
        listing=CaseListing(database, clock=clock),
        gallery=GalleryRecords(database, master_key, clock=clock),
        gallery_pages=GalleryPages(database, keep=60 * keep_counts, clock=clock),
        taught=taught,
        enrols=enrols,
        clock=clock,
    )
