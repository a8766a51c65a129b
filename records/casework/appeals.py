"""Appeals: what somebody says against the decision on a case opens it again, for a person who never decided on it.

An appealed case keeps its queue and waits there at stage `appeal`, before all others. Who judges it sees what was
decided, but not by whom. The decision of case_closing.py ends the appeal: upheld when it is the same, else reversed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import uuid4

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.audit import AuditLog
from records.casework.cases import Case, case_of, unknown_case
from records.casework.golden_copies import is_told
from records.casework.queues import CaseDecision, QueueRule, route
from records.casework.schema_around_cases import AppealRow
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database
from records.errors import AppealRefused
from records.people.schema_people import ModeratorRow

AppealState = Literal["open", "upheld", "reversed"]
"""Somebody must judge it; the decision stands; another one was made."""

BEFORE_OTHERS = 1000
"""What is added to a case's priority, 0 to 100, while an appeal on it is open: it goes before all others."""
UNDER_APPEAL = CaseRow.priority >= BEFORE_OTHERS
"""Whether an appeal on the case is open, whoever's turn it is: one that was escalated waits for a lead."""
MOST_APPEALS = 2
"""On one case; the last is for a lead to let in."""
TEXT_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class Appeal:
    """An appeal and the decision that it is against; by whom that was made is left out. `received_by`: the name of the
    moderator who noted it, None for a program's."""

    id: str
    case_id: str
    decision_id: str
    identity_id: str | None
    decision: CaseDecision
    reason: str
    note: str | None
    decided_at: datetime
    text: str
    received_by: str | None
    received_at: datetime
    state: AppealState
    closed_at: datetime | None


class AppealRecords:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch. `queues`: in the order in which
    they take cases; `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        queues: Sequence[QueueRule],
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._audit = audit
        self._queues = queues
        self._clock = clock

    def receive(self, case_id: str, text: str, received_by: str, *, by_lead: bool = False) -> Appeal:
        """Takes an appeal in and opens the case again.

        received_by: a moderator's id, or `token:` and the id of a program's token; by_lead: whether a lead lets it in,
        which a second appeal on one case needs. Raises UnknownCase, AppealRefused.
        """
        if not (text := text.strip()):
            raise AppealRefused("appeal_empty", "An appeal says why the decision is wrong; write down what was said.")
        if len(text) > TEXT_LENGTH:
            raise AppealRefused("appeal_too_long", f"An appeal has at most {TEXT_LENGTH} characters; shorten it.")
        now = self._clock()
        with self._database.write() as session:
            case = session.get(CaseRow, case_id, with_for_update=True)
            if case is None or is_told(case, received_by):
                raise unknown_case(case_id)
            _check(session, case, by_lead)
            against = _last_word(session, case_id)
            if against is None:
                raise AppealRefused(
                    "appeal_of_nothing", "The case was closed without a decision; nothing can be appealed."
                )
            appeal = AppealRow(
                id=str(uuid4()),
                case_id=case_id,
                decision_id=against,
                text=text,
                received_by=received_by,
                received_at=now,
                state="open",
                closed_at=None,
            )
            session.add(appeal)
            case.state, case.stage, case.closed_at = "open", "appeal", None
            case.priority += BEFORE_OTHERS
            if case.queue not in {rule.name for rule in self._queues}:
                case.queue = route(self._queues, case.kind, case.identity_kind, case.held)
            session.flush()
            made = session.execute(_appeals(AppealRow.id == appeal.id)).one()
            details = {"appeal_id": appeal.id, "decision_id": appeal.decision_id}
            self._audit.append_in(session, received_by, "appeal_received", case_id, details)
            return _appeal(*made)

    def of_case(self, case_id: str) -> list[Appeal]:
        """Oldest first."""
        with self._database.read() as session:
            found = session.execute(_appeals(AppealRow.case_id == case_id).order_by(AppealRow.received_at))
            return [_appeal(*row) for row in found]

    def waiting(self, limit: int = 200) -> list[tuple[Appeal, Case]]:
        """The open appeals with their cases, oldest first."""
        found = _appeals(AppealRow.state == "open").order_by(AppealRow.received_at).limit(limit)
        with self._database.read() as session:
            appeals = [_appeal(*row) for row in session.execute(found)]
            rows = session.scalars(select(CaseRow).where(CaseRow.id.in_([one.case_id for one in appeals])))
            cases = {row.id: case_of(row) for row in rows}
        return [(one, cases[one.case_id]) for one in appeals]


def is_under_appeal(case: CaseRow) -> bool:
    """UNDER_APPEAL of a row."""
    return case.priority >= BEFORE_OTHERS


def open_appeal(session: Session, case_id: str) -> AppealRow | None:
    return session.scalar(select(AppealRow).where(AppealRow.case_id == case_id, AppealRow.state == "open"))


def judged_person(session: Session, case_id: str) -> tuple[str | None] | None:
    """About whom an appealed case must be decided, in a tuple since that may be nobody; None without an appeal."""
    about = select(CaseDecisionRow.identity_id).join(AppealRow, AppealRow.decision_id == CaseDecisionRow.id)
    row = session.execute(about.where(AppealRow.case_id == case_id, AppealRow.state == "open")).one_or_none()
    return None if row is None else (row.identity_id,)


def end_appeal(session: Session, case: CaseRow, made: CaseDecisionRow, now: datetime) -> AppealRow | None:
    """The appeal that the decision, which closes the case, ends; None when there is none."""
    appeal = open_appeal(session, case.id)
    if appeal is not None:
        before = session.get_one(CaseDecisionRow, appeal.decision_id)
        appeal.state = "upheld" if made.decision == before.decision else "reversed"
        appeal.closed_at = now
        case.priority -= BEFORE_OTHERS
    return appeal


def _check(session: Session, case: CaseRow, by_lead: bool) -> None:
    """Raises AppealRefused when no appeal on the case can be taken in."""
    if case.state != "closed":
        if open_appeal(session, case.id) is not None:
            raise AppealRefused("appeal_open", "An appeal on this case is open already; wait for its decision.")
        raise AppealRefused("appeal_too_early", "The case is not final yet; wait until it is closed.")
    before = session.scalar(select(func.count()).where(AppealRow.case_id == case.id)) or 0
    if before >= MOST_APPEALS:
        raise AppealRefused("appeal_over", "The case has been appealed twice; a court can still decide.")
    if before and not by_lead:
        raise AppealRefused("appeal_again", "The case was appealed before; only a lead lets in a second appeal.")


def _last_word(session: Session, case_id: str) -> str | None:
    """The id of the decision by which the case was closed last; None where an erasure closed it without one."""
    final = select(CaseDecisionRow.id).where(CaseDecisionRow.case_id == case_id, CaseDecisionRow.state == "final")
    return session.scalars(final.order_by(CaseDecisionRow.decided_at.desc()).limit(1)).one_or_none()


def _appeals(*which: ColumnElement[bool]) -> Select[Any, Any, Any]:
    return (
        select(AppealRow, CaseDecisionRow, ModeratorRow.name)
        .join(CaseDecisionRow, CaseDecisionRow.id == AppealRow.decision_id)
        .outerjoin(ModeratorRow, ModeratorRow.id == AppealRow.received_by)
        .where(*which)
    )


def _appeal(row: AppealRow, against: CaseDecisionRow, received_by: str | None) -> Appeal:
    return Appeal(
        id=row.id,
        case_id=row.case_id,
        decision_id=row.decision_id,
        identity_id=against.identity_id,
        decision=cast(CaseDecision, against.decision),
        reason=against.reason,
        note=against.note,
        decided_at=against.decided_at,
        text=row.text,
        received_by=received_by,
        received_at=row.received_at,
        state=cast(AppealState, row.state),
        closed_at=row.closed_at,
    )
