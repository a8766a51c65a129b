"""Cases: which there are, what is known of one, and to take one into a moderator's hands."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from records.casework.case_listing import CaseFilter
from records.casework.cases import CaseState
from records.casework.queues import offered_decisions
from web.api.access import Decider, Reader, acting_for
from web.api.found import case_named
from web.api.paging import Cursor, Limit, Moment, read_cursor, write_cursor
from web.api.problems import ProblemDocument, Responses
from web.api.shapes import CASE_ID, Actor, CaseDetail, CasePage, CaseSummary, Decision, Lease, Text
from web.console.case_view import identities
from web.console.casework import rule_of
from web.console.statement import statement_of
from web.security import DeskOf

router = APIRouter(tags=["cases"])
CaseId = Annotated[str, Path(description="The case's id.", examples=[CASE_ID], pattern=r"^[^\x00]+$")]
Wanted = Annotated[Text | None, Query(max_length=256)]
NO_CASE: Responses = {404: {"model": ProblemDocument, "description": "There is no such case: `unknown_case`."}}
NOT_YOURS: Responses = {
    409: {
        "model": ProblemDocument,
        "description": "The case cannot be had (`held_by_another`, `not_open`, `decided_by_you`), or is no longer in "
        "the moderator's hands (`claim_lost`).",
    }
}


@router.get("/cases", operation_id="listCases", summary="List cases")
def list_cases(
    desk: DeskOf,
    _token: Reader,
    queue: Wanted = None,
    state: CaseState | None = None,
    account: Wanted = None,
    identity: Annotated[Text | None, Query(max_length=256, description="Of the leading finding.")] = None,
    opened_since: Moment | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> CasePage:
    """Cases by when they were opened, oldest first; those of the last five seconds come a little later. Scope:
    `cases:read`."""
    which = CaseFilter(queue, state, account, identity, opened_since)
    cases = desk.listing.cases(which, read_cursor(cursor), limit)
    following = write_cursor(cases[-1].opened_at, cases[-1].id) if len(cases) == limit else None
    return CasePage(cases=[CaseSummary.model_validate(case) for case in cases], next=following)


@router.get("/cases/{case_id}", operation_id="getCase", summary="Show a case", responses=NO_CASE)
def get_case(desk: DeskOf, _token: Reader, case_id: CaseId) -> CaseDetail:
    """A case with its evidence and its history. Scope: `cases:read`."""
    case = case_named(desk, case_id)
    rule = rule_of(desk, case.queue)
    return CaseDetail.of(
        case,
        desk.cases.names(identities(case)),
        offers=offered_decisions(rule, case.stage) if rule and case.state == "open" else (),
        decisions=[Decision.of(made) for made in desk.decisions.history(case_id)],
        comments=desk.cases.count_comments(case_id),
        avatar=f"/api/v1/cases/{case_id}/avatar.jpg" if desk.cases.is_pictured(case_id) else None,
        statement=f"/api/v1/cases/{case_id}/statement" if statement_of(desk, case) else None,
    )


@router.post(
    "/cases/{case_id}/claim", operation_id="claimCase", summary="Claim a case", responses={**NO_CASE, **NOT_YOURS}
)
def claim_case(desk: DeskOf, token: Decider, case_id: CaseId, wanted: Actor) -> CaseSummary:
    """Puts the case into the moderator's hands for a lease; what else they held goes back to its queue. Scope:
    `cases:decide`."""
    moderator = acting_for(desk, wanted.acting_for)
    case_named(desk, case_id)
    return CaseSummary.model_validate(desk.claims.claim(case_id, moderator.id, moderator.role, through=token.actor))


@router.post(
    "/cases/{case_id}/renew", operation_id="renewClaim", summary="Renew a claim", responses={**NO_CASE, **NOT_YOURS}
)
def renew_claim(desk: DeskOf, _token: Decider, case_id: CaseId, wanted: Actor) -> Lease:
    """Begins the lease anew; to be sent while the moderator is there. Scope: `cases:decide`."""
    moderator = acting_for(desk, wanted.acting_for)
    case_named(desk, case_id)
    return Lease(claimed_until=desk.claims.renew(case_id, moderator.id))


@router.post(
    "/cases/{case_id}/release",
    operation_id="releaseCase",
    summary="Give a case back",
    status_code=204,
    responses=NO_CASE,
)
def release_case(desk: DeskOf, _token: Decider, case_id: CaseId, wanted: Actor) -> Response:
    """Gives the case back to its queue; nothing happens when it is not in the moderator's hands. Scope:
    `cases:decide`."""
    moderator = acting_for(desk, wanted.acting_for)
    case_named(desk, case_id)
    desk.claims.release(case_id, moderator.id)
    return Response(status_code=204)
