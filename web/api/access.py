"""Who asks the API: a program with a token, which may act for one of the platform's moderators.

The token comes as `Authorization: Bearer lk_...` and in no other way; cookies are not looked at.
"""

import math
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from records.errors import UnknownModerator
from records.people.api_tokens import ApiToken, Scope
from records.people.moderators import Moderator
from web.api.problems import ApiProblem
from web.desk import Desk
from web.rate_limit import RateLimit
from web.rendering import WORKERS
from web.security import desk_of

BURST = 200
SECONDS = 0.02
"""A token asks so many times at once, and once more every so many seconds."""
FAILURES = 20
FAILURE_SECONDS = 3.0
"""The same of one address with tokens that there are not."""
REPORTS = 20
REPORT_SECONDS = 2.0
"""The same of reports, whose photos are judged."""

REPORTING: tuple[Scope, ...] = ("reports:write", "reports:flag")
"""Either lets a program send reports."""

bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A token, `lk_...`; see docs/api.md.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class Limits:
    """How often programs may ask. Safe to share among threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.tokens = RateLimit(burst=BURST, seconds=SECONDS, clock=clock)
        self.failures = RateLimit(burst=FAILURES, seconds=FAILURE_SECONDS, clock=clock)
        self.reports = RateLimit(burst=REPORTS, seconds=REPORT_SECONDS, clock=clock)


def bearing(*scopes: Scope) -> Callable[..., ApiToken]:
    """A dependency that gives the token of who asks, which must have one of the scopes.

    Whom it turns away for the scope is noted in the audit log.
    """

    def token_of(request: Request, credentials: Bearer) -> ApiToken:
        desk, limits = desk_of(request), limits_of(request)
        token = desk.tokens.find(credentials.credentials) if credentials else None
        if token is None:
            hold_back(limits.failures, request.client.host if request.client else "")
            raise ApiProblem(
                401,
                "no_token",
                "Send a token that is in force as `Authorization: Bearer lk_...`; administrators make them.",
                {"WWW-Authenticate": "Bearer"},
            )
        hold_back(limits.tokens, token.id)
        if not set(scopes) & set(token.scopes):
            needed = " or ".join(scopes)
            desk.audit.append(token.actor, "forbidden", request.url.path, {"method": request.method, "scope": needed})
            raise ApiProblem(403, "scope_missing", f"This needs a token with the scope {needed}.")
        return token

    return token_of


def limits_of(request: Request) -> Limits:
    limits: Limits = request.app.state.limits
    return limits


Reader = Annotated[ApiToken, Depends(bearing("cases:read"))]
Decider = Annotated[ApiToken, Depends(bearing("cases:decide"))]
Viewer = Annotated[ApiToken, Depends(bearing("pictures:read"))]
Appealer = Annotated[ApiToken, Depends(bearing("appeals:write"))]
Reporter = Annotated[ApiToken, Depends(bearing(*REPORTING))]


def acting_for(desk: Desk, login: str) -> Moderator:
    """The moderator of this login, if they may work cases. Raises ApiProblem."""
    try:
        moderator = desk.moderators.by_login(login)
    except UnknownModerator:
        moderator = None
    if moderator is None or moderator.disabled:
        raise ApiProblem(422, "unknown_moderator", "No moderator of this login may log in; name another.")
    if moderator.role not in WORKERS:
        raise ApiProblem(403, "wrong_role", f"The role {moderator.role} works no cases; name a moderator or a lead.")
    return moderator


def hold_back(limit: RateLimit, who: str) -> None:
    """Raises ApiProblem when they ask too often."""
    if wait := limit.wait(who):
        seconds = math.ceil(wait)
        raise ApiProblem(
            429, "too_many", f"That is too often; try again in {seconds} s.", {"Retry-After": str(seconds)}
        )
