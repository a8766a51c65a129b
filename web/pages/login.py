"""Coming and going: login, logout, the start page, and the language before and after."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from records.errors import LoginLocked, WrongCode, WrongLogin
from records.moderators import Moderator
from records.web_sessions import Session
from web.languages import LANGUAGES, N_
from web.rendering import render, rooms_for, set_cookie
from web.security import (
    FORM_COOKIE,
    LANGUAGE_COOKIE,
    PLACE_FIELD,
    SESSION_COOKIE,
    DeskOf,
    VisitOf,
    own_path,
    signed_in,
)

router = APIRouter()

WHY: Mapping[str, str] = {
    "ended": N_("Your login has ended. Log in again, and you are back where you were."),
    "lost": N_("Your login has ended, so what you sent was not saved. Log in again and repeat it."),
    "out": N_("You are logged out."),
}
WRONG = N_("Login, password or code is wrong. After five wrong attempts a login is closed for a while.")
"""The same for a login that is closed: who guesses shall not learn which logins there are."""
TOO_OFTEN = N_("Too many attempts from your network. Wait %(seconds)s seconds, then try again.")


@router.get("/")
def start(visit: VisitOf, _session: Annotated[Session, Depends(signed_in())]) -> Response:
    return RedirectResponse(rooms_for(visit)[0].path, 303)


@router.get("/login")
def login_form(request: Request, visit: VisitOf, next: str = "/", why: str = "") -> Response:
    if visit.session:
        return RedirectResponse(own_path(next), 303)
    note = visit.language.text(WHY[why]) if why in WHY else ""
    return render(request, "login.html", next=own_path(next), login="", note=note, wrong="")


@router.post("/login")
def log_in(
    request: Request,
    desk: DeskOf,
    visit: VisitOf,
    login: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    code: Annotated[str, Form(max_length=20)] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    address = request.client.host if request.client else ""

    def refused(status: int, wrong: str, **values: object) -> Response:
        said = visit.language.text(wrong, **values)
        return render(request, "login.html", status, next=own_path(next), login=login, note="", wrong=said)

    if wait := request.app.state.login_limit.wait(address):
        response = refused(429, TOO_OFTEN, seconds=math.ceil(wait))
        response.headers["Retry-After"] = str(math.ceil(wait))
        return response
    try:
        moderator = desk.moderators.check_password(login, password)
        if moderator.has_totp:
            desk.moderators.check_totp(moderator.id, code.replace(" ", ""))
    except (WrongLogin, WrongCode, LoginLocked) as error:
        # What was typed is not noted: it may be a password in the wrong field.
        desk.audit.append("anonymous", "login_failed", "login", {"reason": error.reason, "address": address})
        return refused(403, WRONG)
    return _begin(request, desk, moderator, own_path(next), address)


def _begin(request: Request, desk: DeskOf, moderator: Moderator, place: str, address: str) -> Response:
    if old := request.cookies.get(SESSION_COOKIE):
        desk.sessions.end(old)
    token, _ = desk.sessions.begin(moderator.id)
    desk.audit.append(moderator.id, "login", moderator.id, {"address": address, "second_factor": moderator.has_totp})
    response = RedirectResponse(place, 303)
    set_cookie(response, SESSION_COOKIE, token)
    response.delete_cookie(FORM_COOKIE, secure=True, httponly=True, samesite="strict")
    return response


@router.post("/logout")
def log_out(request: Request, desk: DeskOf, session: Annotated[Session, Depends(signed_in())]) -> Response:
    desk.sessions.end(request.cookies[SESSION_COOKIE])
    desk.audit.append(session.moderator.id, "logout", session.moderator.id)
    response = RedirectResponse("/login?why=out", 303)
    response.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="strict")
    return response


@router.post("/language")
def choose(
    desk: DeskOf,
    visit: VisitOf,
    language: Annotated[str, Form()],
    place: Annotated[str, Form(alias=PLACE_FIELD)] = "/",
) -> Response:
    response = RedirectResponse(own_path(place), 303)
    if language not in LANGUAGES:
        return response
    if visit.session:
        chosen = replace(visit.preferences, language=language)
        desk.moderators.save_settings(visit.session.moderator.id, chosen.kept())
    set_cookie(response, LANGUAGE_COOKIE, language, days=365)
    return response
