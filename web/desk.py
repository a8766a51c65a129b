"""What the pages work with: the settings in force and the records, opened once for the whole process."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
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
from records.kept import Kept
from records.keys.keyring import MasterKey
from records.keys.sealing import SealingKeys
from records.keys.signing import SigningKeys
from records.people.api_tokens import ApiTokens
from records.people.arrivals import Arrivals
from records.people.listing import People
from records.people.moderators import ModeratorRecords
from records.people.web_sessions import WebSessions
from records.quality.review_quality import QualityRecords
from records.quarantine import BurstRule
from records.reports.access import ReportAccess
from records.reports.consent import ReportConsents
from records.reports.drafts import ReportDrafts
from records.reports.erasure import Erasure
from records.reports.evidence import EvidenceRecords
from records.reports.intake import ReportIntake
from records.reports.limits import ReportLimits
from records.reports.look_backs import LookBacks
from records.reports.messages import ReportMessages
from records.reports.notices import Notice, ReportNotices
from records.reports.own_copy import OwnCopies
from records.reports.platform_intake import PlatformIntake
from records.reports.reading import OPEN, ReportReading
from records.reports.review import ReportReview
from web.console.evidence_file import EvidenceFiles
from web.enrolling import Enrols
from web.showing import ShowsFaces

COUNTS_KEPT = timedelta(seconds=1)
CAMPAIGNS_KEPT = 5  # times as long


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings and the records that every page may use; safe to share among threads. one_moment: see Database; for
    pages of many readings."""

    settings: Settings
    one_moment: Callable[[], AbstractContextManager[None]]
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
    report_drafts: ReportDrafts
    report_limits: ReportLimits
    report_intake: ReportIntake
    report_reading: ReportReading
    open_reports: Kept[Mapping[str, int]]
    report_review: ReportReview
    look_backs: LookBacks
    shows: ShowsFaces | None
    report_access: ReportAccess
    report_messages: ReportMessages
    report_consents: ReportConsents
    report_copies: OwnCopies
    report_notices: ReportNotices
    erasure: Erasure
    signing: SigningKeys
    sealing: SealingKeys
    evidence: EvidenceRecords
    evidence_files: EvidenceFiles
    last_word: Callable[[Notice], None] | None
    platform_intake: PlatformIntake
    clock: Callable[[], datetime]


def open_desk(
    settings: Settings,
    database: Database,
    master_key: MasterKey,
    *,
    enrols: Enrols | None = None,
    shows: ShowsFaces | None = None,
    last_word: Callable[[Notice], None] | None = None,
    keep_counts: timedelta = COUNTS_KEPT,
    clock: Callable[[], datetime] = utc_now,
) -> Desk:
    """A desk over a migrated database, by the rules of `settings`. Asks the database nothing yet. keep_counts: for how
    long what was counted over all cases is shown again. enrols: None where photos cannot be judged; shows: None where
    no faces are kept; last_word: sends a mail, None where nobody is written to."""
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
    cases = CaseRecords(
        database,
        master_key,
        queues,
        keep_pictures=timedelta(days=console.picture_days),
        double_review_rate=console.double_review_rate,
        report_to_coop=settings.coop.url is not None,
        clock=clock,
    )
    signing = SigningKeys(database, master_key, clock=clock)
    gallery = GalleryRecords(database, master_key, clock=clock)
    messages = ReportMessages(database, master_key, audit, clock=clock)
    back = timedelta(days=settings.look_back.days or settings.look_back.replay_days)
    look_backs = LookBacks(database, master_key, audit, back=back, clock=clock)
    reports = ReportReading(database, master_key)
    report_intake = ReportIntake(database, master_key, audit, clock=clock)
    return Desk(
        settings=settings,
        one_moment=database.one_moment,
        cases=cases,
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
        golden=GoldenCases(database, audit, keep=60 * keep_counts, clock=clock),
        quality=QualityRecords(database, [rule.name for rule in queues], clock=clock),
        appeals=AppealRecords(database, AuditLog(database, clock=clock), queues, clock=clock),
        tokens=ApiTokens(database, audit, clock=clock),
        listing=CaseListing(database, clock=clock),
        gallery=gallery,
        gallery_pages=GalleryPages(database, keep=60 * keep_counts, clock=clock),
        taught=taught,
        enrols=enrols,
        report_drafts=ReportDrafts(database, lasts=timedelta(minutes=settings.reports.draft_minutes), clock=clock),
        report_limits=ReportLimits(
            database,
            master_key,
            per_address=settings.reports.per_address,
            per_device=settings.reports.per_device,
            clock=clock,
        ),
        report_intake=report_intake,
        report_reading=reports,
        open_reports=Kept(lambda _: reports.count(OPEN), keep=5 * keep_counts, clock=clock),
        report_review=ReportReview(
            database, master_key, audit, look_backs, reasons=settings.reports.reasons, clock=clock
        ),
        look_backs=look_backs,
        shows=shows,
        report_access=ReportAccess(
            database, audit, idle=timedelta(minutes=settings.reports.session_minutes), clock=clock
        ),
        report_messages=messages,
        report_consents=ReportConsents(database, master_key, gallery, audit, clock=clock),
        report_copies=OwnCopies(database, master_key, gallery, messages, audit),
        report_notices=ReportNotices(
            database, master_key, remind=timedelta(days=settings.reports.remind_days), clock=clock
        ),
        erasure=Erasure(database, master_key, audit, clock=clock),
        signing=signing,
        sealing=SealingKeys(database, master_key, clock=clock),
        evidence=EvidenceRecords(database, ReportReading(database, master_key), cases, gallery),
        evidence_files=EvidenceFiles(
            signing, accounts=settings.reports.evidence_accounts, platform=console.statement.platform
        ),
        last_word=last_word,
        platform_intake=PlatformIntake(report_intake, enrols, max(settings.reports.months), clock=clock),
        clock=clock,
    )
