"""The first page of a report: what happens with photos, before any is asked for; who writes, and which way they go."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from records.errors import TooManyReports
from records.reports.contents import ReportKind
from records.reports.drafts import Draft, Writer
from web.languages import N_
from web.rendering import render, set_cookie
from web.report.forms import sent_of, text_in
from web.report.limits import DEVICE_COOKIE, address_of, device_of, looks_of, too_many_reports
from web.report.steps import SENT_PATH, WAYS, draft_of, first_open
from web.security import DRAFT_COOKIE, REPORT_PATH, DeskOf

router = APIRouter()
WRITERS: tuple[Writer, ...] = ("adult", "minor", "guardian")
KINDS: tuple[ReportKind, ...] = ("photos", "hashes")


@router.get(REPORT_PATH)
def start(request: Request, desk: DeskOf) -> Response:
    return _page(request, desk)


@router.post(REPORT_PATH)
def begin(request: Request, desk: DeskOf, sent: Annotated[FormData, Depends(sent_of)]) -> Response:
    """Fields: `writer`; of who is grown up, `kind`."""
    writer = next((one for one in WRITERS if one == text_in(sent, "writer")), None)
    kind: ReportKind | None = next((one for one in KINDS if one == text_in(sent, "kind")), None)
    if writer is None:
        return _page(request, desk, 422, wrong=N_("Say who you are: choose one of the three."))
    if writer != "adult":
        kind = "words"
    if kind is None:
        return _page(request, desk, 422, wrong=N_("Choose what happens with your photos."), writer=writer)
    looks_of(request).begin(address_of(request))
    device = device_of(request) or secrets.token_urlsafe(16)
    try:
        desk.report_limits.check(address_of(request), device)
    except TooManyReports as error:
        return too_many_reports(request, error)
    token = desk.report_drafts.begin(Draft(kind, writer))
    response = RedirectResponse(WAYS[kind][0].path, 303)
    set_cookie(response, DRAFT_COOKIE, token)
    set_cookie(response, DEVICE_COOKIE, device, days=1)
    return response


@router.post(f"{REPORT_PATH}/drop")
def drop(request: Request, desk: DeskOf) -> Response:
    """Forgets the draft."""
    if (writing := draft_of(request, desk)) is not None:
        desk.report_drafts.drop(writing.token)
    response = RedirectResponse(REPORT_PATH, 303)
    response.delete_cookie(DRAFT_COOKIE, secure=True, httponly=True, samesite="strict")
    return response


def _page(request: Request, desk: DeskOf, status: int = 200, *, wrong: str = "", writer: str = "") -> Response:
    writing = draft_of(request, desk)
    step = first_open(writing.draft) if writing else None
    going_on = None if writing is None else step.path if step else SENT_PATH
    reports = desk.settings.reports
    return render(
        request,
        "report_start.html",
        status,
        wrong=wrong,
        writer=writer,
        going_on=going_on,
        sent=going_on == SENT_PATH,
        months=reports.months,
        minutes=reports.draft_minutes,
    )
