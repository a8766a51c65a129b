"""The end of a case: the gallery learns from its decision, and the decision goes into the outbox for the platform."""

import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, and_, insert, update

from records.casework.appeals import end_appeal
from records.casework.golden_copies import close_copy, retire
from records.casework.schema_around_cases import AppealRow
from records.casework.schema_cases import CaseDecisionRow, CaseRow, DecisionToSendRow
from records.database import Database
from records.decisions import Decision, DecisionRecords
from records.errors import ReviewOfAnother, UnfitId, UnknownIdentity

log = logging.getLogger(__name__)


def close_case(
    database: Database, decisions: DecisionRecords, decision_id: str, case_id: str, clock: Callable[[], datetime]
) -> bool:
    """Closes the case by a decision whose grace period is over; whether it was us who did. Of a copy of
    a golden case nobody learns, so that it counts as not done.

    The gallery learns first, in a transaction of its own: who dies after it has it learn the same again, which changes
    nothing. Raises DatabaseAway, SchemaMismatch, MasterKeyError.
    """
    with database.write() as session:
        case = session.get(CaseRow, case_id, with_for_update=True)
        if case is None:
            return False  # a copy that was taken back and swept away meanwhile
        made = session.get_one(CaseDecisionRow, decision_id)
        if case.golden_id is not None:
            close_copy(session, case, made, clock())
            return False
        if made.state != "pending":
            return False
        account_id = case.account_id
        made.due_at = None  # from here on nobody takes it back, not even one whose clock is behind
        about, decision = made.identity_id, cast(Decision, made.decision)  # an escalation is never pending
        lesson = (account_id, decision, made.decided_by, case_id, made.note)
    if about is not None:
        try:
            decisions.record(about, *lesson)
        except UnknownIdentity:
            pass  # erased meanwhile: there is nobody left to learn about
        except (ReviewOfAnother, UnfitId) as error:
            log.warning("a decision teaches nothing", extra={"case_id": case_id, "reason": error.reason})
    with database.write() as session:
        case = session.get_one(CaseRow, case_id, with_for_update=True)
        made = session.get_one(CaseDecisionRow, decision_id)
        if made.state != "pending":
            return False
        now = clock()
        appeal = end_appeal(session, case, made, now)
        kept_back = and_(CaseDecisionRow.case_id == case_id, CaseDecisionRow.state == "first")
        if appeal is not None:  # what agreed with the decision under appeal was not overruled then
            kept_back = and_(kept_back, CaseDecisionRow.decided_at > appeal.received_at)
            if appeal.state == "reversed":  # what was held for the right answer
                retire(session, case_id, now)
        session.execute(update(CaseDecisionRow).where(kept_back, ~says_the_same(made)).values(state="overruled"))
        made.state, made.final_at = "final", now
        case.state, case.closed_at = "closed", now
        row = {"key": case.account_id, "decision_id": decision_id, "created_at": now}
        row["value"] = _message(case, made, appeal)
        session.execute(insert(DecisionToSendRow).values(row))
    return True


def says_the_same(made: CaseDecisionRow) -> ColumnElement[bool]:
    """Whether a row of decisions says the same, about the same person."""
    same_person = CaseDecisionRow.identity_id.is_not_distinct_from(made.identity_id)
    return and_(CaseDecisionRow.decision == made.decision, same_person)


def _message(case: CaseRow, made: CaseDecisionRow, appeal: AppealRow | None) -> str:
    return json.dumps(
        {
            "decision_id": made.id,
            "review_id": case.id,
            "event_id": case.event_id,
            "account_id": case.account_id,
            "decision": made.decision,
            "reason": made.reason,
            "identity_id": made.identity_id,
            "stage": made.stage,
            "decided_by": made.decided_by,
            "decided_at": made.decided_at.isoformat(),
            "appeal_of": appeal.decision_id if appeal else None,
        }
    )
