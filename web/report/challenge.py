"""The challenge: a photo of now, with a code by hand, shows that the face is the reporter's own.

Nothing is compared here, and no answer tells how alike the faces are: a reviewer looks at that.
"""

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData, UploadFile

from detector.enrolment import EnrolmentRefused
from records.reports.drafts import Draft
from records.reports.intake import CLEAR_LETTERS
from web.desk import Desk
from web.problems import not_found
from web.report.forms import sent_of
from web.report.limits import Looks, address_of, looks_of
from web.report.photos import EnrolsOf
from web.report.steps import CHALLENGE, Writing, at, step_page
from web.security import DeskOf

router = APIRouter()
CODE_LETTERS = 5
CODE_LASTS = timedelta(days=1)
CAMERA = {"Permissions-Policy": "camera=(self), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"}
HereOf = Annotated[Writing, Depends(at(CHALLENGE))]


@router.get(CHALLENGE.path)
def page(request: Request, desk: DeskOf, here: HereOf) -> Response:
    if not asked(here.draft, desk):
        here = Writing(here.token, here.keep(desk, lambda draft: _with_code(draft, desk)))
    return _page(request, desk, here.draft)


@router.post(CHALLENGE.path)
def send(
    request: Request,
    desk: DeskOf,
    here: HereOf,
    enrols: EnrolsOf,
    looks: Annotated[Looks, Depends(looks_of)],
    sent: Annotated[FormData, Depends(sent_of)],
) -> Response:
    """Field: `photo`, one file."""
    photo = sent.get("photo")
    if not asked(here.draft, desk):  # the page is older than its code
        return RedirectResponse(CHALLENGE.path, 303)
    if not isinstance(photo, UploadFile) or not photo.filename:
        return _page(request, desk, here.draft, "no_photo")
    content = photo.file.read(desk.settings.pictures.max_bytes + 1)
    with looks.turn(address_of(request)):
        challenge = enrols.look_at_challenge(content, here.draft.code)
    if isinstance(challenge, EnrolmentRefused):
        return _page(request, desk, here.draft, challenge.reason)
    here.keep(desk, lambda draft: replace(draft, challenge=challenge))
    return RedirectResponse(CHALLENGE.path, 303)


@router.get(f"{CHALLENGE.path}.jpg")
def challenge_image(here: HereOf) -> Response:
    """The photo that they have just sent themselves."""
    if here.draft.challenge is None:
        raise not_found()
    jpeg = here.draft.challenge.jpeg
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


def asked(draft: Draft, desk: Desk) -> bool:
    """Whether a code was asked for that still counts."""
    return draft.code_at is not None and desk.clock() < draft.code_at + CODE_LASTS


def _with_code(draft: Draft, desk: Desk) -> Draft:
    code = "".join(secrets.choice(CLEAR_LETTERS) for _ in range(CODE_LETTERS))
    return draft if asked(draft, desk) else replace(draft, code=code, code_at=desk.clock(), challenge=None)


def _page(request: Request, desk: Desk, draft: Draft, refused: str = "") -> Response:
    """`refused`: why the photo that came will not do."""
    response = step_page(
        request,
        "report_challenge.html",
        CHALLENGE,
        draft,
        422 if refused else 200,
        refused=refused,
        min_size=desk.settings.enrolment.min_size,
    )
    response.headers.update(CAMERA)
    return response
