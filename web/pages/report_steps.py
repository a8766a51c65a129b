"""What one does with a report: protect the person, refuse, hand it to the specialists, close a minor's, write to the
reporter."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from records.errors import ReportRefused
from records.reports.messages import TEXT_LENGTH
from web.console.report_view import to_see
from web.errors import wants_json
from web.pages.report import opened
from web.pages.reports import Reviewer, report_for
from web.rendering import REPORTS
from web.security import DeskOf

router = APIRouter(prefix=f"{REPORTS}/{{report_id}}")
Word = Annotated[str, Form(max_length=100)]
Words = Annotated[list[str], Form(max_length=20)]
Text = Annotated[str, Form(max_length=2 * TEXT_LENGTH)]


@router.post("/approve")
def approve(
    desk: DeskOf,
    session: Reviewer,
    report_id: str,
    seen: Words = [],  # noqa: B006  # FastAPI copies it
    leave: Words = [],  # noqa: B006
    despite: bool = Form(False),
) -> Response:
    """`seen`: what they say to have looked at; `leave`: photos that are left out; `despite`: also faces that the
    comparison finds unlike the challenge photo's."""
    report = report_for(desk, session, report_id)
    shown = opened(desk, report, session.moderator)
    if not set(to_see(report, shown.challenge is not None)) <= set(seen):
        raise ReportRefused("unseen", "Not all that has to be looked at was.")
    if not despite and any(photo.id not in leave for photo in shown.unlike):
        raise ReportRefused("unlike", "A face is unlike that of the challenge photo.")
    desk.report_review.approve(report_id, session.moderator.id, leave_out=leave)
    return _decided("protecting")


@router.post("/refuse")
def refuse(desk: DeskOf, session: Reviewer, report_id: str, reason: Word = "", text: Text = "") -> Response:
    """`text`: what the reporter reads besides the reason; nothing in particular where it is empty."""
    report_for(desk, session, report_id)
    if len(text.strip()) > TEXT_LENGTH:
        return _back(report_id, "message_too_long", "refuse")
    desk.report_review.refuse(report_id, session.moderator.id, reason)
    if text.strip():
        desk.report_messages.write(report_id, text, session.moderator.id)
    return _decided("refused")


@router.post("/specialists")
def specialists(desk: DeskOf, session: Reviewer, report_id: str, sign: Word = "", text: Text = "") -> Response:
    """`sign`: by what they are taken for a minor; `text`: as of a refusal."""
    report_for(desk, session, report_id)
    if len(text.strip()) > TEXT_LENGTH:
        return _back(report_id, "message_too_long", "specialists")
    desk.report_review.to_specialists(report_id, session.moderator.id, sign)
    if text.strip():
        desk.report_messages.write(report_id, text, session.moderator.id)
    return _decided("specialists")


@router.post("/close")
def close(desk: DeskOf, session: Reviewer, report_id: str, text: Text = "") -> Response:
    """`text`: what was done, for who sent the report."""
    report_for(desk, session, report_id)
    if not 0 < len(text.strip()) <= TEXT_LENGTH:
        return _back(report_id, "message_too_long" if text.strip() else "message_empty", "close")
    desk.report_review.close(report_id, session.moderator.id)
    desk.report_messages.write(report_id, text, session.moderator.id)
    return _decided("closed")


@router.post("/message")
def message(desk: DeskOf, session: Reviewer, report_id: str, text: Text = "") -> Response:
    report_for(desk, session, report_id)
    said = "message"
    try:
        desk.report_messages.write(report_id, text, session.moderator.id)
    except ReportRefused as refused:
        said = refused.reason
    return _back(report_id, said)


@router.post("/revealed")
def revealed(request: Request, desk: DeskOf, session: Reviewer, report_id: str) -> Response:
    """The pictures are shown without blur: at once by the page's script, else by the page anew."""
    report_for(desk, session, report_id)
    desk.audit.append(session.moderator.id, "picture_revealed", report_id)
    if wants_json(request):
        return Response(status_code=204)
    return RedirectResponse(f"{REPORTS}/{report_id}?clear=true", 303)


def _back(report_id: str, said: str, judgement: str = "") -> Response:
    """To the report, with what became of a message."""
    place = f"&judgement={judgement}" if judgement else "#messages"
    return RedirectResponse(f"{REPORTS}/{report_id}?said={said}{place}", 303)


def _decided(state: str) -> Response:
    return RedirectResponse(f"{REPORTS}?done={state}", 303)
