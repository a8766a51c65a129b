"""What waits in each queue: cases to decide, how many are in somebody's hands, how many are late, since when."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from records.announcer import utc_now
from records.casework.appeals import BEFORE_OTHERS
from records.casework.queues import QueueRule, stages_of
from records.casework.schema_around_cases import AppealRow
from records.casework.schema_cases import CaseRow
from records.database import Database
from records.kept import Kept

FEW = 1000
"""Open cases that are counted in some milliseconds: for them a page need not show older counts."""


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


@dataclass(frozen=True, slots=True)
class _Tally:
    """Of a queue at a stage."""

    open: int = 0
    claimed: int = 0
    late: int = 0
    oldest: datetime | None = None


class CaseCounts:
    """May raise DatabaseAway or SchemaMismatch. `keep`: how old counts of more than FEW cases may be before they are
    made anew, see Kept; `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        queues: Sequence[QueueRule],
        *,
        keep: timedelta = timedelta(),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._queues = queues
        self._tallies = Kept(self._count, keep=keep, few=_few, clock=clock)

    def of_role(self, role: str) -> list[QueueCount]:
        """The queues that the role works, with its cases, in the settings' order."""
        tallies = self._tallies.get()
        return [_sum(rule, tallies, stages) for rule in self._queues if (stages := stages_of(rule, role))]

    def of_all(self) -> list[QueueCount]:
        """All queues with all of their cases, whoever may work them, in the settings' order."""
        tallies = self._tallies.get()
        return [_sum(rule, tallies, {stage for _, stage in tallies}) for rule in self._queues]

    def _count(self, now: datetime) -> Mapping[tuple[str, str], _Tally]:
        with self._database.read() as session:
            return self._tally(session, now)

    def _tally(self, session: Session, now: datetime) -> dict[tuple[str, str], _Tally]:
        place = (CaseRow.queue, CaseRow.stage)
        opened, received = CaseRow.opened_at, AppealRow.received_at
        waiting = select(*place, func.count(), func.count().filter(self._late(opened, now)), func.min(opened))
        # an appealed case waits since the appeal came; its priority tells, which lies in the index that is read here
        waiting = waiting.where(CaseRow.state == "open", CaseRow.priority < BEFORE_OTHERS).group_by(*place)
        appealed = (
            select(*place, func.count(), func.count().filter(self._late(received, now)), func.min(received))
            .join(AppealRow, AppealRow.case_id == CaseRow.id)
            .where(AppealRow.state == "open", CaseRow.state == "open")
            .group_by(*place)
        )
        # copies of golden cases do not wait, but they are in somebody's hands like any other: so nobody can tell
        copies = waiting.where(CaseRow.golden_id > "")
        # any holder at all: so put, and without the state, which a claim implies, SQLite finds the few by their index
        held = select(*place, func.count()).where(CaseRow.claimed_by > "", CaseRow.claimed_until > now)
        copied = {(queue, stage): (count, over) for queue, stage, count, over, _ in session.execute(copies)}
        claimed = {(queue, stage): count for queue, stage, count in session.execute(held.group_by(*place))}
        tallies = {}
        for queue, stage, count, overdue, oldest in session.execute(waiting):
            golden, golden_late = copied.get((queue, stage), (0, 0))
            tallies[queue, stage] = _Tally(
                count - golden,
                claimed.get((queue, stage), 0),
                overdue - golden_late,
                oldest if count > golden else None,
            )
        for queue, stage, count, overdue, oldest in session.execute(appealed):
            others = tallies.get((queue, stage), _Tally())
            since = min(oldest, others.oldest or oldest)
            held_ones = claimed.get((queue, stage), 0)
            tallies[queue, stage] = _Tally(others.open + count, held_ones, others.late + overdue, since)
        return tallies

    def _late(self, since: InstrumentedAttribute[datetime], now: datetime) -> ColumnElement[bool]:
        return or_(
            *(
                and_(CaseRow.queue == rule.name, since < now - timedelta(minutes=rule.target_minutes))
                for rule in self._queues
            )
        )


def _few(tallies: Mapping[tuple[str, str], _Tally]) -> bool:
    return sum(tally.open for tally in tallies.values()) <= FEW


def _sum(rule: QueueRule, tallies: Mapping[tuple[str, str], _Tally], stages: Collection[str]) -> QueueCount:
    here = [tally for stage in stages if (tally := tallies.get((rule.name, stage)))]
    return QueueCount(
        queue=rule.name,
        open=sum(one.open for one in here),
        claimed=sum(one.claimed for one in here),
        late=sum(one.late for one in here),
        oldest=min((one.oldest for one in here if one.oldest), default=None),
        target_minutes=rule.target_minutes,
    )
