"""The choice of a language, which every page offers, before and after a login and without one."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from web.languages import LANGUAGES
from web.rendering import set_cookie
from web.security import LANGUAGE_COOKIE, PLACE_FIELD, DeskOf, VisitOf, own_path

router = APIRouter()


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
