"""The reports of people who ask to be protected: those that wait, lane by lane, and those that are decided."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from records.errors import ReportRefused
from records.people.web_sessions import Session
from records.reports.reading import OPEN, OVER, Report, ReportState
from web.console.report_lanes import lanes_for
from web.desk import Desk
from web.problems import forbidden
from web.rendering import REPORTS, WORKERS, render
from web.security import DeskOf, signed_in

router = APIRouter(prefix=REPORTS)
MOST = 100
SHOWN: Mapping[str, tuple[ReportState, ...]] = {"open": OPEN, "protecting": ("protecting",), "over": OVER}


def reviewing(desk: DeskOf, session: Annotated[Session, Depends(signed_in(*WORKERS))]) -> Session:
    """The session of somebody who works reports of any lane."""
    if not lanes_for(desk.settings.reports, session.moderator.role):
        desk.audit.append(session.moderator.id, "forbidden", REPORTS, {"role": session.moderator.role})
        raise forbidden()
    return session


Reviewer = Annotated[Session, Depends(reviewing)]


def report_for(desk: Desk, session: Session, report_id: str) -> Report:
    """A report that they work. Raises UnknownReport, ReportRefused: not_your_lane, which is noted."""
    report = desk.report_reading.get(report_id)
    if report.lane not in lanes_for(desk.settings.reports, session.moderator.role):
        details = {"role": session.moderator.role, "lane": report.lane}
        desk.audit.append(session.moderator.id, "forbidden", f"{REPORTS}/{report_id}", details)
        raise ReportRefused("not_your_lane", f"{report_id} is in the lane {report.lane}, which others work.")
    return report


@router.get("")
def reports_page(request: Request, desk: DeskOf, session: Reviewer, show: str = "open", done: str = "") -> Response:
    """`show`: one of SHOWN; `done`: what was just decided on a report."""
    show = show if show in SHOWN else "open"
    lanes = lanes_for(desk.settings.reports, session.moderator.role)
    found = {lane: desk.report_reading.list([lane], SHOWN[show], MOST) for lane in lanes}
    listed = [report for reports in found.values() for report in reports]
    return render(
        request,
        "report_case_list.html",
        found=found,
        show=show,
        shows=tuple(SHOWN),
        oldest=next((report for report in listed if report.state == "received"), None),
        unread=desk.report_messages.unread([report.id for report in listed]),
        late_before=desk.clock() - timedelta(hours=desk.settings.reports.target_hours),
        most=MOST,
        done=done if done in (*get_args(ReportState), "specialists") else "",
    )


@router.post("/{report_id}/begin")
def begin(desk: DeskOf, session: Reviewer, report_id: str) -> Response:
    """From now on the report is open before who checks it, and the reporter reads that somebody does."""
    report_for(desk, session, report_id)
    desk.report_review.begin(report_id, session.moderator.id)
    return RedirectResponse(f"{REPORTS}/{report_id}", 303)
