"""Who is under 18, or looks after a child, reports in words: no photo of a child is taken in, nothing is compared."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from records.reports.consent import is_address
from records.reports.contents import Details
from records.reports.drafts import Draft
from web.languages import N_
from web.report.consent import NO_ADDRESS
from web.report.consent_texts import TEXTS, agreed_text
from web.report.forms import LONGEST_WORDS, TOO_LONG, TOO_MANY, lines_in, sent_of, text_in, too_many
from web.report.steps import WORDS, Writing, after, at, step_page
from web.security import DeskOf, VisitOf

router = APIRouter()
HereOf = Annotated[Writing, Depends(at(WORDS))]
FIELDS = ("words", "links", "email")


@router.get(WORDS.path)
def form(request: Request, here: HereOf) -> Response:
    details = here.draft.details
    typed = {"words": details.words, "links": "\n".join(details.links), "email": details.contact}
    return _page(request, here, typed, agreed=bool(here.draft.consent_text))


@router.post(WORDS.path)
def keep(
    request: Request, desk: DeskOf, visit: VisitOf, here: HereOf, sent: Annotated[FormData, Depends(sent_of)]
) -> Response:
    """Fields: `words`, `links` (one a line), `email`, `agreed`; of who looks after a child, `guardian`."""
    links, typed = lines_in(sent, "links"), {name: text_in(sent, name) for name in FIELDS}
    agreed, guardian = bool(text_in(sent, "agreed")), bool(text_in(sent, "guardian"))
    wrong = {}
    if not typed["words"]:
        wrong["words"] = N_("Write a few words about what happened.")
    if len(typed["words"]) > LONGEST_WORDS:
        wrong["words"] = TOO_LONG
    if too_many(links):
        wrong["links"] = TOO_MANY
    if not is_address(typed["email"]):
        wrong["email"] = NO_ADDRESS
    if here.draft.writer == "guardian" and not guardian:
        wrong["guardian"] = N_("Only who looks after the child can report for them.")
    if not agreed:
        wrong["agreed"] = N_("Without this we may not keep what you write. Tick it to go on.")
    if wrong:
        return _page(request, here, typed, wrong, agreed=agreed, guardian=guardian)

    def written(draft: Draft) -> Draft:
        return replace(
            draft,
            consent_text=agreed_text(visit.language),
            consented_at=desk.clock(),
            consent_contact=True,
            months=min(desk.settings.reports.months),
            details=Details(contact=typed["email"], links=links, words=typed["words"]),
        )

    return RedirectResponse(after(WORDS, here.keep(desk, written)), 303)


def _page(
    request: Request,
    here: Writing,
    typed: dict[str, str],
    wrong: dict[str, str] | None = None,
    *,
    agreed: bool,
    guardian: bool = False,
) -> Response:
    status = 422 if wrong else 200
    values = {"typed": typed, "wrong": wrong or {}, "agreed": agreed, "guardian": guardian, "texts": TEXTS}
    return step_page(request, "report_in_words.html", WORDS, here.draft, status, **values)
