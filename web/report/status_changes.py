"""What a reporter does with a report: goes on agreeing, corrects it, takes it back."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from records.errors import ReportErased, ReportRefused
from records.reports.consent import CONTACT_LENGTH, months_later
from records.reports.contents import Details
from records.reports.messages import REPORTER
from records.reports.reading import OVER
from web.problems import Elsewhere
from web.refusals import REFUSALS
from web.rendering import render
from web.report.consent_texts import TEXTS, agreed_text
from web.report.status_visitor import STATUS_PATH, ReportInHand
from web.security import DeskOf, VisitOf
from web.taking_back import take_back

router = APIRouter()
TEXT = 20_000


@router.get(f"{STATUS_PATH}/extend")
def extend_page(request: Request, desk: DeskOf, report: ReportInHand, wrong: bool = False) -> Response:
    """`wrong`: the form came without agreement, or without a time."""
    now = desk.clock()
    if report.state != "protecting" or report.ends_at is None:
        raise Elsewhere(STATUS_PATH)
    until = {months: months_later(now, months) for months in sorted(desk.settings.reports.months)}
    longer = {months: ends for months, ends in until.items() if ends > report.ends_at}
    texts = TEXTS["matching_hashes" if report.kind == "hashes" else "matching"], TEXTS["months"]
    return render(request, "report_status_extend.html", report=report, longer=longer, texts=texts, wrong=wrong)


@router.post(f"{STATUS_PATH}/extend")
def extend(
    desk: DeskOf,
    visit: VisitOf,
    report: ReportInHand,
    months: Annotated[int, Form()] = 0,
    agree: Annotated[bool, Form()] = False,
) -> Response:
    if not agree or months not in desk.settings.reports.months:
        return RedirectResponse(f"{STATUS_PATH}/extend?wrong=true", 303)
    desk.report_consents.extend(report.id, months, agreed_text(visit.language))
    return RedirectResponse(f"{STATUS_PATH}?done=extended", 303)


@router.get(f"{STATUS_PATH}/correct")
def correct_page(request: Request, desk: DeskOf, report: ReportInHand) -> Response:
    if report.state in OVER:
        raise Elsewhere(STATUS_PATH)
    return _form(request, desk.report_reading.details(report.id))


@router.post(f"{STATUS_PATH}/correct")
def correct(
    request: Request,
    desk: DeskOf,
    visit: VisitOf,
    report: ReportInHand,
    contact: Annotated[str, Form(max_length=TEXT)] = "",
    accounts: Annotated[str, Form(max_length=TEXT)] = "",
    links: Annotated[str, Form(max_length=TEXT)] = "",
) -> Response:
    """`accounts`, `links`: one a line."""
    typed = Details(contact, tuple(links.splitlines()), tuple(accounts.splitlines()))
    try:
        desk.report_consents.correct(report.id, typed.contact, typed.links, typed.accounts)
    except ReportRefused as refused:
        wrong = visit.language.text(REFUSALS[refused.reason].text)
        return _form(request, typed, REFUSALS[refused.reason].status, wrong)
    except ReportErased:
        return RedirectResponse(STATUS_PATH, 303)
    return RedirectResponse(f"{STATUS_PATH}?done=corrected", 303)


@router.get(f"{STATUS_PATH}/withdraw")
def withdraw_page(request: Request, report: ReportInHand, wrong: bool = False) -> Response:
    """`wrong`: nobody has said that they are sure."""
    if report.receipt is not None:
        raise Elsewhere(STATUS_PATH)
    return render(request, "report_status_withdraw.html", report=report, wrong=wrong)


@router.post(f"{STATUS_PATH}/withdraw")
def withdraw(desk: DeskOf, report: ReportInHand, sure: Annotated[bool, Form()] = False) -> Response:
    if not sure:
        return RedirectResponse(f"{STATUS_PATH}/withdraw?wrong=true", 303)
    take_back(desk, report.id, REPORTER)
    return RedirectResponse(f"{STATUS_PATH}?done=withdrawn", 303)


def _form(request: Request, details: Details, status: int = 200, wrong: str = "") -> Response:
    return render(
        request, "report_status_correct.html", status, details=details, wrong=wrong, contact_length=CONTACT_LENGTH
    )
