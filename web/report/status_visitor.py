"""Who looks after a report: a browser whose cookie opens one."""

from typing import Annotated

from fastapi import Depends, Request

from records.reports.reading import Report
from web.problems import Elsewhere
from web.security import DeskOf

REPORT_COOKIE = "__Host-likeness-report"
STATUS_PATH = "/report/status"


def opened_report(request: Request, desk: DeskOf) -> Report | None:
    """The report that this browser has opened; None where it has not, or its time is over."""
    token = request.cookies.get(REPORT_COOKIE)
    return desk.report_access.find(token) if token else None


def report_in_hand(opened: Annotated[Report | None, Depends(opened_report)]) -> Report:
    """Sends to the door whoever has not opened a report."""
    if opened is None:
        raise Elsewhere(f"{STATUS_PATH}?why=ended")
    return opened


OpenedReport = Annotated[Report | None, Depends(opened_report)]
ReportInHand = Annotated[Report, Depends(report_in_hand)]
