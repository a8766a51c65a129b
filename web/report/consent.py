"""Consent: each thing by itself, nothing ticked before, and nothing of the photos looked at without."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from records.reports.consent import is_address
from records.reports.drafts import Draft
from web.desk import Desk
from web.languages import N_
from web.report.consent_texts import TEXTS, agreed_text
from web.report.forms import sent_of, text_in
from web.report.steps import CONSENT, Writing, after, at, step_page
from web.security import DeskOf, VisitOf

router = APIRouter()
HereOf = Annotated[Writing, Depends(at(CONSENT))]
NO_ADDRESS = N_("Write the e-mail address as name@example.com.")


@router.get(CONSENT.path)
def form(request: Request, desk: DeskOf, here: HereOf) -> Response:
    draft = here.draft
    given = {"matching": bool(draft.consent_text), "months": draft.months, "contact": draft.consent_contact}
    return _page(request, desk, draft, given, draft.details.contact)


@router.post(CONSENT.path)
def agree(
    request: Request, desk: DeskOf, visit: VisitOf, here: HereOf, sent: Annotated[FormData, Depends(sent_of)]
) -> Response:
    """Fields: `matching`, `months`; `contact` and with it `email`."""
    matching, contact = bool(text_in(sent, "matching")), bool(text_in(sent, "contact"))
    months = next((one for one in desk.settings.reports.months if str(one) == text_in(sent, "months")), 0)
    email = text_in(sent, "email")
    wrong = {}
    if not matching:
        wrong["matching"] = N_("Without this we cannot look for your face. Tick it to go on, or leave this page.")
    if not months:
        wrong["months"] = N_("Choose how long.")
    if contact and not is_address(email):
        wrong["email"] = NO_ADDRESS
    if wrong:
        given = {"matching": matching, "months": months, "contact": contact}
        return _page(request, desk, here.draft, given, email, wrong)

    def agreed(draft: Draft) -> Draft:
        return replace(
            draft,
            consent_text=agreed_text(visit.language),
            consented_at=desk.clock(),
            months=months,
            consent_contact=contact,
            details=replace(draft.details, contact=email if contact else ""),
        )

    return RedirectResponse(after(CONSENT, here.keep(desk, agreed)), 303)


def _page(
    request: Request,
    desk: Desk,
    draft: Draft,
    given: Mapping[str, object],
    email: str,
    wrong: dict[str, str] | None = None,
) -> Response:
    return step_page(
        request,
        "report_consent.html",
        CONSENT,
        draft,
        422 if wrong else 200,
        texts=TEXTS,
        given=given,
        email=email,
        wrong=wrong or {},
        months=desk.settings.reports.months,
    )
