"""One's own account: what suits one's eyes and hands, and the password."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from records.errors import LoginLocked, UnfitPassword, WrongLogin
from records.people.moderators import Role
from records.people.web_sessions import Session
from web.languages import N_
from web.oidc import provider_name
from web.preferences import Preferences, Theme
from web.rendering import render, set_cookie
from web.security import SESSION_COOKIE, DeskOf, desk_of, signed_in, visit_of

router = APIRouter()
Anybody = Annotated[Session, Depends(signed_in())]

ROLE_NAMES: Mapping[Role, str] = {
    "moderator": N_("Moderator"),
    "lead": N_("Lead"),
    "curator": N_("Curator"),
    "administrator": N_("Administrator"),
    "auditor": N_("Auditor"),
}
DONE: Mapping[str, str] = {
    "settings": N_("Your settings are saved."),
    "password": N_("Your password is changed. Your other logins have ended."),
    "second_factor": N_("Your second factor is in force: from now on you need its code to log in."),
}
WRONG_PASSWORD = N_("That is not your current password. Nothing was changed.")
LOCKED = N_("Too many wrong attempts. Wait a quarter of an hour, then try again.")
NOT_TWICE = N_("The two new passwords differ. Nothing was changed.")
UNFIT = N_("The new password is too weak: at least 12 characters, and not your login. Nothing was changed.")


@router.get("/account")
def account(request: Request, session: Anybody, done: str = "") -> Response:
    return _page(request, session, note=DONE.get(done, ""))


def _page(request: Request, session: Session, status: int = 200, *, note: str = "", wrong: str = "") -> Response:
    provider = provider_name(desk_of(request).settings.web.oidc, visit_of(request).language)
    values = {"role": ROLE_NAMES[session.moderator.role], "provider": provider}
    return render(request, "account.html", status, note=note, wrong=wrong, **values)


@router.post("/account/settings")
def save_settings(
    desk: DeskOf,
    session: Anybody,
    theme: Annotated[Theme, Form()],
    language: Annotated[str, Form()] = "",
    blur: Annotated[bool, Form()] = False,
    grey: Annotated[bool, Form()] = False,
    keys: Annotated[bool, Form()] = False,
) -> Response:
    chosen = Preferences(language or None, theme, blur, grey, keys)
    desk.moderators.save_settings(session.moderator.id, chosen.kept())
    return RedirectResponse("/account?done=settings", 303)


@router.post("/account/password")
def change_password(
    request: Request,
    desk: DeskOf,
    session: Anybody,
    current: Annotated[str, Form(max_length=1000)],
    new: Annotated[str, Form(max_length=1000)],
    again: Annotated[str, Form(max_length=1000)],
) -> Response:
    moderator = session.moderator
    wrong = NOT_TWICE if new != again else ""
    if not wrong:
        try:
            desk.moderators.check_password(moderator.login, current)
            desk.moderators.set_password(moderator.id, new, by=moderator.id)
        except WrongLogin:
            wrong = WRONG_PASSWORD
        except LoginLocked:
            wrong = LOCKED
        except UnfitPassword:
            wrong = UNFIT
    if wrong:
        return _page(request, session, 422, wrong=wrong)
    token, _ = desk.sessions.begin(moderator.id)
    response = RedirectResponse("/account?done=password", 303)
    set_cookie(response, SESSION_COOKIE, token)
    return response
