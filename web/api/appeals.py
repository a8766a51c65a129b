"""Appeals: what an account's holder told the platform opens a case again, for somebody who has not decided on it."""

from fastapi import APIRouter

from web.api.access import Appealer
from web.api.cases import NO_CASE, CaseId
from web.api.found import case_named
from web.api.problems import ProblemDocument, Responses
from web.api.shapes import AppealIn, AppealOut
from web.security import DeskOf

router = APIRouter(tags=["decisions"])
REFUSED: Responses = {
    409: {
        "model": ProblemDocument,
        "description": "It cannot be taken in: `appeal_open`, `appeal_too_early`, `appeal_again`, `appeal_over`, "
        "`appeal_of_nothing`.",
    }
}


@router.post(
    "/cases/{case_id}/appeals",
    operation_id="addAppeal",
    summary="Appeal against a decision",
    status_code=201,
    responses={**NO_CASE, **REFUSED},
)
def add_appeal(desk: DeskOf, token: Appealer, case_id: CaseId, appeal: AppealIn) -> AppealOut:
    """Opens a closed case again. A second appeal on a case is let in by a lead, on its page. Scope: `appeals:write`."""
    case_named(desk, case_id)
    return AppealOut.model_validate(desk.appeals.receive(case_id, appeal.text, token.actor))
