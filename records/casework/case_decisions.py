"""Decisions on cases: taken, taken back within the grace period, and what follows once it has passed.

A decision that settles a case waits, `pending`, until its grace period is over; then the gallery learns from it and the
platform is told, once. One that does not settle it (the first of four eyes, an escalation, a disagreement) is kept as
`first`, and the case goes on to a second person or to a lead.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import uuid4

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.audit import AuditLog
from records.casework import case_history, golden_copies
from records.casework.appeals import judged_person
from records.casework.case_claims import claim_lost, give_back, hold, is_free, take
from records.casework.case_closing import close_case, says_the_same
from records.casework.case_history import DecisionMade
from records.casework.cases import Case, CaseState, case_of, unknown_case
from records.casework.first_judgement import SHOWN, first_judgement
from records.casework.queues import CaseDecision, CaseStage, QueueRule, offered_decisions, stages_of
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database
from records.decisions import DecisionRecords
from records.errors import DecisionNotOffered, ReasonMissing, TooLate, UnknownDecision

__all__ = ["CaseDecision", "CaseDecisions", "Choice", "DecidedCase", "DecisionMade"]


@dataclass(frozen=True, slots=True)
class DecidedCase:
    """How a case stands after a decision. undo_until: when it can no longer be taken back, None without a grace
    period. A case whose `state` still is open waits for somebody else at `stage`."""

    decision_id: str
    undo_until: datetime | None
    stage: CaseStage
    state: CaseState


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody decides, and why. identity_id: whom it is about, when not the identity of the leading finding;
    decision_id: the id that it gets, when not a new one."""

    decision: str
    reason: str | None
    note: str | None = None
    identity_id: str | None = None
    decision_id: str | None = None


class CaseDecisions:
    """Every method may raise DatabaseAway or SchemaMismatch; decisions stand with their entries in the audit log.

    `grace`: how long a decision can be taken back; `lease`: how long a case that is open again stays with who took the
    decision back; `reasons`: by decision, those that may be given; `clock` gives the moment, aware.
    """

    def __init__(
        self,
        database: Database,
        decisions: DecisionRecords,
        queues: Sequence[QueueRule],
        audit: AuditLog,
        *,
        grace: timedelta,
        lease: timedelta,
        reasons: Mapping[str, Sequence[str]],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._decisions = decisions
        self._rules = {rule.name: rule for rule in queues}
        self._audit = audit
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
        decision_id: str | None = None,
        through: str | None = None,
    ) -> DecidedCase:
        """Decides a case that is in the person's hands, and ends the claim.

        identity_id: whom the decision is about, when not the identity of the leading finding; decision_id: when it is
        not to be a new one; through: the program that did it for them, as the log's actor. Raises UnknownCase,
        ClaimLost, DecisionNotOffered, ReasonMissing.
        """
        with self._database.write() as session:
            case = session.get(CaseRow, case_id, with_for_update=True)
            if case is None:
                raise unknown_case(case_id)
            choice = Choice(decision, reason, note, identity_id, decision_id)
            decided = self.decide_in(session, case, moderator_id, role, choice)
            session.flush()
            said = {"decision_id": decided.decision_id, "decision": decision, "reason": reason}
            first = first_judgement(session, case_id, moderator_id)
            said |= {"first_judgement": first} if first else {}
            said |= {"acting_for": moderator_id} if through else {}
            self._audit.append_in(session, through or moderator_id, "case_decided", case_id, said)
            return decided

    def note_judgement(self, case_id: str, moderator_id: str, role: str, judgement: str) -> None:
        """Notes what they judged of a case in their hands; call it before they are told how alike the faces are. The
        first judgement of a claim stands, later ones change nothing. Raises UnknownCase, ClaimLost, DecisionNotOffered.
        """
        with self._database.write() as session:
            case = session.get(CaseRow, case_id, with_for_update=True)
            if case is None:
                raise unknown_case(case_id)
            self._offered(case, moderator_id, role, judgement)
            if first_judgement(session, case_id, moderator_id) is None:
                self._audit.append_in(session, moderator_id, SHOWN, case_id, {"judgement": judgement})

    def decide_in(
        self,
        session: Session,
        case: CaseRow,
        moderator_id: str,
        role: str,
        choice: Choice,
        batch_id: str | None = None,
    ) -> DecidedCase:
        """The same within a write transaction that has locked the case, without an entry in the audit log."""
        made, passes_to = self.judge(session, case, moderator_id, role, choice)
        made.batch_id = batch_id
        made.state = "first" if passes_to else "pending"
        session.add(made)
        case.stage, case.state = passes_to or made.stage, "open" if passes_to else "decided"
        give_back(case)
        until = made.due_at if self._grace else None
        return DecidedCase(made.id, until, cast(CaseStage, case.stage), cast(CaseState, case.state))

    def judge(
        self, session: Session, case: CaseRow, moderator_id: str, role: str, choice: Choice
    ) -> tuple[CaseDecisionRow, CaseStage | None]:
        """The decision as it would be made, and who must decide after it: None when it settles the case. Changes
        nothing. Raises ClaimLost, DecisionNotOffered, ReasonMissing."""
        decision, identity_id = choice.decision, choice.identity_id
        rule, stage = self._offered(case, moderator_id, role, decision)
        appealed = judged_person(session, case.id)
        if choice.reason not in self._reasons.get(decision, ()):
            raise ReasonMissing("A decision needs a reason from the list; choose one.")
        if identity_id is not None and identity_id not in _identities(case):
            raise DecisionNotOffered("The case does not speak of that person; choose one of those it names.")
        if appealed is not None and identity_id not in (None, *appealed):
            raise DecisionNotOffered("The appeal is about another person of this case; decide about that one.")
        now = self._clock()
        made = CaseDecisionRow(
            id=choice.decision_id or str(uuid4()),
            case_id=case.id,
            stage=stage,
            identity_id=identity_id or (appealed[0] if appealed else case.identity_id),
            decision=decision,
            reason=choice.reason,
            note=(choice.note or "").strip() or None,
            decided_by=moderator_id,
            decided_at=now,
            due_at=now + self._grace,
        )
        return made, _passes_to(session, rule, case, made)

    def _offered(self, case: CaseRow, moderator_id: str, role: str, decision: str) -> tuple[QueueRule, CaseStage]:
        """The rule and the stage by which they may decide so. Raises ClaimLost, DecisionNotOffered."""
        if case.claimed_by != moderator_id or case.state != "open":
            raise claim_lost()
        rule = self._rules.get(case.queue)
        stage = cast(CaseStage, case.stage)
        if rule is None or stage not in stages_of(rule, role) or decision not in offered_decisions(rule, stage):
            raise DecisionNotOffered(f"The queue {case.queue} does not offer you this decision; choose another.")
        return rule, stage

    def undo(self, decision_id: str, moderator_id: str, through: str | None = None) -> Case:
        """The case as it was before the decision, in their hands again; what else they held is given back.

        through: as in `decide`. Raises UnknownDecision, and TooLate when the grace period is over, another has taken up
        the case, or the decision is not theirs.
        """
        now = self._clock()
        with self._database.write() as session:
            made = session.get(CaseDecisionRow, decision_id)
            if made is None:
                raise UnknownDecision("There is no such decision; look at your latest ones.")
            held = hold(session, moderator_id, made.case_id)
            case = next(row for row in held if row.id == made.case_id)
            self.undo_in(session, made, case, moderator_id)
            take(case, held, moderator_id, now + self._lease)
            session.flush()
            said = {"decision_id": decision_id} | ({"acting_for": moderator_id} if through else {})
            self._audit.append_in(session, through or moderator_id, "decision_undone", case.id, said)
            return case_of(case)

    def undo_in(self, session: Session, made: CaseDecisionRow, case: CaseRow, moderator_id: str) -> None:
        """Takes the decision back within a write transaction that has locked the case, which is open then and in
        nobody's hands. Raises TooLate."""
        now = self._clock()
        session.refresh(made)  # it may have become final while we waited for the case
        if made.decided_by != moderator_id:
            raise TooLate("Another person made this decision; only they can take it back.")
        if case_history.undo_until(made, now) is None or not _untouched(case, made, now):
            raise TooLate("The decision can no longer be taken back; tell a lead if it was wrong.")
        made.state = "undone"
        case.state, case.stage = "open", made.stage

    def finish_due(self) -> int:
        """Finishes the decisions whose grace period is over: the gallery learns, the case is closed, and the decision
        lies in the outbox, once, however many processes do this at once. Returns how many. Raises MasterKeyError."""
        passed = CaseDecisionRow.due_at <= self._clock()
        due = (
            select(CaseDecisionRow.id, CaseDecisionRow.case_id)
            .join(CaseRow, CaseRow.id == CaseDecisionRow.case_id)
            .where(
                CaseDecisionRow.state == "pending",
                or_(passed, CaseDecisionRow.due_at.is_(None)),
                CaseRow.golden_id.is_(None),
            )
            .order_by(CaseDecisionRow.decided_at)
        )
        with self._database.read() as session:
            waiting = [*session.execute(due), *session.execute(golden_copies.due(self._clock()))]
        return sum(close_case(self._database, self._decisions, made, case, self._clock) for made, case in waiting)

    def history(self, case_id: str) -> list[DecisionMade]:
        """The case's decisions, oldest first, those that were taken back too. While the case waits for its second
        reviewer, what the first one did is left out, so that the second judges alone."""
        with self._database.read() as session:
            return case_history.of_case(session, case_id, self._clock())

    def standing(self, case_ids: Collection[str]) -> dict[str, DecisionMade]:
        """Of those cases that are decided or closed, the decision that stands."""
        with self._database.read() as session:
            return case_history.standing(session, case_ids, self._clock())

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


def _passes_to(session: Session, rule: QueueRule, case: CaseRow, made: CaseDecisionRow) -> CaseStage | None:
    """Who must decide after this decision; None when it settles the case."""
    if made.decision == "escalated":
        return "lead"
    if made.stage == "first":
        return "second" if rule.four_eyes or case.double_review else None
    if made.stage == "second":
        on_case = CaseDecisionRow.case_id == made.case_id
        first = exists().where(
            on_case, CaseDecisionRow.stage == "first", CaseDecisionRow.state == "first", says_the_same(made)
        )
        # who takes another judgement back has seen that it was not the first one's
        seen = exists().where(
            on_case,
            CaseDecisionRow.stage == "second",
            CaseDecisionRow.state == "undone",
            CaseDecisionRow.decided_by == made.decided_by,
            CaseDecisionRow.decision != "escalated",
            ~says_the_same(made),
        )
        return None if session.scalar(select(and_(first, ~seen))) else "lead"
    return None


def _untouched(case: CaseRow, made: CaseDecisionRow, now: datetime) -> bool:
    """Whether nobody else has decided or is working on the case since."""
    if made.state == "pending":
        return True
    passed_to = "lead" if made.decision == "escalated" or made.stage == "second" else "second"
    return case.state == "open" and case.stage == passed_to and is_free(case, now)
