"""Consent: each thing by itself, nothing ticked before, and nothing of the photos looked at without."""

from dataclasses import dataclass, replace
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
from web.security import DeskOf, Visit, VisitOf

router = APIRouter()
HereOf = Annotated[Writing, Depends(at(CONSENT))]
NO_ADDRESS = N_("Write the e-mail address as name@example.com.")


@dataclass(frozen=True, slots=True)
class Choices:
    """What whoever reports chooses, each by itself. months: how long, 0 before they have; contact: whether they may be
    written to, at email."""

    months: int
    contact: bool
    email: str

    @classmethod
    def of(cls, draft: Draft) -> "Choices":
        return cls(draft.months, draft.consent_contact, draft.details.contact)

    @classmethod
    def sent(cls, sent: FormData, desk: Desk) -> "Choices":
        months = next((one for one in desk.settings.reports.months if str(one) == text_in(sent, "months")), 0)
        return cls(months, bool(text_in(sent, "contact")), text_in(sent, "email"))

    def wrong(self) -> dict[str, str]:
        """What is missing, by field."""
        wrong = {} if self.months else {"months": N_("Choose how long.")}
        if self.contact and not is_address(self.email):
            wrong["email"] = NO_ADDRESS
        return wrong

    def kept(self, draft: Draft, desk: Desk, visit: Visit) -> Draft:
        """The draft with them, and with the texts that were agreed to."""
        return replace(
            draft,
            consent_text=agreed_text(visit.language),
            consented_at=desk.clock(),
            months=self.months,
            consent_contact=self.contact,
            details=replace(draft.details, contact=self.email if self.contact else ""),
        )


@router.get(CONSENT.path)
def form(request: Request, desk: DeskOf, here: HereOf) -> Response:
    return _page(request, desk, here.draft, Choices.of(here.draft), matching=bool(here.draft.consent_text))


@router.post(CONSENT.path)
def agree(
    request: Request, desk: DeskOf, visit: VisitOf, here: HereOf, sent: Annotated[FormData, Depends(sent_of)]
) -> Response:
    """Fields: `matching`, `months`; `contact` and with it `email`."""
    matching, choices = bool(text_in(sent, "matching")), Choices.sent(sent, desk)
    wrong = {}
    if not matching:
        wrong["matching"] = N_("Without this we cannot look for your face. Tick it to go on, or leave this page.")
    wrong |= choices.wrong()
    if wrong:
        return _page(request, desk, here.draft, choices, wrong, matching=matching)
    draft = here.keep(desk, lambda draft: choices.kept(draft, desk, visit))
    return RedirectResponse(after(CONSENT, draft), 303)


def _page(
    request: Request,
    desk: Desk,
    draft: Draft,
    choices: Choices,
    wrong: dict[str, str] | None = None,
    *,
    matching: bool,
) -> Response:
    return step_page(
        request,
        "report_consent.html",
        CONSENT,
        draft,
        422 if wrong else 200,
        texts=TEXTS,
        matching=matching,
        choices=choices,
        wrong=wrong or {},
        months=desk.settings.reports.months,
    )
