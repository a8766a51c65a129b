"""What one does with a case: take the next one, decide, undo, skip, give it back, say something about it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from records.errors import ClaimLost
from records.people.moderators import Moderator
from web.console.casework import SKIP_REASONS, WORKED_HERE, FacesOf, Worker, case_path, sees_faces, with_query
from web.desk import Desk
from web.errors import wants_json
from web.security import DeskOf

router = APIRouter()
NOTE_LENGTH = 4000
Note = Annotated[str, Form(max_length=NOTE_LENGTH)]
Word = Annotated[str, Form(max_length=100)]
Number = Annotated[int, Form(ge=0)]


@router.post("/case/next", dependencies=[WORKED_HERE])
def next_case(desk: DeskOf, session: Worker, queue: Word = "") -> Response:
    return _go_on(desk, session.moderator, queue)


@router.post("/case/{case_id}/claim", dependencies=[WORKED_HERE])
def claim(desk: DeskOf, session: Worker, case_id: str) -> Response:
    moderator = session.moderator
    desk.claims.claim(case_id, moderator.id, moderator.role)
    return RedirectResponse(case_path(case_id), 303)


@router.post("/case/{case_id}/decide")
def decide(
    desk: DeskOf,
    session: Worker,
    faces: FacesOf,
    case_id: str,
    decision: Word,
    reason: Word = "",
    note: Note = "",
    identity: Word = "",
    queue: Word = "",
) -> Response:
    moderator = session.moderator
    decided = desk.decisions.decide(
        case_id, moderator.id, moderator.role, decision, reason, note or None, identity or None
    )
    faces.forget(case_id)
    return _go_on(desk, moderator, queue, after=decided.decision_id)


@router.post("/decision/{decision_id}/undo")
def undo(desk: DeskOf, session: Worker, decision_id: str, queue: Word = "") -> Response:
    moderator = session.moderator
    case = desk.decisions.undo(decision_id, moderator.id)
    return RedirectResponse(case_path(case.id, queue=queue), 303)


@router.post("/case/{case_id}/skip")
def skip(desk: DeskOf, session: Worker, faces: FacesOf, case_id: str, reason: Word = "", queue: Word = "") -> Response:
    moderator = session.moderator
    desk.claims.skip(case_id, moderator.id, reason if reason in SKIP_REASONS else "")
    faces.forget(case_id)
    return _go_on(desk, moderator, queue)


@router.post("/case/{case_id}/release")
def release(desk: DeskOf, session: Worker, faces: FacesOf, case_id: str) -> Response:
    desk.claims.release(case_id, session.moderator.id)
    faces.forget(case_id)
    return RedirectResponse("/queue", 303)


@router.post("/case/{case_id}/renew")
def renew(desk: DeskOf, session: Worker, case_id: str) -> Response:
    """For the page's script, while somebody is there."""
    until: datetime = desk.claims.renew(case_id, session.moderator.id)
    return JSONResponse({"until": until.isoformat()})


@router.post("/case/{case_id}/revealed")
def revealed(
    request: Request, desk: DeskOf, session: Worker, case_id: str, suspect: Number = 0, queue: Word = ""
) -> Response:
    """The pictures are shown without blur: at once by the page's script, else by the page anew."""
    if not sees_faces(desk.cases.get(case_id), session.moderator):
        raise ClaimLost("The case is not in the hands of who looks at it.")
    desk.audit.append(session.moderator.id, "picture_revealed", case_id)
    if wants_json(request):
        return Response(status_code=204)
    return RedirectResponse(case_path(case_id, suspect=suspect, queue=queue, clear="true"), 303)


@router.post("/case/{case_id}/comment")
def comment(desk: DeskOf, session: Worker, case_id: str, text: Note = "", queue: Word = "") -> Response:
    if desk.cases.comment(case_id, session.moderator.id, text):
        desk.audit.append(session.moderator.id, "case_commented", case_id)
    return RedirectResponse(f"{case_path(case_id, queue=queue)}#comments", 303)


def _go_on(desk: Desk, moderator: Moderator, queue: str, after: str = "") -> Response:
    """To the next case, claimed; to the queues when nothing waits."""
    case = desk.claims.next(moderator.id, moderator.role, queue or None)
    if case is None:
        return RedirectResponse(with_query("/queue", {"after": after, "empty": queue or "all"}), 303)
    return RedirectResponse(case_path(case.id, queue=queue, after=after), 303)
