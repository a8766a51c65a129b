"""Login by OpenID Connect: to the provider, and back from there.

Who comes back comes from another site, without the cookies that are SameSite=Strict. So the attempt is in a Lax cookie
of a few minutes, and the answer is a page that takes the step into the console from here.
"""

import base64
import hmac
import logging
import math
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from records.errors import NotAdmitted
from web.languages import N_
from web.oidc import CALLBACK, Attempt, OidcClient, OidcError
from web.pages.login import begin_session
from web.problems import Problem, Way, not_found
from web.rendering import render
from web.security import ATTEMPT_COOKIE, DeskOf, VisitOf, own_path

router = APIRouter()

ATTEMPT_SECONDS = 600
LONGEST_PLACE = 1000
AGAIN = Way(N_("Log in"), "/login")
SAID: Mapping[str, tuple[int, str, str]] = {
    "provider_away": (
        503,
        N_("The login service does not answer"),
        N_("Nobody was logged in. Try again in a moment; if it lasts, tell an administrator of this console."),
    ),
    "provider_wrong": (
        502,
        N_("The login service's answer cannot be trusted"),
        N_("Nobody was logged in. Begin again; if it happens again, tell whoever runs this console: its log says why."),
    ),
    "code_refused": (
        403,
        N_("This login was used already, or took too long"),
        N_("Nobody was logged in. Begin again at the login page."),
    ),
    "login_lost": (
        403,
        N_("This login did not begin here"),
        N_("It took longer than ten minutes, or began in another browser. Begin again at the login page."),
    ),
    "refused_there": (
        403,
        N_("The login service did not let you in"),
        N_("You may have left it, or may not use this console. Try again, or ask whoever keeps your login there."),
    ),
    "no_role": (
        403,
        N_("Your login has no role here"),
        N_("You are who you say you are, but nobody has given you work here. Ask an administrator of this console."),
    ),
    "login_disabled": (
        403,
        N_("Your login is closed here"),
        N_("Ask an administrator of this console to open it."),
    ),
    "login_taken": (
        403,
        N_("Somebody else has this login here"),
        N_("It has a password of its own. Ask an administrator of this console to give you another, or to add you."),
    ),
    "unfit_login": (
        403,
        N_("This login cannot be used here"),
        N_("It is empty, too long, or has characters that do not print. Ask whoever keeps your login there."),
    ),
}

log = logging.getLogger(__name__)


def provider_of(request: Request) -> OidcClient:
    """Where there is none, there is nothing at these addresses."""
    provider: OidcClient | None = request.app.state.oidc
    if provider is None:
        raise not_found()
    return provider


Provider = Annotated[OidcClient, Depends(provider_of)]


@router.get("/login/oidc")
def leave(visit: VisitOf, provider: Provider, next: str = "/") -> Response:
    place = own_path(next) if len(next) <= LONGEST_PLACE else "/"
    if visit.session:
        return RedirectResponse(place, 303)
    try:
        url, attempt = provider.leave(place)
    except OidcError as error:
        raise _told(error) from None
    response = RedirectResponse(url, 303)
    kept = base64.urlsafe_b64encode(attempt.model_dump_json().encode()).decode().rstrip("=")
    response.set_cookie(
        ATTEMPT_COOKIE, kept, max_age=ATTEMPT_SECONDS, path="/", secure=True, httponly=True, samesite="lax"
    )
    return response


@router.get(CALLBACK)
def arrive(
    request: Request, desk: DeskOf, provider: Provider, state: str = "", code: str = "", error: str = ""
) -> Response:
    attempt = _attempt(request)
    if attempt is None or not hmac.compare_digest(attempt.state.encode(), state.encode()):
        raise _problem("login_lost")
    if error or not code:
        log.info("the provider let somebody not in: %.100r", error)
        raise _problem("refused_there")
    if wait := request.app.state.login_limit.wait(_address(request)):
        text = N_("Too many attempts from your network. Wait a minute, then try again.")
        raise Problem(429, "too_often", N_("Too many attempts"), text, AGAIN, retry=math.ceil(wait))
    how = {"address": _address(request), "by": "openid_connect"}
    try:
        moderator = desk.arrivals.admit(provider.arrive(attempt, code))
    except OidcError as refused:
        desk.audit.append("anonymous", "login_failed", "login", how | {"reason": refused.reason})
        raise _told(refused) from None
    except NotAdmitted as refused:
        whose = refused.moderator_id or "login"
        desk.audit.append("anonymous", "login_failed", whose, how | {"reason": refused.reason})
        raise _problem(refused.reason) from None
    response = render(request, "arrive.html", place=attempt.place)
    begin_session(request, response, moderator, how)
    response.delete_cookie(ATTEMPT_COOKIE, secure=True, httponly=True, samesite="lax")
    return response


def _attempt(request: Request) -> Attempt | None:
    """What `leave` gave to this browser; None when it is too long ago."""
    kept = request.cookies.get(ATTEMPT_COOKIE, "")
    try:
        found = Attempt.model_validate_json(base64.urlsafe_b64decode(kept + "=" * (-len(kept) % 4)))
    except (ValidationError, ValueError):
        return None
    return found.model_copy(update={"place": own_path(found.place)})


def _told(error: OidcError) -> Problem:
    log.warning("login by OpenID Connect: %s: %s", error.reason, error)
    return _problem(error.reason)


def _problem(reason: str) -> Problem:
    status, title, text = SAID[reason]
    return Problem(status, reason, title, text, AGAIN, retry=5 if status == 503 else 0)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
