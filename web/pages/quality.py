"""How well reviews go: for leads, what findings are worth, how people agree, what waits; for everybody, their own."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from records.people.web_sessions import Session
from records.quality.budget_suggestion import suggest_budget
from records.quality.review_quality import WINDOWS, ReviewQuality
from web.console.casework import Worker, case_path
from web.plots import LinePlot, line_plot
from web.rendering import QUALITY_READERS, render
from web.security import DeskOf, signed_in

router = APIRouter()
OWN_DAYS = 90
OWN_TESTS = 50
"""Decisions among which one's latest tests are looked for."""
WHY_LENGTH = 500
Reader = Annotated[Session, Depends(signed_in(*QUALITY_READERS))]
Lead = Annotated[Session, Depends(signed_in("lead"))]


@router.get("/quality")
def quality_page(
    request: Request,
    desk: DeskOf,
    session: Reader,
    days: int = 30,
    uploads: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """`uploads`: how many were screened in these days, digits with blanks or commas between them; else unknown."""
    days = days if days in WINDOWS else 30
    quality = desk.quality.of_days(days)
    digits = "".join(one for one in uploads if one not in " ,.'_")
    said = int(digits) if digits.isdecimal() and int(digits) > 0 else None
    golden = desk.golden.all()
    return render(
        request,
        "quality.html",
        quality=quality,
        days=days,
        windows=WINDOWS,
        backlog=line_plot({flow.queue: flow.over_time for flow in quality.queues}),
        worth=_worth_over_time(quality),
        budget=suggest_budget(quality.face_alarms, desk.settings.policy.review_budget, said),
        threshold=desk.settings.policy.threshold,
        uploads=said,
        golden=golden,
        names=desk.cases.names([one.identity_id for one in golden if one.identity_id]),
        golden_rate=desk.settings.console.golden_rate,
        double_review_rate=desk.settings.console.double_review_rate,
        may_change=session.moderator.role == "lead",
    )


@router.get("/quality/mine")
def own_quality(request: Request, desk: DeskOf, session: Worker) -> Response:
    moderator = session.moderator
    recent = desk.decisions.recent(moderator.id, OWN_TESTS)
    told = desk.golden.told(moderator.id, [made.case_id for made in recent])
    return render(
        request,
        "quality_mine.html",
        mine=desk.quality.of_days(OWN_DAYS).of(moderator.id),
        days=OWN_DAYS,
        tests=[(made, told[made.case_id]) for made in recent if made.case_id in told and made.state != "undone"],
    )


@router.post("/case/{case_id}/golden")
def mark_golden(
    desk: DeskOf,
    session: Lead,
    case_id: str,
    expected: Annotated[str, Form(max_length=100)] = "",
    why: Annotated[str, Form(max_length=WHY_LENGTH)] = "",
) -> Response:
    desk.golden.mark(case_id, expected, why, session.moderator.id)
    return RedirectResponse(f"{case_path(case_id)}#golden", 303)


@router.post("/quality/golden/{golden_id}/retire")
def retire_golden(desk: DeskOf, session: Lead, golden_id: str) -> Response:
    desk.golden.retire(golden_id, session.moderator.id)
    return RedirectResponse("/quality#golden", 303)


def _worth_over_time(quality: ReviewQuality) -> LinePlot:
    """Of each kind, the share that showed the right face, in percent."""
    shares = {
        kind: [None if one.right_face.value is None else 100 * one.right_face.value for one in precision.over_time]
        for kind, precision in quality.kinds.items()
    }
    return line_plot(shares, top=100.0)
