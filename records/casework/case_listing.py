"""Lists of cases and of final decisions for programs, a page at a time: what comes later never moves an earlier page.

Copies that test their reviewers are in none of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from records.announcer import utc_now
from records.casework import case_history
from records.casework.case_history import DecisionMade
from records.casework.cases import Case, CaseState, case_of
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database

SETTLED = timedelta(seconds=5)
"""How old what is listed must be: by then what was written at the same moment is all there, and none is passed over."""

_NO_COPY = CaseRow.golden_id.is_(None).is_(True)
"""So put, since SQLite would take the index on `golden_id` for IS NULL alone, which nearly all cases are, and
PostgreSQL, which knows that they are, would believe few of a comparison with coalesce()."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list ended: at which moment, aware, and at which id of those at that moment."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases: all, but for what is not None. `identity_id`: of the leading finding; `opened_since` is within."""

    queue: str | None = None
    state: CaseState | None = None
    account_id: str | None = None
    identity_id: str | None = None
    opened_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class FinalDecision:
    """A decision that was told to the platform, and when it became final, aware."""

    made: DecisionMade
    final_at: datetime


class CaseListing:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def cases(self, which: CaseFilter, after: Place | None, limit: int) -> list[Case]:
        """Up to `limit` cases by when they were opened, oldest first."""
        wanted = [_NO_COPY, CaseRow.opened_at <= self._clock() - SETTLED]
        exact = {
            CaseRow.queue: which.queue,
            CaseRow.account_id: which.account_id,
            CaseRow.identity_id: which.identity_id,
        }
        wanted += [column == value for column, value in exact.items() if value is not None]
        if which.opened_since is not None:
            wanted.append(CaseRow.opened_at >= which.opened_since)
        if after is not None:
            wanted.append(_later(CaseRow.opened_at, CaseRow.id, after))
        page = select(CaseRow).where(*wanted).order_by(CaseRow.opened_at, CaseRow.id).limit(limit)
        states = [which.state] if which.state else get_args(CaseState)
        if which.account_id is None and which.identity_id is None:
            # each state's next ones are those that follow in an index, however many cases are in other states
            pages = [page.where(CaseRow.state == state) for state in states]
        else:  # an account or an identity has its own index, which SQLite would not prefer to that of a state
            pages = [page.where(CaseRow.state.in_(states).is_(True))]
        with self._database.read() as session:
            found = [case_of(row) for page in pages for row in session.scalars(page)]
        return sorted(found, key=lambda case: (case.opened_at, case.id))[:limit]

    def final_decisions(self, since: datetime | None, after: Place | None, limit: int) -> list[FinalDecision]:
        """Up to `limit` decisions by when they became final, oldest first; `since` is within."""
        now = self._clock()
        wanted = [CaseDecisionRow.final_at <= now - SETTLED, _NO_COPY]
        if since is not None:
            wanted.append(CaseDecisionRow.final_at >= since)
        if after is not None:
            wanted.append(_later(CaseDecisionRow.final_at, CaseDecisionRow.id, after))
        with self._database.read() as session:
            return [FinalDecision(*one) for one in case_history.final_ones(session, *wanted, limit=limit, now=now)]

    def decision(self, decision_id: str) -> DecisionMade | None:
        """The decision of this id, if there is one."""
        with self._database.read() as session:
            return case_history.find(session, decision_id, self._clock())


def _later(
    at: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
    id_: InstrumentedAttribute[str],
    place: Place,
) -> ColumnElement[bool]:
    return and_(at >= place.at, or_(at > place.at, id_ > place.id))
