"""Which accounts bear their face, and which are their own."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from web.report.forms import LONGEST_WORDS, TOO_LONG, TOO_MANY, lines_in, sent_of, text_in, too_many
from web.report.steps import DETAILS, Writing, after, at, step_page
from web.security import DeskOf

router = APIRouter()
HereOf = Annotated[Writing, Depends(at(DETAILS))]


@router.get(DETAILS.path)
def form(request: Request, here: HereOf) -> Response:
    details = here.draft.details
    typed = {"links": "\n".join(details.links), "accounts": "\n".join(details.accounts), "words": details.words}
    return step_page(request, "report_details.html", DETAILS, here.draft, typed=typed, wrong={})


@router.post(DETAILS.path)
def keep(request: Request, desk: DeskOf, here: HereOf, sent: Annotated[FormData, Depends(sent_of)]) -> Response:
    """Fields, each of which may be empty: `links` and `accounts`, one a line; `words`."""
    links, accounts, words = lines_in(sent, "links"), lines_in(sent, "accounts"), text_in(sent, "words")
    wrong = {name: TOO_MANY for name, lines in (("links", links), ("accounts", accounts)) if too_many(lines)}
    if len(words) > LONGEST_WORDS:
        wrong["words"] = TOO_LONG
    if wrong:
        typed = {name: text_in(sent, name) for name in ("links", "accounts", "words")}
        return step_page(request, "report_details.html", DETAILS, here.draft, 422, typed=typed, wrong=wrong)
    draft = here.keep(
        desk,
        lambda draft: replace(
            draft,
            details=replace(draft.details, links=links, accounts=accounts, words=words),
            details_given=True,
        ),
    )
    return RedirectResponse(after(DETAILS, draft), 303)
