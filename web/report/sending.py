"""The end of a report: one look at all of it, then it is sent, and its case number and PIN are shown.

The PIN is made with the draft and rests in it alone, sealed: who sends twice, or loses the answer on the way, finds the
same case number and PIN again, in this browser, until they say that they have noted them.
"""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from records.errors import TooManyReports
from records.reports.drafts import Draft
from records.reports.intake import NewReport
from web.languages import N_, Language
from web.problems import Elsewhere
from web.rendering import render
from web.report.challenge import asked
from web.report.consent_texts import TEXTS
from web.report.forms import sent_of, text_in
from web.report.limits import count_report, too_many_reports
from web.report.steps import CHALLENGE, CHECK, SENT_PATH, Writing, at, draft_of, first_open, step_page
from web.security import DRAFT_COOKIE, REPORT_PATH, DeskOf, VisitOf

router = APIRouter()
HereOf = Annotated[Writing, Depends(at(CHECK))]


@router.get(CHECK.path)
def check(request: Request, here: HereOf) -> Response:
    return _check(request, here)


@router.post(CHECK.path)
def send(
    request: Request, desk: DeskOf, visit: VisitOf, here: HereOf, sent: Annotated[FormData, Depends(sent_of)]
) -> Response:
    """Field: `true`, that what they say is true."""
    if not text_in(sent, "true"):
        return _check(request, here, N_("Tick this before you send your report."))
    if here.draft.kind == "photos" and not asked(here.draft, desk):  # a photo with the code of another day
        raise Elsewhere(CHALLENGE.path)
    try:
        count_report(request, desk, here.draft.key)
    except TooManyReports as error:
        return too_many_reports(request, error)
    taken = desk.report_intake.take(new_report(here.draft, visit.language))
    here.keep(desk, lambda draft: draft.sent(taken.number))
    return RedirectResponse(SENT_PATH, 303)


@router.get(SENT_PATH)
def sent_page(request: Request, desk: DeskOf) -> Response:
    writing = draft_of(request, desk)
    if writing is None:
        raise Elsewhere(f"{REPORT_PATH}/status")
    if (step := first_open(writing.draft)) is not None:
        raise Elsewhere(step.path)
    number, pin = writing.draft.number, writing.draft.pin
    return render(request, "report_sent.html", number=number, pin=pin, minutes=desk.settings.reports.draft_minutes)


@router.post(f"{REPORT_PATH}/noted")
def noted(request: Request, desk: DeskOf) -> Response:
    """Forgets case number and PIN, which the reporter has noted."""
    if (writing := draft_of(request, desk)) is not None:
        desk.report_drafts.drop(writing.token)
    response = RedirectResponse(f"{REPORT_PATH}/status", 303)
    response.delete_cookie(DRAFT_COOKIE, secure=True, httponly=True, samesite="strict")
    return response


def new_report(draft: Draft, language: Language) -> NewReport:
    """The report that a whole draft makes."""
    details = draft.details
    if draft.writer != "adult":  # whoever reads the words must know who wrote them
        details = replace(details, words=f"{language.text(TEXTS[draft.writer])}\n\n{details.words}")
    return NewReport(
        kind=draft.kind,
        lane="specialist" if draft.kind == "words" else "standard",
        source="page",
        source_key=draft.key,
        pin=draft.pin,
        language=language.code,
        consent_text=draft.consent_text,
        consented_at=draft.consented_at,
        consent_contact=draft.consent_contact,
        months=draft.months,
        details=details,
        photos=draft.chosen,
        hashes=draft.hashes,
        challenge=draft.challenge,
    )


def _check(request: Request, here: Writing, wrong: str = "") -> Response:
    declared = TEXTS["true_words" if here.draft.kind == "words" else "true"]
    return step_page(
        request, "report_check.html", CHECK, here.draft, 422 if wrong else 200, declared=declared, wrong=wrong
    )
