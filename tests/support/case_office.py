"""An office that works cases: a migrated database, people, a clock that the test moves, and the records in use."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from records.audit import AuditLog
from records.casework.campaigns import BurstOfCases, Campaigns
from records.casework.case_batches import CaseBatches
from records.casework.case_claims import CaseClaims
from records.casework.case_counts import CaseCounts
from records.casework.case_decisions import CaseDecisions
from records.casework.cases import CaseRecords, NewCase
from records.casework.golden_copies import GoldenMix
from records.casework.queues import QueueRule
from records.database import Database
from records.decisions import BurstRule, DecisionRecords
from records.keys.keyring import MasterKey
from records.people.schema_people import ModeratorRow

MASTER = MasterKey.of(bytes(32))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE, GRACE, KEPT = timedelta(minutes=5), timedelta(seconds=30), timedelta(days=90)
BURST = BurstOfCases(accounts=5, hours=24)
NEVER = BurstRule(dismissed=1000, hours=24, share=1)
DECISIONS = ("confirmed", "not_this_person", "genuine_owner", "bad_picture", "escalated")
REASONS = dict.fromkeys(DECISIONS, ("other", "same_photo"))
QUARANTINED = QueueRule("quarantined", (), (), True, ("lead",), DECISIONS, False, 2880)
VICTIMS = QueueRule("victims", (), ("victim",), False, ("moderator", "lead"), DECISIONS, True, 240)
PICTURES = QueueRule("pictures", ("same_picture",), (), False, ("moderator", "lead"), DECISIONS, False, 1440)
FACES = QueueRule("faces", (), (), False, ("moderator", "lead"), DECISIONS, False, 1440)
QUEUES = (QUARANTINED, VICTIMS, PICTURES, FACES)
PEOPLE = {"mo": "moderator", "mia": "moderator", "max": "moderator", "lea": "lead", "leo": "lead"}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, span: timedelta) -> None:
        self.now += span


def new_case(case_id: str, **facts: object) -> NewCase:
    """A case of the queue `faces`, but for the facts that differ."""
    plain = NewCase(
        id=case_id,
        event_id=f"event-of-{case_id}",
        account_id=f"account-of-{case_id}",
        handle="ada_l",
        display_name="Ada",
        account_created_at=START - timedelta(days=3),
        uploaded_at=START - timedelta(minutes=2),
        screened_at=START - timedelta(minutes=1),
        kind="same_person",
        identity_id=None,
        identity_kind="celebrity",
        priority=50,
        held=False,
        evidence=json.dumps({"findings": []}),
    )
    return replace(plain, **facts)


@dataclass
class Office:
    """The records of the console over one database."""

    database: Database
    queues: tuple[QueueRule, ...] = QUEUES
    grace: timedelta = GRACE
    golden: GoldenMix | None = None
    double_review_rate: float = 0.0
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.audit = AuditLog(self.database, clock=self.clock)
        teacher = DecisionRecords(self.database, MASTER, NEVER, clock=self.clock)
        self.cases = CaseRecords(
            self.database,
            MASTER,
            self.queues,
            keep_pictures=KEPT,
            double_review_rate=self.double_review_rate,
            clock=self.clock,
        )
        self.claims = CaseClaims(
            self.database, self.queues, self.audit, lease=LEASE, golden=self.golden, clock=self.clock
        )
        self.counts = CaseCounts(self.database, self.queues, clock=self.clock)
        self.decisions = CaseDecisions(
            self.database,
            teacher,
            self.queues,
            self.audit,
            grace=self.grace,
            lease=LEASE,
            reasons=REASONS,
            clock=self.clock,
        )

        self.campaigns = Campaigns(self.database, self.queues, self.audit, burst=BURST, lease=LEASE, clock=self.clock)
        self.batches = CaseBatches(self.database, self.decisions, self.audit, lease=LEASE, clock=self.clock)

    def hire(self, people: Mapping[str, str] = PEOPLE) -> None:
        """Puts people, by id their roles, into the database."""
        with self.database.write() as session:
            for moderator_id, role in people.items():
                row = {"id": moderator_id, "login": moderator_id, "name": moderator_id.title(), "role": role}
                row |= {"settings": "{}", "failures": 0, "created_at": START}
                session.execute(insert(ModeratorRow).values(row))

    def open(self, case_id: str, **facts: object) -> None:
        """Opens a case a second after the one before."""
        self.clock.pass_by(timedelta(seconds=1))
        assert self.cases.open(new_case(case_id, **facts), None)

    def next_of(self, moderator_id: str, queue: str | None = None) -> str | None:
        """The id of the case that the person gets."""
        case = self.claims.next(moderator_id, PEOPLE[moderator_id], queue)
        return case and case.id

    def decide(self, case_id: str, moderator_id: str, decision: str, **more: str):
        """The person claims the case and decides."""
        self.claims.claim(case_id, moderator_id, PEOPLE[moderator_id])
        return self.decisions.decide(case_id, moderator_id, PEOPLE[moderator_id], decision, "other", **more)
