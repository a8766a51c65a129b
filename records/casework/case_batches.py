"""One decision on many cases: what it would do to each, the decision, and all of it taken back at once.

Each case is judged exactly as by hand, with the same checks and an entry of its own in the audit log.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.audit import AuditLog
from records.casework.case_claims import give_back, hold
from records.casework.case_decisions import CaseDecisions, Choice
from records.casework.cases import Case, case_of
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database
from records.errors import ClaimLost, DecisionNotOffered, TooLate

Fate = Literal["settled", "second", "compared", "lead"]
"""Of a case, once it is decided: the platform is told after the grace period; a second person judges; it was the second
judgement, and a lead decides if the first was another; a lead decides."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a decision would do to a case."""

    case: Case
    fate: Fate


@dataclass(frozen=True, slots=True)
class Passed:
    """A case that a decision would not touch. why: claim_lost, decision_not_offered or other_person."""

    case: Case
    why: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What was decided at once. `left`: how many of the cases could not be."""

    id: str
    case_ids: tuple[str, ...]
    left: int


class CaseBatches:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch. `lease`: how long cases stay with
    who took the decision back; `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        decisions: CaseDecisions,
        audit: AuditLog,
        *,
        lease: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._decisions = decisions
        self._audit = audit
        self._lease = lease
        self._clock = clock

    def plan(
        self, case_ids: Collection[str], moderator_id: str, role: str, choice: Choice
    ) -> tuple[list[Planned], list[Passed]]:
        """What `decide` would do, as things stand. Raises ReasonMissing."""
        planned, passed = list[Planned](), list[Passed]()
        with self._database.read() as session:
            for row in session.scalars(select(CaseRow).where(CaseRow.id.in_(case_ids)).order_by(CaseRow.opened_at)):
                if row.identity_id != choice.identity_id:
                    passed.append(Passed(case_of(row), "other_person"))
                    continue
                try:
                    planned.append(Planned(case_of(row), self._fate(session, row, moderator_id, role, choice)))
                except (ClaimLost, DecisionNotOffered) as error:
                    passed.append(Passed(case_of(row), error.reason))
        return planned, passed

    def decide(self, case_ids: Collection[str], moderator_id: str, role: str, choice: Choice) -> Batch:
        """Decides those of the cases that still are in the person's hands, offer the decision and are about the
        choice's identity first of all, and ends their claims. Raises ReasonMissing, and ClaimLost when none is."""
        batch_id = str(uuid4())
        made = dict[str, str]()
        with self._database.write() as session:
            locked = select(CaseRow).where(CaseRow.id.in_(case_ids)).order_by(CaseRow.id).with_for_update()
            for row in session.scalars(locked).all():
                if row.identity_id != choice.identity_id:
                    continue
                try:
                    decided = self._decisions.decide_in(session, row, moderator_id, role, choice, batch_id)
                except (ClaimLost, DecisionNotOffered):
                    continue
                made[row.id] = decided.decision_id
            if not made:
                raise ClaimLost("None of the cases is in your hands any more; take the campaign again.")
            session.flush()
            for case_id, decision_id in made.items():
                said = {"decision_id": decision_id, "decision": choice.decision, "reason": choice.reason}
                self._audit.append_in(session, moderator_id, "case_decided", case_id, said | {"batch_id": batch_id})
        return Batch(batch_id, tuple(made), len(set(case_ids)) - len(made))

    def undo(self, batch_id: str, moderator_id: str) -> list[Case]:
        """The cases as they were before, in the person's hands again; what else they held is given back. One that
        another has taken up since stays decided. Raises TooLate when none can be taken back."""
        mine = CaseDecisionRow.batch_id == batch_id, CaseDecisionRow.decided_by == moderator_id
        with self._database.write() as session:
            decisions = session.scalars(select(CaseDecisionRow).where(*mine)).all()
            held = hold(session, moderator_id, *(made.case_id for made in decisions))
            cases = {row.id: row for row in held}
            undone = [
                (made, cases[made.case_id])
                for made in decisions
                if self._undone(session, made, cases[made.case_id], moderator_id)
            ]
            if not undone:
                raise TooLate("The decisions can no longer be taken back; tell a lead if they were wrong.")
            for row in held:
                if row.claimed_by == moderator_id:
                    give_back(row)
            for _, row in undone:
                row.claimed_by, row.claimed_until = moderator_id, self._clock() + self._lease
            session.flush()
            for made, row in undone:
                said = {"decision_id": made.id, "batch_id": batch_id}
                self._audit.append_in(session, moderator_id, "decision_undone", row.id, said)
            return [case_of(row) for _, row in undone]

    def _fate(self, session: Session, row: CaseRow, moderator_id: str, role: str, choice: Choice) -> Fate:
        made, passes_to = self._decisions.judge(session, row, moderator_id, role, choice)
        if choice.decision != "escalated" and made.stage == "second":
            return "compared"  # whether the first said the same is not told beforehand
        return "settled" if passes_to is None else "second" if passes_to == "second" else "lead"

    def _undone(self, session: Session, made: CaseDecisionRow, row: CaseRow, moderator_id: str) -> bool:
        try:
            self._decisions.undo_in(session, made, row, moderator_id)
        except TooLate:
            return False
        return True
