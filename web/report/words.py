"""Who is under 18, or looks after a child, reports in words: no photo of a child is taken in, nothing is compared."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from records.reports.contents import Details
from records.reports.drafts import Draft
from web.desk import Desk
from web.languages import N_
from web.report.consent import Choices
from web.report.consent_texts import TEXTS
from web.report.forms import LONGEST_WORDS, TOO_LONG, TOO_MANY, lines_in, sent_of, text_in, too_many
from web.report.steps import WORDS, Writing, after, at, step_page
from web.security import DeskOf, VisitOf

router = APIRouter()
HereOf = Annotated[Writing, Depends(at(WORDS))]
FIELDS = ("words", "links")


@router.get(WORDS.path)
def form(request: Request, desk: DeskOf, here: HereOf) -> Response:
    details = here.draft.details
    typed = {"words": details.words, "links": "\n".join(details.links)}
    return _page(request, desk, here, typed, Choices.of(here.draft), agreed=bool(here.draft.consent_text))


@router.post(WORDS.path)
def keep(
    request: Request, desk: DeskOf, visit: VisitOf, here: HereOf, sent: Annotated[FormData, Depends(sent_of)]
) -> Response:
    """Fields: `words`, `links` (one a line), `agreed`, `months`; `contact` and with it `email`; of who looks after a
    child, `guardian`."""
    links, typed = lines_in(sent, "links"), {name: text_in(sent, name) for name in FIELDS}
    agreed, guardian = bool(text_in(sent, "agreed")), bool(text_in(sent, "guardian"))
    choices, wrong = Choices.sent(sent, desk), {}
    if not typed["words"]:
        wrong["words"] = N_("Write a few words about what happened.")
    if len(typed["words"]) > LONGEST_WORDS:
        wrong["words"] = TOO_LONG
    if too_many(links):
        wrong["links"] = TOO_MANY
    if here.draft.writer == "guardian" and not guardian:
        wrong["guardian"] = N_("Only who looks after the child can report for them.")
    if not agreed:
        wrong["agreed"] = N_("Without this we may not keep what you write. Tick it to go on.")
    wrong |= choices.wrong()
    if wrong:
        return _page(request, desk, here, typed, choices, wrong, agreed=agreed, guardian=guardian)

    def written(draft: Draft) -> Draft:
        return choices.kept(replace(draft, details=Details(links=links, words=typed["words"])), desk, visit)

    return RedirectResponse(after(WORDS, here.keep(desk, written)), 303)


def _page(
    request: Request,
    desk: Desk,
    here: Writing,
    typed: dict[str, str],
    choices: Choices,
    wrong: dict[str, str] | None = None,
    *,
    agreed: bool,
    guardian: bool = False,
) -> Response:
    status = 422 if wrong else 200
    values = {"typed": typed, "choices": choices, "wrong": wrong or {}, "agreed": agreed, "guardian": guardian}
    values |= {"texts": TEXTS, "months": desk.settings.reports.months}
    return step_page(request, "report_in_words.html", WORDS, here.draft, status, **values)
