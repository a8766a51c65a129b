"""Coming and going: login, logout, the start page, and the language before and after."""

import math
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from records.errors import LoginLocked, UnknownModerator, WrongCode, WrongLogin
from records.people.moderators import Moderator
from records.people.web_sessions import Session
from web.desk import Desk
from web.languages import N_
from web.oidc import OidcClient, provider_name
from web.problems import Problem
from web.rendering import render, rooms_for, set_cookie
from web.security import (
    FORM_COOKIE,
    SESSION_COOKIE,
    DeskOf,
    VisitOf,
    desk_of,
    own_path,
    signed_in,
    visit_of,
)

router = APIRouter()

WHY: Mapping[str, str] = {
    "ended": N_("Your login has ended. Log in again, and you are back where you were."),
    "lost": N_("Your login has ended, so what you sent was not saved. Log in again and repeat it."),
    "out": N_("You are logged out."),
}
WRONG = N_("Login, password or code is wrong. After five wrong attempts a login is closed for a while.")
"""The same for a login that is closed: who guesses shall not learn which logins there are."""
PASSWORDS_OFF = N_("Go to the login page and use the button there.")
TOO_OFTEN = N_("Too many attempts from your network. Wait %(seconds)s seconds, then try again.")


@router.get("/")
def start(visit: VisitOf, desk: DeskOf, _session: Annotated[Session, Depends(signed_in())]) -> Response:
    return RedirectResponse(rooms_for(visit, desk.settings)[0].path, 303)


@router.get("/login")
def login_form(request: Request, visit: VisitOf, next: str = "/", why: str = "") -> Response:
    if visit.session:
        return RedirectResponse(own_path(next), 303)
    note = visit.language.text(WHY[why]) if why in WHY else ""
    return _form(request, next, note=note)


def _form(
    request: Request, next: str, status: int = 200, *, login: str = "", note: str = "", wrong: str = ""
) -> Response:
    oidc = desk_of(request).settings.web.oidc
    values = {"provider": provider_name(oidc, visit_of(request).language), "passwords": oidc.allow_passwords}
    return render(request, "login.html", status, next=own_path(next), login=login, note=note, wrong=wrong, **values)


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
        return _form(request, next, status, login=login, wrong=visit.language.text(wrong, **values))

    if not desk.settings.web.oidc.allow_passwords:
        raise Problem(403, "passwords_off", N_("Nobody logs in with a password here"), PASSWORDS_OFF)
    if wait := request.app.state.login_limit.wait(address):
        response = refused(429, TOO_OFTEN, seconds=math.ceil(wait))
        response.headers["Retry-After"] = str(math.ceil(wait))
        return response
    try:
        moderator = desk.moderators.check_password(login, password)
        if moderator.has_totp:
            desk.moderators.check_totp(moderator.id, code.replace(" ", ""))
    except (WrongLogin, WrongCode, LoginLocked) as error:
        desk.audit.append(
            "anonymous", "login_failed", _whose(desk, login), {"reason": error.reason, "address": address}
        )
        return refused(403, WRONG)
    response = RedirectResponse(own_path(next), 303)
    begin_session(request, response, moderator, {"address": address, "second_factor": moderator.has_totp})
    return response


def _whose(desk: Desk, login: str) -> str:
    """The moderator's id. Nothing else that was typed is noted: it may be a password in the wrong field."""
    try:
        return desk.moderators.by_login(login).id
    except UnknownModerator:
        return "login"


def begin_session(request: Request, response: Response, moderator: Moderator, details: Mapping[str, object]) -> None:
    """Logs in: the session's cookie goes with the response, the details into the audit log."""
    desk = desk_of(request)
    if old := request.cookies.get(SESSION_COOKIE):
        desk.sessions.end(old)
    token, _ = desk.sessions.begin(moderator.id)
    desk.audit.append(moderator.id, "login", moderator.id, details)
    set_cookie(response, SESSION_COOKIE, token)
    response.delete_cookie(FORM_COOKIE, secure=True, httponly=True, samesite="strict")


@router.post("/logout")
def log_out(request: Request, desk: DeskOf, session: Annotated[Session, Depends(signed_in())]) -> Response:
    desk.sessions.end(request.cookies[SESSION_COOKIE])
    desk.audit.append(session.moderator.id, "logout", session.moderator.id)
    provider: OidcClient | None = request.app.state.oidc
    response: Response = RedirectResponse("/login?why=out", 303)
    if provider and not session.moderator.has_password and (farewell := provider.farewell()):
        # By way of a page: a form of ours may not lead to another site, not even by a redirect.
        response = render(request, "arrive.html", place=farewell)
    response.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="strict")
    return response
