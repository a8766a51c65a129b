"""Setting up one's second factor: a secret as a QR code, in force once a code made with it has come back."""

import io
from typing import Annotated

import pyotp
import segno
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from records.errors import LoginLocked, WrongCode, WrongLogin
from records.people.moderators import Moderator
from records.people.web_sessions import Session
from web.languages import N_
from web.pages.account import LOCKED, WRONG_PASSWORD
from web.rendering import render
from web.security import DeskOf, signed_in

router = APIRouter()
Anybody = Annotated[Session, Depends(signed_in())]

WRONG_CODE = N_("That code is not right now. Wait for the next one in your app, and check that its clock is right.")


@router.post("/account/second-factor")
def set_up(request: Request, desk: DeskOf, session: Anybody) -> Response:
    secret = desk.moderators.enrol_totp(session.moderator.id)
    return _page(request, session.moderator, secret)


@router.post("/account/second-factor/confirm")
def confirm(
    request: Request,
    desk: DeskOf,
    session: Anybody,
    secret: Annotated[str, Form(pattern="^[A-Z2-7]{16,64}$")],
    code: Annotated[str, Form(max_length=20)],
    password: Annotated[str, Form(max_length=1000)],
) -> Response:
    moderator = session.moderator
    try:
        desk.moderators.check_password(moderator.login, password)
        desk.moderators.confirm_totp(moderator.id, secret, code.replace(" ", ""))
    except WrongLogin:
        return _page(request, moderator, secret, WRONG_PASSWORD)
    except LoginLocked:
        return _page(request, moderator, secret, LOCKED)
    except WrongCode:
        return _page(request, moderator, secret, WRONG_CODE)
    return RedirectResponse("/account?done=second_factor", 303)


def _page(request: Request, moderator: Moderator, secret: str, wrong: str = "") -> Response:
    uri = pyotp.TOTP(secret).provisioning_uri(name=moderator.login, issuer_name="Likeness")
    spaced = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    status = 422 if wrong else 200
    values = {"secret": secret, "spaced": spaced, "qr": _qr(uri), "wrong": wrong}
    return render(request, "second_factor.html", status, **values)


def _qr(text: str) -> Markup:
    """An inline SVG, black on white in both themes: cameras want it so."""
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", xmldecl=False, omitsize=True, border=4, light="#fff", svgclass="qr"
    )
    return Markup(out.getvalue().decode())  # noqa: S704  # segno's own markup, which holds modules only
