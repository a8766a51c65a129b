"""What the database counts for review_quality.py: groups of cases and decisions, a few rows each.

Copies of golden cases are left out of all but `tests`. A case that was decided anew, on an appeal, counts with its last
final decision.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Double, FromClause, Integer, and_, cast, exists, extract, func, join, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from records.casework.schema_around_cases import AppealRow, GoldenCaseRow
from records.casework.schema_cases import COPY, CaseDecisionRow, CaseRow
from records.quality.budget_suggestion import FaceAlarms
from records.quality.last_word import FOUND, LAST_WORD, OF_LEADING, TELLS_OF_LEADING

Moment = InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]
Flow = dict[tuple[str, int], int]
"""By queue and period, a number of cases."""

PERCENTS = (50, 90)
DAY = 86_400
JULIAN_1970 = 2_440_587.5
"""1970 began so many days after the Julian day 0, in which SQLite counts."""


@dataclass(frozen=True, slots=True)
class Window:
    """`periods` stretches of `step` days each from `since` on, a midnight in UTC; the last one has today in it."""

    since: datetime
    step: int
    periods: int

    @property
    def until(self) -> datetime:
        return self.since + timedelta(days=self.step * self.periods)

    @property
    def starts(self) -> tuple[datetime, ...]:
        """Of the periods."""
        return tuple(self.since + timedelta(days=self.step * number) for number in range(self.periods))


@dataclass(frozen=True, slots=True)
class Decided:
    """Cases that were finally decided in a period; kind, band: of the leading finding; `came`: in the window, too;
    of_leading: whether the decision is about the leading finding's person."""

    kind: str
    band: int | None
    came: bool
    period: int
    decision: str
    of_leading: bool
    count: int

    @property
    def outcome(self) -> str:
        """What the decision says of the leading finding: where the case shows another, it does not show its person."""
        return "not_this_person" if self.decision in FOUND and not self.of_leading else self.decision


@dataclass(frozen=True, slots=True)
class Pair:
    """Cases that the same two people judged without knowing of each other, with the same two decisions; same_person:
    about the same one."""

    kind: str
    first_by: str
    second_by: str
    first: str
    second: str
    same_person: bool
    count: int


@dataclass(frozen=True, slots=True)
class Test:
    """Copies of golden cases that somebody answered so."""

    moderator_id: str
    kind: str
    decision: str
    expected: str
    count: int


def decided(session: Session, window: Window, postgresql: bool) -> list[Decided]:
    """But for decisions that say nothing of the leading finding, see last_word.py."""
    period = _period(CaseDecisionRow.final_at, window, postgresql)
    came = CaseRow.opened_at >= window.since
    groups = (CaseRow.kind, CaseRow.band, came, period, CaseDecisionRow.decision, OF_LEADING)
    counted = (
        select(*groups, func.count())
        .join(CaseRow, CaseRow.id == CaseDecisionRow.case_id)
        .where(*_last_final(window), TELLS_OF_LEADING)
        .group_by(*groups)
    )
    return [Decided(*row) for row in session.execute(counted)]


def times(session: Session, window: Window, postgresql: bool) -> dict[tuple[str, int], float]:
    """By queue and percent (of PERCENTS), within how many seconds that share of the cases was decided. Appeals, which
    begin when they are received, are left out, also those that a lead decided."""
    # the last word on a case with an appeal that is over was said on an appeal, at whichever stage
    on_appeal = select(AppealRow.case_id).where(AppealRow.state != "open")
    seconds = _seconds(CaseDecisionRow.decided_at, postgresql) - _seconds(CaseRow.opened_at, postgresql)
    ranked = (
        select(
            CaseRow.queue,
            seconds.label("seconds"),
            func.row_number().over(partition_by=CaseRow.queue, order_by=seconds).label("place"),
            func.count().over(partition_by=CaseRow.queue).label("total"),
        )
        .join(CaseRow, CaseRow.id == CaseDecisionRow.case_id)
        .where(*_last_final(window), CaseDecisionRow.case_id.not_in(on_appeal))
        .subquery()
    )
    # the nearest rank: the lowest place with so many percent up to it
    places = [(percent, ranked.c.place == (ranked.c.total * percent + 99) // 100) for percent in PERCENTS]
    asked = select(ranked.c.queue, ranked.c.seconds, *(there for _, there in places))
    rows = session.execute(asked.where(or_(*(there for _, there in places)))).all()
    return {
        (queue, percent): float(seconds)
        for queue, seconds, *is_there in rows
        for (percent, _), here in zip(places, is_there, strict=True)
        if here
    }


def backlog(session: Session) -> dict[str, int]:
    """By queue, the cases that have no final decision."""
    waiting = select(CaseRow.queue, func.count()).where(
        CaseRow.state.in_(("open", "decided")), CaseRow.golden_id.is_(None)
    )
    return dict(session.execute(waiting.group_by(CaseRow.queue)).all())


def flow(session: Session, window: Window, postgresql: bool) -> tuple[Flow, Flow, Flow]:
    """By queue and period, the cases that came, those that are closed since, and what appeals add to those that waited:
    the cases that they opened again, less the closings that these had before."""

    def per_period(moment: Moment, rows: FromClause) -> Flow:
        period = _period(moment, window, postgresql)
        counted = select(CaseRow.queue, period, func.count()).select_from(rows)
        counted = counted.where(moment >= window.since, CaseRow.golden_id.is_(None)).group_by(CaseRow.queue, period)
        return {(queue, number): count for queue, number, count in session.execute(counted)}

    cases = CaseRow.__table__
    against = join(AppealRow, CaseDecisionRow, CaseDecisionRow.id == AppealRow.decision_id)
    appealed = join(against, CaseRow, CaseRow.id == AppealRow.case_id)
    again = Counter(per_period(AppealRow.received_at, appealed))
    again.subtract(per_period(CaseDecisionRow.final_at, appealed))
    return per_period(CaseRow.opened_at, cases), per_period(CaseRow.closed_at, cases), again


def pairs(session: Session, window: Window) -> list[Pair]:
    """Judgements of two people who did not know each other's: four eyes, and double review. A second one who took
    another judgement back had been shown by then whether it was the first one's."""
    first, second, undone = aliased(CaseDecisionRow), aliased(CaseDecisionRow), aliased(CaseDecisionRow)
    same_person = first.identity_id.is_not_distinct_from(second.identity_id)
    groups = (CaseRow.kind, first.decided_by, second.decided_by, first.decision, second.decision, same_person)
    as_undone = and_(undone.decision == second.decision, undone.identity_id.is_not_distinct_from(second.identity_id))
    seen = exists().where(
        undone.case_id == second.case_id,
        undone.decided_by == second.decided_by,
        undone.stage == "second",
        undone.state == "undone",
        undone.decision != "escalated",
        ~as_undone,
    )
    counted = (
        select(*groups, func.count())
        .join_from(second, first, first.case_id == second.case_id)
        .join(CaseRow, CaseRow.id == second.case_id)
        .where(
            second.stage == "second",
            second.state != "undone",
            second.decided_at >= window.since,
            first.stage == "first",
            first.state != "undone",
            CaseRow.golden_id.is_(None),
            ~seen,
        )
        .group_by(*groups)
    )
    return [Pair(*row) for row in session.execute(counted)]


def tests(session: Session, window: Window) -> list[Test]:
    """Of closed copies of golden cases."""
    groups = (CaseDecisionRow.decided_by, CaseRow.kind, CaseDecisionRow.decision, GoldenCaseRow.expected)
    counted = (
        select(*groups, func.count())
        .join_from(CaseRow, GoldenCaseRow, GoldenCaseRow.id == CaseRow.golden_id)
        .join(CaseDecisionRow, CaseDecisionRow.case_id == CaseRow.id)
        # so put, SQLite finds the few by their index, and the decisions by their cases
        .where(CaseRow.golden_id > "", CaseRow.closed_at >= window.since, CaseDecisionRow.state != "undone")
        .group_by(*groups)
    )
    return [Test(*row) for row in session.execute(counted)]


def work(session: Session, window: Window) -> dict[str, int]:
    """By moderator, how many decisions of theirs stand, whatever became of the cases."""
    counted = select(CaseDecisionRow.decided_by, func.count()).where(
        CaseDecisionRow.decided_at >= window.since,
        CaseDecisionRow.state != "undone",
        CaseDecisionRow.case_id.not_in(select(CaseRow.id).where(COPY)),
    )
    return dict(session.execute(counted.group_by(CaseDecisionRow.decided_by)).all())


def face_alarms(session: Session, window: Window, kinds: Sequence[str], found: Sequence[Decided]) -> FaceAlarms:
    """Of the cases of these kinds that came in the window; `found`: what `decided` gave. A case that shows another
    person than the leading finding's was no false alarm: its upload was worth the look."""
    here = (CaseRow.opened_at >= window.since, CaseRow.kind.in_(kinds), CaseRow.golden_id.is_(None))
    came = session.scalar(select(func.count()).select_from(CaseRow).where(*here)) or 0
    outcomes = Counter[str]()
    for one in found:
        if one.came and one.kind in kinds:
            outcomes[one.decision] += one.count
    return FaceAlarms(came, outcomes.total(), outcomes["not_this_person"], outcomes["bad_picture"])


def _last_final(window: Window) -> tuple[ColumnElement[bool], ...]:
    """The conditions of decisions that became final in the window, and are the last ones on their cases."""
    return CaseDecisionRow.final_at >= window.since, CaseRow.golden_id.is_(None), LAST_WORD


def _period(moment: Moment, window: Window, postgresql: bool) -> ColumnElement[int]:
    """The number of the period that the moment lies in."""
    since = int(window.since.timestamp())
    return cast(func.floor((_seconds(moment, postgresql) - since) / (window.step * DAY)), Integer)


def _seconds(moment: Moment, postgresql: bool) -> ColumnElement[float]:
    """Since 1970."""
    if postgresql:
        return cast(extract("epoch", moment), Double)
    return cast((func.julianday(moment) - JULIAN_1970) * DAY, Double)
