"""A case's picture, for who works the case; each time it is served stands in the audit log."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from records.errors import ClaimLost
from web.api.access import Viewer, acting_for
from web.api.cases import NO_CASE, NOT_YOURS, CaseId
from web.api.found import case_named
from web.api.problems import ApiProblem, ProblemDocument, Responses
from web.api.shapes import Text
from web.console.casework import sees_faces
from web.security import DeskOf

router = APIRouter(tags=["cases"])
JPEG: Responses = {200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}}
GONE: Responses = {410: {"model": ProblemDocument, "description": "It never had one, or it is erased: `picture_gone`."}}


@router.get(
    "/cases/{case_id}/avatar.jpg",
    operation_id="getAvatar",
    summary="Show a case's picture",
    response_class=Response,
    responses={**JPEG, **NO_CASE, **NOT_YOURS, **GONE},
)
def get_avatar(
    desk: DeskOf,
    token: Viewer,
    case_id: CaseId,
    acting: Annotated[Text, Query(alias="acting_for", description="The login of who looks at it.", max_length=200)],
) -> Response:
    """The avatar as JPEG, upright, for the moderator who holds the case or, once it is decided, a lead. Keep no copy.
    Scope: `pictures:read`."""
    moderator = acting_for(desk, acting)
    case = case_named(desk, case_id)
    if not sees_faces(case, moderator):
        raise ClaimLost("The case is not in this moderator's hands; claim it for them first.")
    picture = desk.cases.picture(case_id)
    if picture is None:
        raise ApiProblem(410, "picture_gone", "No picture was kept, or it has been erased; decide on what is known.")
    desk.audit.append(token.actor, "face_viewed", case_id, {"picture": "avatar", "acting_for": moderator.id})
    return Response(picture.jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})
