"""Tokens of the API, for administrators: which there are, a new one, and to revoke one."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from records.errors import UnfitToken
from records.people.api_tokens import LONGEST_NAME, Scope
from records.people.web_sessions import Session
from web.desk import Desk
from web.languages import N_
from web.rendering import render
from web.security import DeskOf, signed_in

router = APIRouter(prefix="/tokens")
Administrator = Annotated[Session, Depends(signed_in("administrator"))]

SCOPE_NAMES: Mapping[Scope, str] = {
    "cases:read": N_("read cases, decisions, queues and statements of reasons"),
    "cases:decide": N_("claim and decide cases for moderators"),
    "pictures:read": N_("see the pictures of cases"),
    "appeals:write": N_("hand in appeals"),
    "reports:write": N_("send reports from your own form, and follow them"),
    "reports:flag": N_("send reports as a trusted flagger, which have a lane of their own"),
}
LASTS: Mapping[int, str] = {
    30: N_("30 days"),
    90: N_("90 days"),
    365: N_("A year"),
    0: N_("Until it is revoked"),
}
"""By days."""
UNFIT = N_("A token has a name of 1 to 100 characters that print, and may do at least one thing.")


@router.get("")
def tokens_page(request: Request, desk: DeskOf, _: Administrator, done: str = "") -> Response:
    note = N_("The token is revoked; it lets nobody in any more.") if done == "revoked" else ""
    return _page(request, desk, note=note)


@router.post("")
def add_token(
    request: Request,
    desk: DeskOf,
    session: Administrator,
    name: Annotated[str, Form(max_length=2 * LONGEST_NAME)] = "",
    scopes: Annotated[Sequence[str], Form()] = (),
    days: Annotated[int, Form(ge=0, le=3650)] = 90,
) -> Response:
    expires_at = desk.clock() + timedelta(days=days) if days else None
    try:
        text, token = desk.tokens.add(name, scopes, expires_at=expires_at, by=session.moderator.id)
    except UnfitToken:
        return _page(request, desk, 422, wrong=UNFIT, name=name, chosen=scopes, days=days)
    return render(request, "token_new.html", text=text, token=token)


@router.post("/{token_id}/revoke")
def revoke_token(desk: DeskOf, session: Administrator, token_id: str) -> Response:
    desk.tokens.revoke(token_id, by=session.moderator.id)
    return RedirectResponse("/tokens?done=revoked", 303)


def _page(
    request: Request,
    desk: Desk,
    status: int = 200,
    *,
    note: str = "",
    wrong: str = "",
    name: str = "",
    chosen: Sequence[str] = ("cases:read",),
    days: int = 90,
) -> Response:
    now = desk.clock()
    known = sorted(desk.tokens.list(), key=lambda token: not token.works(now))
    typed = {"name": name, "chosen": chosen, "days": days, "note": note, "wrong": wrong}
    return render(request, "tokens.html", status, tokens=known, scopes=SCOPE_NAMES, lasts=LASTS, now=now, **typed)
