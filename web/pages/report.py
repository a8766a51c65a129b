"""One report: the faces side by side, what speaks against it, what it says, and what may be decided."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from records.audit import AuditFilter
from records.errors import ReportErased
from records.people.moderators import Moderator
from records.reports.messages import TEXT_LENGTH
from records.reports.reading import OPEN, Report
from records.reports.review import MINOR_SIGNS
from web.console.gallery_faces import PhotoViews
from web.console.report_view import ReportShown, to_see, view_report
from web.desk import Desk
from web.languages import N_
from web.pages.identity import views_of
from web.pages.reports import Reviewer, report_for
from web.rendering import GALLERY_READERS, REPORTS, render
from web.security import DeskOf

router = APIRouter(prefix=REPORTS)
ViewsOf = Annotated[PhotoViews, Depends(views_of)]
LOOKERS = 3
"""Others who opened the report that are named."""
SAID: Mapping[str, str] = {
    "message": N_("Your message is with the reporter."),
    "message_empty": N_("Nothing was sent: write something first."),
    "message_too_long": N_("Nothing was sent: a message has at most 4,000 characters."),
}


@router.get("/{report_id}")
def report_page(
    request: Request,
    desk: DeskOf,
    session: Reviewer,
    views: ViewsOf,
    report_id: str,
    judgement: str = "",
    clear: bool = False,
    contact: bool = False,
    said: str = "",
) -> Response:
    """judgement: the panel that is open; clear: pictures without blur; contact: how to reach the reporter is shown,
    too; said: what became of a message."""
    moderator = session.moderator
    report = report_for(desk, session, report_id)
    shown = _shown(desk, views, report, moderator)
    contact = contact and shown is not None
    if contact:
        desk.audit.append(moderator.id, "report_viewed", report_id, {"what": "contact"})
    offered = offered_decisions(report)
    judgement = judgement if judgement in offered else ""
    return render(
        request,
        "report_case.html",
        report=report,
        shown=shown,
        offered=offered,
        judgement=judgement,
        to_see=to_see(report, shown is not None and shown.challenge is not None),
        reasons=desk.settings.reports.reasons,
        signs=MINOR_SIGNS,
        show_likeness=judgement or not desk.settings.console.judge_first,
        clear=clear,
        contact=contact,
        messages=desk.report_messages.read(report_id, as_moderator=True) if report.state != "received" else (),
        names=desk.moderators.names(),
        lookers=_lookers(desk, report, moderator),
        look_backs=desk.look_backs.of_identity(report.identity_id) if report.identity_id else (),
        reads_gallery=moderator.role in GALLERY_READERS,
        length=TEXT_LENGTH,
        said=SAID.get(said, ""),
        said_well=said == "message",
    )


@router.get("/{report_id}/likeness")
def likeness(request: Request, desk: DeskOf, session: Reviewer, report_id: str) -> Response:
    """How alike the faces are, as a piece of the page: for its script, once the person has judged."""
    report = report_for(desk, session, report_id)
    return render(request, "report_case_likeness.html", shown=opened(desk, report, session.moderator))


def offered_decisions(report: Report) -> tuple[str, ...]:
    """What may be decided: nobody protects a minor here, who sent no photo."""
    if report.state != "checking":
        return ()
    return ("close", "refuse") if report.kind == "words" else ("approve", "refuse", "specialists")


def opened(desk: Desk, report: Report, moderator: Moderator) -> ReportShown:
    """What a report holds that is being checked. Raises ReportErased of any other."""
    if report.state != "checking":
        raise ReportErased(f"The report {report.id} is not being checked.")
    return view_report(desk, report, moderator.id)


def _shown(desk: Desk, views: PhotoViews, report: Report, moderator: Moderator) -> ReportShown | None:
    """What it holds, from when somebody checks it until all is erased; noted as seen."""
    if report.state == "received":
        return None
    try:
        shown = view_report(desk, report, moderator.id)
    except ReportErased:
        return None
    with views.first(moderator.id, report.id) as first:
        if first:
            desk.audit.append(moderator.id, "report_viewed", report.id, {"what": "report"})
    return shown


def _lookers(desk: Desk, report: Report, moderator: Moderator) -> dict[str, str]:
    """The names of others who opened an open report lately, by id, the latest first."""
    if report.state not in OPEN:
        return {}
    views = desk.audit.find(AuditFilter(report.id, action="report_viewed"), limit=20)
    others = list(dict.fromkeys(one.actor for one in views if one.actor != moderator.id))[:LOOKERS]
    return {one: desk.moderators.get(one).name for one in others}
