"""Reports from a platform's own form, and from trusted flaggers: sent, followed, taken back.

Nothing here tells whether, where or how strongly a face matched.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from config import Settings
from records.errors import PhotosUnseen, ReportUnfit
from records.people.api_tokens import ApiToken
from records.reports.platform_form import MOST_PHOTOS, ReportForm
from records.reports.platform_intake import TOPIC
from records.reports.reading import Report, unknown_report
from web.api.access import REPORTING, Reporter, hold_back, limits_of
from web.api.problems import RETRY, ApiProblem, Mistake, ProblemDocument, Responses
from web.api.report_shapes import NewPin, ReportStatus, ReportTaken, ReportWithdrawn
from web.desk import Desk
from web.headers import FORM_BYTES, allow_bytes
from web.security import MOST_UPLOAD_BYTES, DeskOf, desk_of
from web.taking_back import take_back

PATH = "/reports"
WITHOUT_PHOTOS = FORM_BYTES
ReportId = Annotated[str, Path(description="The report's id.", pattern=r"^[^\x00]+$")]
NO_REPORT: Responses = {
    404: {"model": ProblemDocument, "description": "There is no such report of yours: `unknown_report`."}
}


class SentByPlatform(APIRoute):
    """A route whose requests may be large once it is known that a token sends them: bodies are read before dependencies
    are asked."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_large(request: Request) -> Response:
            if await run_in_threadpool(_may_send, request):
                allow_bytes(request, report_bytes(desk_of(request).settings))
            return await handle(request)

        return handle_large


router = APIRouter(prefix=PATH, tags=["reports"])
sending = APIRouter(prefix=PATH, tags=["reports"], route_class=SentByPlatform)


@sending.post(
    "",
    operation_id="addReport",
    summary="Send a report",
    status_code=201,
    responses={
        200: {"model": ReportTaken, "description": "It was there already; nothing was changed."},
        413: {"model": ProblemDocument, "description": "It is too large: `too_large`."},
        422: {"model": ProblemDocument, "description": "`unreadable_request`, or `report_unfit`: `errors` names each."},
    },
)
def add_report(request: Request, response: Response, desk: DeskOf, token: Reporter, report: ReportForm) -> ReportTaken:
    """Takes a person's report in for moderators, with all its photos or not at all. Hand case number and PIN over to
    the person: the PIN is told this once. Scope: `reports:write`, or `reports:flag` of a trusted flagger, whose reports
    have a lane of their own."""
    hold_back(limits_of(request).reports, token.id)
    try:
        taken = desk.platform_intake.take(report, token.actor, flagger="reports:flag" in token.scopes)
    except ReportUnfit as unfit:
        errors = [Mistake(where=f"body.{where}", what=what) for where, what in unfit.problems]
        detail = "The report was not taken in; see errors, and send it again."
        raise ApiProblem(422, unfit.reason, detail, errors=errors) from unfit
    except PhotosUnseen as unseen:
        raise ApiProblem(503, unseen.reason, str(unseen), RETRY) from unseen
    if taken.pin is None:
        response.status_code = 200
    status = desk.report_reading.get(taken.report_id)
    address = desk.settings.web.public_address
    page = f"{address}/report/status" if address and "reports" in desk.settings.web.serves else None
    return ReportTaken(**ReportStatus.of(status).model_dump(), pin=taken.pin, status_page=page)


@router.get("", operation_id="findReports", summary="Find a report by your id")
def find_reports(
    desk: DeskOf, token: Reporter, your_id: Annotated[str, Query(max_length=512, pattern=r"^[^\x00]+$")]
) -> list[ReportStatus]:
    """The report that you sent under this id; of a platform that uses both ways, one by the API and one by the topic
    victim-reports. Scope: `reports:write` or `reports:flag`."""
    return [ReportStatus.of(report) for report in desk.report_reading.of_sources(_sources(token), your_id)]


@router.get("/{report_id}", operation_id="getReport", summary="Show a report's state", responses=NO_REPORT)
def get_report(desk: DeskOf, token: Reporter, report_id: ReportId) -> ReportStatus:
    """How far the report is; never what matched. Scope: `reports:write` or `reports:flag`."""
    return ReportStatus.of(_own(desk, token, report_id))


@router.post("/{report_id}/pin", operation_id="renewPin", summary="Get a new PIN", responses=NO_REPORT)
def renew_pin(desk: DeskOf, token: Reporter, report_id: ReportId) -> NewPin:
    """A new PIN in place of the one before, for somebody who has lost theirs, and for reports by the topic, whose PIN
    nobody was told. Make sure of who asks you for it. Scope: `reports:write` or `reports:flag`."""
    taken = desk.report_intake.renew_pin(_own(desk, token, report_id).id, token.actor)
    return NewPin(number=taken.number, pin=taken.pin or "")


@router.post("/{report_id}/withdraw", operation_id="withdrawReport", summary="Withdraw a report", responses=NO_REPORT)
def withdraw_report(desk: DeskOf, token: Reporter, report_id: ReportId) -> ReportWithdrawn:
    """Erases what is kept of the person, ends their protection, and gives the signed receipt, for them. Scope:
    `reports:write` or `reports:flag`."""
    receipt = take_back(desk, _own(desk, token, report_id).id, token.actor)
    status = ReportStatus.of(desk.report_reading.get(report_id))
    return ReportWithdrawn(**status.model_dump(), receipt=json.loads(receipt))


def report_bytes(settings: Settings) -> int:
    """How large a report may be: its photos and the challenge in base64, and its words."""
    return min(MOST_UPLOAD_BYTES, (MOST_PHOTOS + 1) * settings.pictures.max_bytes * 4 // 3 + WITHOUT_PHOTOS)


def _may_send(request: Request) -> bool:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    token = desk_of(request).tokens.find(text.strip()) if kind.lower() == "bearer" else None
    return token is not None and bool(set(REPORTING) & set(token.scopes))


def _sources(token: ApiToken) -> tuple[str, ...]:
    """Whose reports the token sees: its own, and the platform's token those of the topic, too."""
    return (token.actor, TOPIC) if "reports:write" in token.scopes else (token.actor,)


def _own(desk: Desk, token: ApiToken, report_id: str) -> Report:
    """Raises UnknownReport, also for a report of others."""
    report = desk.report_reading.get(report_id)
    if report.source not in _sources(token):
        raise unknown_report(report_id)
    return report
