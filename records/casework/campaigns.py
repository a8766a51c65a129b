"""Campaigns: open cases that show one picture, or that come in a burst about one person, worked as one.

1. campaigns.py finds them, and gives one person all of a campaign's cases that are free  2. case_batches.py says what
one decision on them would do, decides, and takes the whole back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, TypeVarTuple

from sqlalchemy import ColumnElement, Select, and_, false, func, literal, or_, select, union_all, update
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.audit import AuditLog
from records.casework.appeals import UNDER_APPEAL, is_under_appeal
from records.casework.case_claims import claim_lost, decided_by, give_back, hold, skipped_by
from records.casework.cases import Case, case_of
from records.casework.queues import QueueRule, stages_of
from records.casework.schema_cases import SHOWN_AGAIN, CaseRow
from records.database import Database
from records.errors import ClaimRefused
from records.kept import Kept

Columns = TypeVarTuple("Columns")

CampaignKind = Literal["picture", "identity"]
"""Cases that share a picture, or a person."""
MOST_CASES = 50
"""That one person has in hand at once."""
MOST_LISTED = 20
MOST_PEOPLE = 200
"""Those with the newest open cases are looked at for bursts."""
MOST_ASIDE = 500
SHARED = 2
"""Accounts that show a picture, from which on it is a campaign."""


@dataclass(frozen=True, slots=True)
class BurstOfCases:
    """When cases about one person are a campaign: so many accounts within so many hours of the newest."""

    accounts: int
    hours: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """`id`: of the picture group or of the identity. identity_id: whom its cases are about; of several, one. cases,
    accounts: of the open cases that the role works; `oldest`, `newest`: when they came in."""

    kind: CampaignKind
    id: str
    identity_id: str | None
    cases: int
    accounts: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Aside:
    """An open case of a campaign that somebody does not get, and why: held_by_another, decided_by_you, skipped_by_you,
    not_your_queue, free."""

    case_id: str
    account_id: str
    why: str


class Campaigns:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch. `keep`: how old the list may be
    before it is made anew, see Kept; `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        queues: Sequence[QueueRule],
        audit: AuditLog,
        *,
        burst: BurstOfCases,
        lease: timedelta,
        keep: timedelta = timedelta(),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._queues = queues
        self._audit = audit
        self._burst = burst
        self._lease = lease
        self._clock = clock
        self._largest = {
            role: Kept(partial(self._find, role), keep=keep, clock=clock)
            for role in {role for rule in queues for role in rule.roles} | {"lead"}
        }

    def largest(self, role: str) -> list[Campaign]:
        """The largest MOST_LISTED that the role may work on."""
        return self._largest[role].get() if role in self._largest else []

    def get(self, kind: CampaignKind, campaign_id: str, moderator_id: str, role: str) -> Campaign | None:
        """As the person sees it; None when none of its cases is open for the role."""
        with self._database.read() as session:
            which = and_(self._part_of(session, kind, campaign_id, moderator_id), self._worked_by(role))
            return next(iter(_tally(session, kind, which)), None)

    def held(self, kind: CampaignKind, campaign_id: str, moderator_id: str) -> list[Case]:
        """The campaign's cases that are in the person's hands, most urgent first."""
        belongs = _belongs(kind, campaign_id, moderator_id)
        mine = _urgent_first(select(CaseRow).where(belongs, CaseRow.claimed_by == moderator_id))
        with self._database.read() as session:
            return [case_of(row) for row in session.scalars(mine)]

    def aside(self, kind: CampaignKind, campaign_id: str, moderator_id: str, role: str) -> list[Aside]:
        """The campaign's open cases that are not in the person's hands, most urgent first; MOST_ASIDE at most."""
        now = self._clock()
        with self._database.read() as session:
            part = self._part_of(session, kind, campaign_id, moderator_id)
            others = and_(part, CaseRow.claimed_by.is_distinct_from(moderator_id))
            why = select(CaseRow, decided_by(moderator_id, CaseRow.id), skipped_by(moderator_id), self._worked_by(role))
            rows = session.execute(_urgent_first(why.where(others)).limit(MOST_ASIDE))
            return [Aside(row.id, row.account_id, _why(row, now, *is_so)) for row, *is_so in rows]

    def claim(self, kind: CampaignKind, campaign_id: str, moderator_id: str, role: str) -> int:
        """Puts the campaign's free cases into the person's hands, up to MOST_CASES; how many they hold now. What else
        they held is given back. Raises ClaimRefused."""
        now = self._clock()
        with self._database.write() as session:
            held = hold(session, moderator_id)
            mine = [row for row in held if _is_of(row, kind, campaign_id, moderator_id)]
            free = select(CaseRow).where(
                self._part_of(session, kind, campaign_id, moderator_id),
                self._worked_by(role),
                or_(CaseRow.claimed_by.is_(None), CaseRow.claimed_until <= now),
                CaseRow.claimed_by.is_distinct_from(moderator_id),
                ~skipped_by(moderator_id),
                ~decided_by(moderator_id, CaseRow.id),
            )
            # a case that another is about to take is passed over, not waited for
            taken = session.scalars(
                _urgent_first(free).limit(MOST_CASES - len(mine)).with_for_update(skip_locked=True)
            ).all()
            if not mine and not taken:
                raise ClaimRefused("nothing_free", "No case of the campaign is free for you; take the next one.")
            for row in held:
                if row not in mine:
                    give_back(row)
            for row in (*mine, *taken):
                row.claimed_by, row.claimed_until = moderator_id, now + self._lease
            session.flush()
            for row in taken:
                self._audit.append_in(session, moderator_id, "case_claimed", row.id, {"campaign": kind})
            return len(mine) + len(taken)

    def renew(self, kind: CampaignKind, campaign_id: str, moderator_id: str) -> datetime:
        """The moment at which the leases that begin now will end, all together. Raises ClaimLost."""
        until = self._clock() + self._lease
        mine = and_(_belongs(kind, campaign_id, moderator_id), CaseRow.claimed_by == moderator_id)
        with self._database.write() as session:
            renewed = update(CaseRow).where(mine).values(claimed_until=until).returning(CaseRow.id)
            if not session.scalars(renewed).all():
                raise claim_lost()
        return until

    def release(self, kind: CampaignKind, campaign_id: str, moderator_id: str) -> list[str]:
        """Gives the campaign's cases back to their queues; gives their ids."""
        mine = and_(_belongs(kind, campaign_id, moderator_id), CaseRow.claimed_by == moderator_id)
        freed = update(CaseRow).where(mine).values(claimed_by=None, claimed_until=None).returning(CaseRow.id)
        with self._database.write() as session:
            return list(session.scalars(freed))

    def _find(self, role: str, _now: datetime) -> list[Campaign]:
        with self._database.read() as session:
            pictures = self._of_pictures(session, role)
            people = self._of_people(session, role)
        found = [*pictures, *(one for one in people if not _covered(one, pictures))]
        return sorted(found, key=lambda one: (-one.accounts, one.oldest))[:MOST_LISTED]

    def _of_pictures(self, session: Session, role: str) -> list[Campaign]:
        # "" is said for SQLite, which takes an index by how many of its columns are named
        again = and_(CaseRow.state == "open", CaseRow.picture_group > "", SHOWN_AGAIN)
        groups = CaseRow.picture_group.in_(select(CaseRow.picture_group).where(again))
        return _tally(session, "picture", and_(groups, _OPEN, self._worked_by(role)), SHARED)

    def _of_people(self, session: Session, role: str) -> list[Campaign]:
        newest = func.max(CaseRow.opened_at)
        people = (
            select(CaseRow.identity_id, newest)
            .where(CaseRow.state == "open", CaseRow.identity_id.is_not(None))
            .group_by(CaseRow.identity_id)
            .having(func.count() >= self._burst.accounts)
            .order_by(newest.desc())
            .limit(MOST_PEOPLE)
        )
        span = timedelta(hours=self._burst.hours)
        bursts = [
            select(literal(identity_id).label("identity_id"), literal(at - span, CaseRow.opened_at.type).label("since"))
            for identity_id, at in session.execute(people).all()
        ]
        if not bursts:
            return []
        # a table of bursts, whose cases lie together in an index; with ORs, all open cases would be held to each
        burst = union_all(*bursts).cte("burst")
        within = and_(CaseRow.identity_id == burst.c.identity_id, CaseRow.opened_at >= burst.c.since)
        return _tally(session, "identity", and_(within, _OPEN, self._worked_by(role)), self._burst.accounts)

    def _part_of(
        self, session: Session, kind: CampaignKind, campaign_id: str, moderator_id: str
    ) -> ColumnElement[bool]:
        """The cases that a campaign is made of: of one about a person, those of the burst."""
        of = _belongs(kind, campaign_id, moderator_id)
        if kind == "picture":
            return of
        newest = session.scalar(select(func.max(CaseRow.opened_at)).where(of))
        return and_(of, CaseRow.opened_at >= newest - timedelta(hours=self._burst.hours)) if newest else false()

    def _worked_by(self, role: str) -> ColumnElement[bool]:
        worked = [
            and_(CaseRow.queue == rule.name, CaseRow.stage.in_(stages))
            for rule in self._queues
            if (stages := stages_of(rule, role))
        ]
        return or_(*worked) if worked else false()


_UNANSWERED = and_(CaseRow.state == "open", ~UNDER_APPEAL)
"""An appeal is read for itself, by a lead too."""
_OPEN = and_(_UNANSWERED, CaseRow.golden_id.is_(None))
"""A copy of a golden case is one person's: nobody else may see that there is one more."""


def _belongs(kind: CampaignKind, campaign_id: str, moderator_id: str) -> ColumnElement[bool]:
    """Whether the case is of the campaign as the person sees it, to whom their copies are cases like any other."""
    seen = or_(CaseRow.golden_id.is_(None), CaseRow.golden_for == moderator_id)
    return and_(_UNANSWERED, seen, (CaseRow.picture_group if kind == "picture" else CaseRow.identity_id) == campaign_id)


def _is_of(row: CaseRow, kind: CampaignKind, campaign_id: str, moderator_id: str) -> bool:
    """The same of a row."""
    shared = row.picture_group if kind == "picture" else row.identity_id
    seen = row.golden_id is None or row.golden_for == moderator_id
    return row.state == "open" and not is_under_appeal(row) and seen and shared == campaign_id


def _tally(session: Session, kind: CampaignKind, which: ColumnElement[bool], accounts: int = 1) -> list[Campaign]:
    """The campaigns among the cases that have at least so many accounts, largest first."""
    shared = CaseRow.picture_group if kind == "picture" else CaseRow.identity_id
    people = func.count(CaseRow.account_id.distinct())
    campaigns = (
        select(shared, func.max(CaseRow.identity_id), func.count(), people)
        .add_columns(func.min(CaseRow.opened_at), func.max(CaseRow.opened_at))
        .where(which)
        .group_by(shared)
        .having(people >= accounts)
        .order_by(people.desc())
        .limit(MOST_LISTED)
    )
    return [Campaign(kind, *row) for row in session.execute(campaigns)]


def _covered(burst: Campaign, pictures: Sequence[Campaign]) -> bool:
    """Whether the accounts of the burst are no more than those that show one picture or another of the person."""
    return burst.accounts <= sum(one.accounts for one in pictures if one.identity_id == burst.id)


def _urgent_first(cases: Select[*Columns]) -> Select[*Columns]:
    return cases.order_by(CaseRow.priority.desc(), CaseRow.opened_at, CaseRow.id)


def _why(row: CaseRow, now: datetime, decided: bool, skipped: bool, works: bool) -> str:
    if not works:
        return "not_your_queue"
    if decided:
        return "decided_by_you"
    if row.claimed_until is not None and row.claimed_until > now:
        return "held_by_another"
    return "skipped_by_you" if skipped else "free"
