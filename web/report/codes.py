"""Photos that stay with the person: only their codes come, made by the browser (static/pdq.js)."""

import json
import re
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from records.references import LEAST_PDQ_QUALITY, PictureHash
from web.languages import N_
from web.report.forms import sent_of, text_in
from web.report.photos import MOST_PHOTOS
from web.report.steps import HASHES, Writing, after, at, step_page
from web.security import DeskOf

router = APIRouter()
LONGEST_SIDE = 100_000
HEX = re.compile(r"[0-9a-f]{64}")
NONE = N_("Choose at least one photo first.")
HereOf = Annotated[Writing, Depends(at(HASHES))]


@router.get(HASHES.path)
def page(request: Request, here: HereOf) -> Response:
    return _page(request, here)


@router.post(HASHES.path)
def keep(request: Request, desk: DeskOf, here: HereOf, sent: Annotated[FormData, Depends(sent_of)]) -> Response:
    """Field: `codes`, JSON: a list of what pdqOfFile gives."""
    hashes = hashes_in(text_in(sent, "codes"))
    if not hashes:
        return _page(request, here, 422, NONE)
    draft = here.keep(desk, lambda draft: replace(draft, hashes=hashes))
    return RedirectResponse(after(HASHES, draft), 303)


def hashes_in(text: str) -> tuple[PictureHash, ...]:
    """The codes of a form, each once; none of a form that our page did not make."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, list):
        return ()
    hashes = [one for one in map(_hash, found) if one is not None and one.quality >= LEAST_PDQ_QUALITY]
    return tuple({one.pdq: one for one in hashes}.values())[:MOST_PHOTOS]


def _hash(found: Any) -> PictureHash | None:
    if not isinstance(found, dict):
        return None
    pdq, quality, sides = found.get("pdq"), found.get("quality"), (found.get("width"), found.get("height"))
    if not isinstance(pdq, str) or not HEX.fullmatch(pdq) or type(quality) is not int or not 0 <= quality <= 100:
        return None
    width, height = (side if type(side) is int and 0 < side <= LONGEST_SIDE else None for side in sides)
    return PictureHash(bytes.fromhex(pdq), quality, width, height) if width and height else None


def _page(request: Request, here: Writing, status: int = 200, wrong: str = "") -> Response:
    return step_page(
        request, "report_codes.html", HASHES, here.draft, status, wrong=wrong, most=MOST_PHOTOS, least=LEAST_PDQ_QUALITY
    )
