"""Finds cases by what the platform knows them by: account, event, identity, or the case's own id."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from web.console.casework import Worker
from web.rendering import render
from web.security import DeskOf

router = APIRouter()
MOST = 50


@router.get("/search")
def search_page(
    request: Request, desk: DeskOf, session: Worker, q: Annotated[str, Query(max_length=256)] = ""
) -> Response:
    text = q.strip()
    found = []
    if text:
        desk.audit.append(session.moderator.id, "search", text)
        found = desk.golden.as_found(session.moderator.id, text, desk.cases.search(text, MOST))
    names = desk.cases.names([case.identity_id for case in found if case.identity_id])
    return render(request, "search.html", q=text, found=found, names=names, most=MOST)
