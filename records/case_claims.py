"""Claims: an open case is in one person's hands at a time, and a person holds one case at a time.

A claim lasts for a lease, which the browser renews. Once the lease has ended anybody may take the case; until somebody
does, it stays with its holder, who may have closed a laptop for a minute. Who takes another case gives back the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVarTuple, get_args

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from records.announcer import utc_now
from records.cases import Case, case_of, unknown_case
from records.database import Database
from records.errors import ClaimLost, ClaimRefused, ReasonMissing
from records.queues import CaseStage, QueueRule, stages_of
from records.schema_cases import CaseDecisionRow, CaseRow, CaseSkipRow
from records.schema_people import ModeratorRow

Columns = TypeVarTuple("Columns")

_FREED = {"claimed_by": None, "claimed_until": None}


@dataclass(frozen=True, slots=True)
class QueueCount:
    """What waits in a queue for a role. open: cases to decide, of which `claimed` are in somebody's hands; late: older
    than `target_minutes`; oldest: when the oldest came, None for an empty queue."""

    queue: str
    open: int
    claimed: int
    late: int
    oldest: datetime | None
    target_minutes: int


class CaseClaims:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        queues: Sequence[QueueRule],
        *,
        lease: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._rules = {rule.name: rule for rule in queues}
        self._lease = lease
        self._clock = clock

    def next(self, moderator_id: str, role: str, queue: str | None = None) -> Case | None:
        """The case that they hold already, else the most urgent one that is free, of one queue or of all that the role
        works: claimed from now on. None when nothing waits for them."""
        now = self._clock()
        with self._database.write() as session:
            held = hold(session, moderator_id)
            row = next((one for one in held if self._keeps(one, moderator_id, role)), None)
            if row is None:
                # the most urgent queue first; a case that another is about to take is passed over, not waited for
                for name in self._urgent_first(session, moderator_id, role, queue, now):
                    first = _first(select(CaseRow).where(*self._free(name, moderator_id, role, now)))
                    row = session.scalar(first.with_for_update(skip_locked=True))
                    if row is not None:
                        break
            if row is None:
                return None
            take(row, held, moderator_id, now + self._lease)
            return case_of(row)

    def peek(self, moderator_id: str, role: str, queue: str | None = None) -> Case | None:
        """Which case `next` would find if they held none, as things stand; it stays free."""
        now = self._clock()
        with self._database.read() as session:
            for name in self._urgent_first(session, moderator_id, role, queue, now):
                first = _first(select(CaseRow).where(*self._free(name, moderator_id, role, now)))
                return case_of(session.scalars(first).one())
        return None

    def claim(self, case_id: str, moderator_id: str, role: str) -> Case:
        """The particular case, claimed from now on; theirs already, the lease begins anew. Raises UnknownCase,
        ClaimRefused."""
        now = self._clock()
        with self._database.write() as session:
            held = hold(session, moderator_id, case_id)
            row = next((one for one in held if one.id == case_id), None)
            if row is None:
                raise unknown_case(case_id)
            if row.state != "open":
                raise ClaimRefused("not_open", "The case is decided already; take the next one.")
            if session.scalar(select(_decided_by(moderator_id, case_id))):
                raise ClaimRefused("decided_by_you", "You have decided on this case; now it is another person's turn.")
            if row.stage not in self._stages(row.queue, role):
                if row.stage == "lead":
                    raise ClaimRefused("lead_only", "The case waits for a lead; take the next one.")
                raise ClaimRefused("not_your_queue", f"Your role does not work the queue {row.queue}; take another.")
            if row.claimed_by != moderator_id and not is_free(row, now):
                raise ClaimRefused("held_by_another", "Somebody else is working on the case; take the next one.")
            take(row, held, moderator_id, now + self._lease)
            return case_of(row)

    def renew(self, case_id: str, moderator_id: str) -> datetime:
        """The moment at which the lease that begins now will end. Raises ClaimLost."""
        until = self._clock() + self._lease
        with self._database.write() as session:
            renewed = update(CaseRow).where(_theirs(case_id, moderator_id)).values(claimed_until=until)
            if session.scalar(renewed.returning(CaseRow.id)) is None:
                raise claim_lost()
        return until

    def require(self, case_id: str, moderator_id: str) -> Case:
        """The case, if it is in their hands. Raises ClaimLost."""
        with self._database.read() as session:
            row = session.scalar(select(CaseRow).where(_theirs(case_id, moderator_id)))
            if row is None:
                raise claim_lost()
            return case_of(row)

    def release(self, case_id: str, moderator_id: str) -> None:
        """Gives the case back to its queue; nothing happens when it is not theirs."""
        with self._database.write() as session:
            session.execute(update(CaseRow).where(_theirs(case_id, moderator_id)).values(_FREED))

    def skip(self, case_id: str, moderator_id: str, reason: str) -> None:
        """Gives the case back, and `next` never offers it to them again. Raises ReasonMissing, ClaimLost."""
        if not (reason := reason.strip()):
            raise ReasonMissing("A case is passed on with a reason; say why.")
        with self._database.write() as session:
            freed = update(CaseRow).where(_theirs(case_id, moderator_id)).values(_FREED)
            if session.scalar(freed.returning(CaseRow.id)) is None:
                raise claim_lost()
            skipped = CaseSkipRow(case_id=case_id, moderator_id=moderator_id, reason=reason, skipped_at=self._clock())
            session.merge(skipped)  # they may have skipped it before and come back to it by search

    def counts(self, role: str) -> list[QueueCount]:
        """The queues that the role works, in the settings' order."""
        now = self._clock()
        with self._database.read() as session:
            return [
                self._count(session, rule, stages, now)
                for rule in self._rules.values()
                if (stages := stages_of(rule, role))
            ]

    def counts_of_all(self) -> list[QueueCount]:
        """All queues with all of their cases, whoever may work them, in the settings' order."""
        now = self._clock()
        with self._database.read() as session:
            return [self._count(session, rule, get_args(CaseStage), now) for rule in self._rules.values()]

    def _count(self, session: Session, rule: QueueRule, stages: Sequence[str], now: datetime) -> QueueCount:
        here = and_(CaseRow.queue == rule.name, CaseRow.stage.in_(stages))
        late = CaseRow.opened_at < now - timedelta(minutes=rule.target_minutes)
        waiting = select(func.count(), func.count().filter(late), func.min(CaseRow.opened_at))
        total, overdue, oldest = session.execute(waiting.where(CaseRow.state == "open", here)).one()
        # any holder at all: so put, and without the state, which a claim implies, SQLite finds the few by their index
        held = select(func.count()).where(CaseRow.claimed_by > "", CaseRow.claimed_until > now, here)
        return QueueCount(rule.name, total, session.scalar(held) or 0, overdue, oldest, rule.target_minutes)

    def _stages(self, queue: str, role: str) -> Sequence[str]:
        return stages_of(self._rules[queue], role) if queue in self._rules else ()

    def _keeps(self, row: CaseRow, moderator_id: str, role: str) -> bool:
        return row.claimed_by == moderator_id and row.stage in self._stages(row.queue, role)

    def _urgent_first(
        self, session: Session, moderator_id: str, role: str, queue: str | None, now: datetime
    ) -> list[str]:
        """The queues in which a case is free for them, that with the most urgent one first."""
        place = select(CaseRow.queue, CaseRow.priority, CaseRow.opened_at)
        names = [name for name in self._rules if queue in (None, name) and self._stages(name, role)]
        free = (_first(place.where(*self._free(name, moderator_id, role, now))) for name in names)
        found = [row for first in free for row in session.execute(first)]
        return [row.queue for row in sorted(found, key=lambda row: (-row.priority, row.opened_at))]

    def _free(self, queue: str, moderator_id: str, role: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
        """The conditions of the queue's cases that they may take now."""
        ended = and_(CaseRow.claimed_until <= now, CaseRow.claimed_by != moderator_id)
        return (
            CaseRow.state == "open",
            CaseRow.queue == queue,
            CaseRow.stage.in_(self._stages(queue, role)),
            or_(CaseRow.claimed_by.is_(None), ended),
            ~exists().where(CaseSkipRow.case_id == CaseRow.id, CaseSkipRow.moderator_id == moderator_id),
            or_(CaseRow.stage == "first", ~_decided_by(moderator_id, CaseRow.id)),
        )


def hold(session: Session, moderator_id: str, case_id: str | None = None) -> Sequence[CaseRow]:
    """What the person has in hand, and the case if it exists: nobody changes them until the transaction ends."""
    # two tabs of one person would each find nothing in hand, and take a case each
    session.execute(select(ModeratorRow.id).where(ModeratorRow.id == moderator_id).with_for_update(key_share=True))
    wanted = set(session.scalars(select(CaseRow.id).where(CaseRow.claimed_by == moderator_id)))
    if case_id is not None:
        wanted.add(case_id)
    if not wanted:
        return []
    # in order of id: two persons who take a case from each other would otherwise wait for each other
    return session.scalars(select(CaseRow).where(CaseRow.id.in_(wanted)).order_by(CaseRow.id).with_for_update()).all()


def take(row: CaseRow, held: Sequence[CaseRow], moderator_id: str, until: datetime) -> None:
    """Puts the case into the person's hands, and gives back what else they held."""
    for other in held:
        if other.claimed_by == moderator_id:
            give_back(other)
    row.claimed_by, row.claimed_until = moderator_id, until


def give_back(row: CaseRow) -> None:
    row.claimed_by = row.claimed_until = None


def claim_lost() -> ClaimLost:
    return ClaimLost("The case is no longer in your hands; take the next one, or search for it to claim it again.")


def is_free(row: CaseRow, now: datetime) -> bool:
    """Whether nobody has the case, or only somebody whose lease has ended."""
    return row.claimed_until is None or row.claimed_until <= now


def _first(free: Select[*Columns]) -> Select[*Columns]:
    return free.order_by(CaseRow.priority.desc(), CaseRow.opened_at).limit(1)


def _theirs(case_id: str, moderator_id: str) -> ColumnElement[bool]:
    return and_(CaseRow.id == case_id, CaseRow.claimed_by == moderator_id)


def _decided_by(moderator_id: str, case_id: str | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    return exists().where(
        CaseDecisionRow.case_id == case_id,
        CaseDecisionRow.decided_by == moderator_id,
        CaseDecisionRow.state != "undone",
    )
