"""What was decided on cases, for people to read: of one case, or by one person."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import ColumnElement, Select, and_, exists, select
from sqlalchemy.orm import Session

from records.casework.queues import CaseDecision, CaseStage
from records.casework.schema_around_cases import AppealRow
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.people.schema_people import ModeratorRow

DecisionState = Literal["pending", "final", "undone", "first", "overruled"]
"""Can be taken back; told to the platform; taken back; not told, and what was told agrees or is still to come; not
told, and something else was."""


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """stage: at which it was made; batch_id: of all that were made with it at once, on a campaign; undo_until:
    while it can be taken back, until when; whether another person has taken up the case since shows only when it is
    tried."""

    id: str
    case_id: str
    account_id: str
    identity_id: str | None
    stage: CaseStage
    decision: CaseDecision
    reason: str
    note: str | None
    decided_by: str
    moderator_name: str
    decided_at: datetime
    state: DecisionState
    undo_until: datetime | None
    batch_id: str | None


def of_case(session: Session, case_id: str, now: datetime) -> list[DecisionMade]:
    """Oldest first. While the case is at its second reviewer, what the first one did is left out; while an appeal is
    open, what was decided before it, so that nobody learns who did."""
    hidden = and_(CaseRow.stage == "second", CaseRow.state != "closed", CaseDecisionRow.stage == "first")
    appealed = exists().where(
        AppealRow.case_id == case_id, AppealRow.state == "open", AppealRow.received_at >= CaseDecisionRow.decided_at
    )
    made = _made(CaseDecisionRow.case_id == case_id, ~hidden, ~appealed).order_by(CaseDecisionRow.decided_at)
    return [_decision_made(*row, now) for row in session.execute(made)]


def of_moderator(session: Session, moderator_id: str, limit: int, now: datetime) -> list[DecisionMade]:
    """Newest first."""
    made = _made(CaseDecisionRow.decided_by == moderator_id).order_by(CaseDecisionRow.decided_at.desc())
    return [_decision_made(*row, now) for row in session.execute(made.limit(limit))]


def standing(session: Session, case_ids: Collection[str], now: datetime) -> dict[str, DecisionMade]:
    """By case, the last decision that is pending or final."""
    # so put, SQLite goes by the cases, and not through all decisions that are final
    settled = CaseDecisionRow.state.not_in(("undone", "first", "overruled"))
    made = _made(CaseDecisionRow.case_id.in_(case_ids), settled).order_by(CaseDecisionRow.decided_at)
    return {row[0].case_id: _decision_made(*row, now) for row in session.execute(made)}


def final_ones(
    session: Session, *which: ColumnElement[bool], limit: int, now: datetime
) -> list[tuple[DecisionMade, datetime]]:
    """Final decisions, each with the moment at which it became final, in that order."""
    made = _made(CaseDecisionRow.final_at.is_not(None), *which).order_by(CaseDecisionRow.final_at, CaseDecisionRow.id)
    found = session.execute(made.limit(limit)).all()
    return [(_decision_made(*row, now), row[0].final_at) for row in found if row[0].final_at]


def find(session: Session, decision_id: str, now: datetime) -> DecisionMade | None:
    """The decision of this id, None when there is none."""
    row = session.execute(_made(CaseDecisionRow.id == decision_id)).one_or_none()
    return _decision_made(*row, now) if row else None


def undo_until(made: CaseDecisionRow, now: datetime) -> datetime | None:
    """The end of the decision's grace period; None when it is over, or there is nothing left to take back."""
    waits = made.state in ("pending", "first") and made.due_at is not None and made.due_at > now
    return made.due_at if waits else None


def _made(*which: ColumnElement[bool]) -> Select[CaseDecisionRow, str, str]:
    return (
        select(CaseDecisionRow, CaseRow.account_id, ModeratorRow.name)
        .join(CaseRow, CaseRow.id == CaseDecisionRow.case_id)
        .join(ModeratorRow, ModeratorRow.id == CaseDecisionRow.decided_by)
        .where(*which)
    )


def _decision_made(made: CaseDecisionRow, account_id: str, moderator_name: str, now: datetime) -> DecisionMade:
    return DecisionMade(
        id=made.id,
        case_id=made.case_id,
        account_id=account_id,
        identity_id=made.identity_id,
        stage=cast(CaseStage, made.stage),
        decision=cast(CaseDecision, made.decision),
        reason=made.reason,
        note=made.note,
        decided_by=made.decided_by,
        moderator_name=moderator_name,
        decided_at=made.decided_at,
        state=cast(DecisionState, made.state),
        undo_until=undo_until(made, now),
        batch_id=made.batch_id,
    )
