"""Appeals: the open ones, for leads, and the form by which one is taken in."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from records.casework.appeals import TEXT_LENGTH
from records.people.web_sessions import Session
from web.console.casework import Worker, case_path
from web.rendering import render
from web.security import DeskOf, signed_in

router = APIRouter()
Lead = Annotated[Session, Depends(signed_in("lead"))]
MOST = 50


@router.get("/appeals")
def appeals_page(request: Request, desk: DeskOf, session: Lead) -> Response:
    waiting, names = desk.appeals.waiting(MOST), desk.moderators.names()
    return render(request, "appeals.html", waiting=waiting, names=names, most=MOST, now=desk.clock())


@router.post("/case/{case_id}/appeal")
def appeal(
    desk: DeskOf, session: Worker, case_id: str, text: Annotated[str, Form(max_length=2 * TEXT_LENGTH)] = ""
) -> Response:
    moderator = session.moderator
    desk.appeals.receive(case_id, text, moderator.id, by_lead=moderator.role == "lead")
    return RedirectResponse(f"{case_path(case_id)}#appeals", 303)
