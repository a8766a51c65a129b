"""Finds cases by what the platform knows them by: account, event, identity, or the case's own id."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from records.casework.cases import Case
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
        found = desk.golden.as_found(session.moderator.id, text, desk.cases.search(text, MOST))
        desk.audit.append(session.moderator.id, "search", *_led_to(text, found))
    names = desk.cases.names([case.identity_id for case in found if case.identity_id])
    return render(request, "search.html", q=text, found=found, names=names, most=MOST)


def _led_to(text: str, found: Sequence[Case]) -> tuple[str, dict[str, Any]]:
    """Subject and details for the audit log, which is never erased: not what was typed, which may be somebody's own
    account, nor several cases together, of which one would tell whom another was about."""
    by = {name for case in found for name in ("account", "event", "identity") if getattr(case, f"{name}_id") == text}
    details = {"by": sorted(by) or ["case"]} if found else {}
    return found[0].id if len(found) == 1 else "cases", details | {"found": len(found)}
