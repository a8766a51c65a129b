"""Decisions on cases: taken, taken back within the grace period, and what follows once it has passed.

A decision that settles a case waits, `pending`, until its grace period is over; then the gallery learns from it and the
platform is told, once. One that does not settle it (the first of four eyes, an escalation, a disagreement) is kept as
`first`, and the case goes on to a second person or to a lead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import uuid4

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from records import case_history
from records.announcer import utc_now
from records.case_claims import claim_lost, give_back, hold, is_free, take
from records.case_closing import close_case, says_the_same
from records.case_history import DecisionMade
from records.cases import Case, CaseState, case_of, unknown_case
from records.database import Database
from records.decisions import DecisionRecords
from records.errors import DecisionNotOffered, ReasonMissing, TooLate, UnknownDecision
from records.queues import CaseDecision, CaseStage, QueueRule, offered_decisions, stages_of
from records.schema_cases import CaseDecisionRow, CaseRow

__all__ = ["CaseDecision", "CaseDecisions", "DecidedCase", "DecisionMade"]


@dataclass(frozen=True, slots=True)
class DecidedCase:
    """How a case stands after a decision. undo_until: when it can no longer be taken back, None without a grace
    period. A case whose `state` still is open waits for somebody else at `stage`."""

    decision_id: str
    undo_until: datetime | None
    stage: CaseStage
    state: CaseState


class CaseDecisions:
    """Every method may raise DatabaseAway or SchemaMismatch.

    `grace`: how long a decision can be taken back; `lease`: how long a case that is open again stays with who took the
    decision back; `reasons`: by decision, those that may be given; `clock` gives the moment, aware.
    """

    def __init__(
        self,
        database: Database,
        decisions: DecisionRecords,
        queues: Sequence[QueueRule],
        *,
        grace: timedelta,
        lease: timedelta,
        reasons: Mapping[str, Sequence[str]],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._decisions = decisions
        self._rules = {rule.name: rule for rule in queues}
        self._grace = grace
        self._lease = lease
        self._reasons = reasons
        self._clock = clock

    def decide(
        self,
        case_id: str,
        moderator_id: str,
        role: str,
        decision: str,
        reason: str | None,
        note: str | None = None,
        identity_id: str | None = None,
    ) -> DecidedCase:
        """Decides on a case that the person holds, and ends the claim.

        identity_id: whom the decision is about, when not the identity of the leading finding. Raises UnknownCase,
        ClaimLost, DecisionNotOffered, ReasonMissing.
        """
        now = self._clock()
        with self._database.write() as session:
            case = session.get(CaseRow, case_id, with_for_update=True)
            if case is None:
                raise unknown_case(case_id)
            if case.claimed_by != moderator_id:
                raise claim_lost()
            rule = self._rules.get(case.queue)
            stage = cast(CaseStage, case.stage)
            if rule is None or stage not in stages_of(rule, role) or decision not in offered_decisions(rule, stage):
                raise DecisionNotOffered(f"The queue {case.queue} does not offer you this decision; choose another.")
            if reason not in self._reasons.get(decision, ()):
                raise ReasonMissing("A decision needs a reason from the list; choose one.")
            if identity_id is not None and identity_id not in _identities(case):
                raise DecisionNotOffered("The case does not speak of that person; choose one of those it names.")
            made = CaseDecisionRow(
                id=str(uuid4()),
                case_id=case_id,
                stage=stage,
                identity_id=identity_id or case.identity_id,
                decision=decision,
                reason=reason,
                note=note.strip() or None if note else None,
                decided_by=moderator_id,
                decided_at=now,
                due_at=now + self._grace,
            )
            passes_to = _passes_to(session, rule, made)
            stage_after = passes_to or stage
            state_after: CaseState = "open" if passes_to else "decided"
            made.state = "first" if passes_to else "pending"
            session.add(made)
            case.stage, case.state = stage_after, state_after
            give_back(case)
            return DecidedCase(made.id, made.due_at if self._grace else None, stage_after, state_after)

    def undo(self, decision_id: str, moderator_id: str) -> Case:
        """The case as it was before the decision, in their hands again; what else they held is given back.

        Raises UnknownDecision, and TooLate when the grace period is over, another has taken up the case, or the
        decision is not theirs.
        """
        now = self._clock()
        with self._database.write() as session:
            made = session.get(CaseDecisionRow, decision_id)
            if made is None:
                raise UnknownDecision("There is no such decision; look at your latest ones.")
            held = hold(session, moderator_id, made.case_id)
            case = next(row for row in held if row.id == made.case_id)
            session.refresh(made)  # it may have become final while we waited for the case
            if made.decided_by != moderator_id:
                raise TooLate("Another person made this decision; only they can take it back.")
            if case_history.undo_until(made, now) is None or not _untouched(case, made, now):
                raise TooLate("The decision can no longer be taken back; tell a lead if it was wrong.")
            made.state = "undone"
            case.state, case.stage = "open", made.stage
            take(case, held, moderator_id, now + self._lease)
            return case_of(case)

    def finish_due(self) -> int:
        """Finishes the decisions whose grace period is over: the gallery learns, the case is closed, and the decision
        lies in the outbox, once, however many processes do this at once. Returns how many. Raises MasterKeyError."""
        passed = CaseDecisionRow.due_at <= self._clock()
        due = (
            select(CaseDecisionRow.id, CaseDecisionRow.case_id)
            .where(CaseDecisionRow.state == "pending", or_(passed, CaseDecisionRow.due_at.is_(None)))
            .order_by(CaseDecisionRow.decided_at)
        )
        with self._database.read() as session:
            waiting = session.execute(due).all()
        return sum(close_case(self._database, self._decisions, *row, self._clock) for row in waiting)

    def history(self, case_id: str) -> list[DecisionMade]:
        """The case's decisions, oldest first, those that were taken back too. While the case waits for its second
        reviewer, what the first one did is left out, so that the second judges alone."""
        with self._database.read() as session:
            return case_history.of_case(session, case_id, self._clock())

    def recent(self, moderator_id: str, limit: int = 20) -> list[DecisionMade]:
        """The person's own decisions, newest first."""
        with self._database.read() as session:
            return case_history.of_moderator(session, moderator_id, limit, self._clock())


def _identities(case: CaseRow) -> set[str]:
    """Whom the case's findings speak of."""
    findings = case_of(case).evidence.get("findings", [])
    named = [one.get("identity_id") for one in findings]
    named += [one["runner_up"].get("identity_id") for one in findings if one.get("runner_up")]
    return {case.identity_id, *named} - {None}


def _passes_to(session: Session, rule: QueueRule, made: CaseDecisionRow) -> CaseStage | None:
    """Who must decide after this decision; None when it settles the case."""
    if made.decision == "escalated":
        return "lead"
    if made.stage == "first":
        return "second" if rule.four_eyes else None
    if made.stage == "second":
        first = exists().where(
            CaseDecisionRow.case_id == made.case_id,
            CaseDecisionRow.stage == "first",
            CaseDecisionRow.state == "first",
            says_the_same(made),
        )
        return None if session.scalar(select(first)) else "lead"
    return None


def _untouched(case: CaseRow, made: CaseDecisionRow, now: datetime) -> bool:
    """Whether nobody else has decided or is working on the case since."""
    if made.state == "pending":
        return True
    passed_to = "lead" if made.decision == "escalated" or made.stage == "second" else "second"
    return case.state == "open" and case.stage == passed_to and is_free(case, now)
