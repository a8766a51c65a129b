"""The way through a report: which pages come one after another, and which of them a browser's draft may be on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response

from records.reports.contents import ReportKind
from records.reports.drafts import Draft
from web.desk import Desk
from web.languages import N_
from web.problems import Elsewhere, Way, draft_gone
from web.rendering import render
from web.security import DRAFT_COOKIE, REPORT_PATH, DeskOf

SENT_PATH = f"{REPORT_PATH}/sent"
BEGIN = Way(N_("Begin again"), REPORT_PATH)


@dataclass(frozen=True, slots=True)
class Step:
    """A page of the way. `done`: whether the draft has what the page asks for."""

    path: str
    name: str
    done: Callable[[Draft], bool]


CONSENT = Step(f"{REPORT_PATH}/consent", N_("Your consent"), lambda draft: bool(draft.consent_text))
PHOTOS = Step(f"{REPORT_PATH}/photos", N_("Your photos"), lambda draft: bool(draft.chosen))
HASHES = Step(f"{REPORT_PATH}/codes", N_("Your photos"), lambda draft: bool(draft.hashes))
DETAILS = Step(f"{REPORT_PATH}/details", N_("The accounts"), lambda draft: draft.details_given)
CHALLENGE = Step(f"{REPORT_PATH}/challenge", N_("It is really you"), lambda draft: draft.challenge is not None)
WORDS = Step(f"{REPORT_PATH}/words", N_("What happened"), lambda draft: bool(draft.consent_text))
CHECK = Step(f"{REPORT_PATH}/check", N_("Check and send"), lambda draft: draft.number is not None)

WAYS: Mapping[ReportKind, tuple[Step, ...]] = {
    "photos": (CONSENT, PHOTOS, DETAILS, CHALLENGE, CHECK),
    "hashes": (CONSENT, HASHES, DETAILS, CHECK),
    "words": (WORDS, CHECK),
}
"""Consent comes before photos: to look for a face in a photo is what the consent is about."""


@dataclass(frozen=True, slots=True, eq=False)
class Writing:
    """A browser at its draft."""

    token: str
    draft: Draft

    def keep(self, desk: Desk, change: Callable[[Draft], Draft]) -> Draft:
        """As ReportDrafts.change. Raises Problem when the draft was forgotten meanwhile."""
        draft = desk.report_drafts.change(self.token, change)
        if draft is None:
            raise draft_gone(REPORT_PATH)
        return draft


def at(step: Step) -> Callable[..., Writing]:
    """A dependency that gives the visitor's draft, which is at this step or was there before.

    Raises Problem where there is no draft any more; Elsewhere where it has not come so far, has no such step, or was
    sent.
    """

    def writing(request: Request, desk: DeskOf) -> Writing:
        found = draft_of(request, desk)
        if found is None:
            raise draft_gone(REPORT_PATH)
        first = first_open(found.draft)
        way = WAYS[found.draft.kind]
        if first is None or step not in way or way.index(step) > way.index(first):
            raise Elsewhere(first.path if first else SENT_PATH)
        return found

    return writing


def draft_of(request: Request, desk: Desk) -> Writing | None:
    """The draft that the visitor's browser writes at, if there is one."""
    token = request.cookies.get(DRAFT_COOKIE)
    draft = desk.report_drafts.find(token) if token else None
    return Writing(token, draft) if token and draft else None


def first_open(draft: Draft) -> Step | None:
    """The first step that asks for something still; None when the report was sent."""
    if draft.number is not None:
        return None
    return next((step for step in WAYS[draft.kind] if not step.done(draft)), CHECK)


def after(step: Step, draft: Draft) -> str:
    """The path of the next step."""
    way = WAYS[draft.kind]
    return way[way.index(step) + 1].path


def step_page(
    request: Request, template: str, step: Step, draft: Draft, status: int = 200, **values: object
) -> Response:
    """The step's page, which shows how far one has come."""
    way = WAYS[draft.kind]
    here = way.index(step)
    before = way[here - 1].path if here else REPORT_PATH
    return render(request, template, status, step=step, way=way, here_step=here, before=before, draft=draft, **values)
