"""Decisions: to make one for a moderator, to take it back, and which are final."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query

from records.casework.case_decisions import DecisionMade
from records.errors import ClaimLost, UnknownDecision
from web.api.access import Decider, Reader, acting_for
from web.api.cases import NO_CASE, NOT_YOURS, CaseId
from web.api.found import case_named
from web.api.paging import Cursor, Limit, Moment, read_cursor, write_cursor
from web.api.problems import ApiProblem, ProblemDocument
from web.api.shapes import Actor, CaseSummary, Decided, Decision, DecisionIn, DecisionPage, FinalDecisionOut
from web.desk import Desk
from web.security import DeskOf

router = APIRouter(tags=["decisions"])
KEYS = uuid.UUID("0d1c9bb7-55a6-4a35-9e0c-6a5d7f5f2c11")
"""Names the decisions that are made under an idempotency key."""
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x20-\x7e]+$",
        description="Any text, new for each decision: a repeat of the request with the same key decides nothing, and "
        "gives the decision as it stands.",
    ),
]


@router.post(
    "/cases/{case_id}/decide", operation_id="decideCase", summary="Decide a case", responses={**NO_CASE, **NOT_YOURS}
)
def decide_case(
    desk: DeskOf, token: Decider, case_id: CaseId, wanted: DecisionIn, idempotency_key: IdempotencyKey = None
) -> Decided:
    """Decides a case that is in the moderator's hands. Where the queue asks for four eyes, the case goes on to a second
    person. Scope: `cases:decide`."""
    moderator = acting_for(desk, wanted.acting_for)
    case_named(desk, case_id)
    decision_id = None
    if idempotency_key is not None:
        decision_id = str(uuid.uuid5(KEYS, f"{token.id} {case_id} {idempotency_key}"))
        if (repeated := _repeated(desk, decision_id, moderator.id, wanted)) is not None:
            return _decided(desk, repeated)
    said = (wanted.decision, wanted.reason, wanted.note, wanted.identity_id)
    try:
        decided = desk.decisions.decide(
            case_id, moderator.id, moderator.role, *said, decision_id=decision_id, through=token.actor
        )
    except ClaimLost:  # the same request may have come twice at the same moment
        if decision_id is None or (repeated := _repeated(desk, decision_id, moderator.id, wanted)) is None:
            raise
        return _decided(desk, repeated)
    return _decided(desk, _found(desk, decided.decision_id))


@router.post(
    "/decisions/{decision_id}/undo",
    operation_id="undoDecision",
    summary="Undo a decision",
    responses={
        404: {"model": ProblemDocument, "description": "There is no such decision: `unknown_decision`."},
        409: {"model": ProblemDocument, "description": "It can no longer be undone: `too_late`."},
    },
)
def undo_decision(
    desk: DeskOf, token: Decider, decision_id: Annotated[str, Path(pattern=r"^[^\x00]+$")], wanted: Actor
) -> CaseSummary:
    """Takes the moderator's own decision back within its grace period; the case is in their hands again. Scope:
    `cases:decide`."""
    moderator = acting_for(desk, wanted.acting_for)
    case_named(desk, _found(desk, decision_id).case_id)
    return CaseSummary.model_validate(desk.decisions.undo(decision_id, moderator.id, through=token.actor))


@router.get("/decisions", operation_id="listDecisions", summary="List final decisions")
def list_decisions(
    desk: DeskOf,
    _token: Reader,
    since: Annotated[Moment | None, Query(description="Final from then on.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> DecisionPage:
    """Final decisions by when they became final, oldest first; those of the last five seconds come a little later, so
    that who keeps `next` misses none. Scope: `cases:read`."""
    finals = desk.listing.final_decisions(since, read_cursor(cursor), limit)
    following = write_cursor(finals[-1].final_at, finals[-1].made.id) if finals else cursor or ""
    return DecisionPage(decisions=[FinalDecisionOut.of_final(one) for one in finals], next=following)


def _repeated(desk: Desk, decision_id: str, moderator_id: str, wanted: DecisionIn) -> DecisionMade | None:
    """The decision that was made under the same key. Raises ApiProblem when it was another one."""
    made = desk.listing.decision(decision_id)
    if made is None:
        return None
    about, note = wanted.identity_id or made.identity_id, (wanted.note or "").strip() or None
    asked = (moderator_id, wanted.decision, wanted.reason, note, about)
    if (made.decided_by, made.decision, made.reason, made.note, made.identity_id) != asked:
        raise ApiProblem(422, "key_reused", "The Idempotency-Key was used for another decision; take a new one.")
    return made


def _found(desk: Desk, decision_id: str) -> DecisionMade:
    made = desk.listing.decision(decision_id)
    if made is None:
        raise UnknownDecision("There is no such decision.")
    return made


def _decided(desk: Desk, made: DecisionMade) -> Decided:
    case = CaseSummary.model_validate(desk.cases.get(made.case_id))
    return Decided(decision=Decision.of(made), case=case)
