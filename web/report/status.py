"""How a report stands, in plain words: 1. case number and PIN  2. what happened and what comes next  3. messages."""

import logging
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from records.errors import LoginLocked, MasterKeyError, ReportErased, ReportRefused, SealBroken, WrongPin
from records.reports.erasure import ANSWER_DAYS
from records.reports.messages import TEXT_LENGTH
from records.reports.reading import Report
from web.desk import Desk
from web.languages import N_
from web.rate_limit import RateLimit
from web.refusals import REFUSALS
from web.rendering import render, set_cookie
from web.report.limits import address_of
from web.report.status_visitor import REPORT_COOKIE, STATUS_PATH, OpenedReport, ReportInHand
from web.security import DeskOf, VisitOf, one_of_process

router = APIRouter()
PIN_BURST = 10
PIN_SECONDS = 6.0
WHY: Mapping[str, str] = {
    "ended": N_("Your report was closed because this page was not used for a while. Open it again."),
    "left": N_("Your report is closed on this device."),
}
DONE: Mapping[str, str] = {
    "message": N_("Your message has been sent."),
    "extended": N_("Thank you. You go on being protected."),
    "corrected": N_("Your changes are saved."),
    "withdrawn": N_("You took your report back."),
}
WRONG = N_(
    "This case number and this PIN do not fit together. After five wrong attempts a report is locked for a while."
)
"""The same for a report that is locked: who guesses shall not learn which there are."""
TOO_OFTEN = N_("Too many attempts from your network. Wait %(seconds)s seconds, then try again.")

log = logging.getLogger(__name__)


def pin_limit(request: Request) -> RateLimit:
    """Of attempts by network address, for the whole process."""

    def made(desk: Desk) -> RateLimit:
        return RateLimit(burst=PIN_BURST, seconds=PIN_SECONDS, clock=lambda: desk.clock().timestamp())

    return one_of_process(request, "pin_limit", made)


@router.get(STATUS_PATH)
def status_page(
    request: Request, desk: DeskOf, visit: VisitOf, report: OpenedReport, why: str = "", done: str = ""
) -> Response:
    if report is None:
        return render(request, "report_status_enter.html", note=visit.language.text(WHY[why]) if why in WHY else "")
    return _shown(request, desk, report, done=visit.language.text(DONE[done]) if done in DONE else "")


@router.post(STATUS_PATH)
def enter(
    request: Request,
    desk: DeskOf,
    visit: VisitOf,
    number: Annotated[str, Form(max_length=200)] = "",
    pin: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    def refused(status: int, wrong: str, **values: object) -> Response:
        said = visit.language.text(wrong, **values)
        return render(request, "report_status_enter.html", status, note="", wrong=said, number=number)

    if wait := pin_limit(request).wait(address_of(request)):
        response = refused(429, TOO_OFTEN, seconds=math.ceil(wait))
        response.headers["Retry-After"] = str(math.ceil(wait))
        return response
    try:
        token = desk.report_access.enter(number, pin)
    except (WrongPin, LoginLocked):
        return refused(403, WRONG)
    if old := request.cookies.get(REPORT_COOKIE):
        desk.report_access.leave(old)
    response = RedirectResponse(STATUS_PATH, 303)
    set_cookie(response, REPORT_COOKIE, token)
    return response


@router.post(f"{STATUS_PATH}/leave")
def leave(request: Request, desk: DeskOf) -> Response:
    if token := request.cookies.get(REPORT_COOKIE):
        desk.report_access.leave(token)
    response = RedirectResponse(f"{STATUS_PATH}?why=left", 303)
    response.delete_cookie(REPORT_COOKIE, secure=True, httponly=True, samesite="strict")
    return response


@router.post(f"{STATUS_PATH}/message")
def write(
    request: Request,
    desk: DeskOf,
    visit: VisitOf,
    report: ReportInHand,
    text: Annotated[str, Form(max_length=4 * TEXT_LENGTH)] = "",
) -> Response:
    try:
        desk.report_messages.write(report.id, text)
    except ReportRefused as refused:
        wrong = visit.language.text(REFUSALS[refused.reason].text)
        return _shown(request, desk, report, REFUSALS[refused.reason].status, wrong=wrong, typed=text)
    except ReportErased:
        return RedirectResponse(STATUS_PATH, 303)
    return RedirectResponse(f"{STATUS_PATH}?done=message#messages", 303)


def _shown(
    request: Request,
    desk: Desk,
    report: Report,
    status: int = 200,
    *,
    done: str = "",
    wrong: str = "",
    typed: str = "",
) -> Response:
    now = desk.clock()
    protecting = report.state == "protecting" and report.ends_at is not None and report.ends_at > now
    remind = timedelta(days=desk.settings.reports.remind_days)
    try:
        messages = desk.report_messages.read(report.id)
    except (MasterKeyError, SealBroken) as error:  # whose key is lost can still take it all back
        log.error("A reporter cannot read their messages: %s", error, extra={"report_id": report.id})
        messages = None
    return render(
        request,
        "report_status.html",
        status,
        report=report,
        state="protecting" if protecting else "ending" if report.state == "protecting" else report.state,
        actions=desk.report_copies.actions(report) if protecting else 0,
        ends_soon=protecting and report.ends_at is not None and report.ends_at <= now + remind,
        erased=report.receipt is not None,
        days=ANSWER_DAYS,
        messages=messages,
        length=TEXT_LENGTH,
        minutes=desk.settings.reports.session_minutes,
        done=done,
        wrong=wrong,
        typed=typed,
    )
