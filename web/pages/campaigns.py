"""Campaigns: many cases that share a picture or a person, looked at together and decided at once.

1. take all that are free  2. leave out those that differ, judge, say why  3. see what the decision would do to each
4. confirm; the whole is taken back with one key.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Form, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from records.casework.campaigns import CampaignKind
from records.casework.case_decisions import Choice
from records.casework.cases import Case
from records.errors import ClaimLost
from records.people.moderators import Moderator
from web.console import campaign_view
from web.console.campaign_view import InHand
from web.console.casework import WORKED_HERE, FacesOf, Worker, ahead, with_query
from web.desk import Desk
from web.errors import wants_json
from web.pages.case_steps import Note, Word
from web.rendering import render
from web.security import DeskOf

router = APIRouter()
CaseIds = Annotated[list[str], Form(max_length=100)]


@router.get("/campaigns")
def campaigns_page(request: Request, desk: DeskOf, session: Worker) -> Response:
    return render(request, "campaigns.html", cards=campaign_view.cards(desk, session.moderator))


@router.get("/campaign/{kind}/{campaign_id}")
def campaign_page(
    request: Request,
    desk: DeskOf,
    session: Worker,
    faces: FacesOf,
    later: BackgroundTasks,
    kind: CampaignKind,
    campaign_id: str,
    judgement: str = "",
    leave: Annotated[list[str] | None, Query(max_length=100)] = None,
    clear: bool = False,
    lost: bool = False,
) -> Response:
    """`leave`: the cases that are left out; `clear`: the pictures are shown without blur."""
    moderator = session.moderator
    cases = desk.campaigns.held(kind, campaign_id, moderator.id)
    hand = campaign_view.in_hand(desk, faces, cases, moderator)
    campaign = desk.campaigns.get(kind, campaign_id, moderator.id, moderator.role)
    about = hand.person.identity_id if hand.person else campaign and campaign.identity_id
    aside = desk.campaigns.aside(kind, campaign_id, moderator.id, moderator.role)
    page = render(
        request,
        "campaign.html",
        kind=kind,
        path=_path(kind, campaign_id),
        campaign=campaign,
        hand=hand,
        name=desk.cases.names([about]).get(about) if about else None,
        free=sum(one.why == "free" for one in aside),
        pictured=desk.cases.pictured(case.id for case in cases),
        leave=leave or [],
        judgement=judgement if judgement in hand.offered else "",
        reasons=desk.settings.console.reasons,
        lease_seconds=desk.settings.console.lease_seconds,
        clear=clear,
        lost=lost and not cases,
    )
    later.add_task(ahead, campaign_view.prepare, faces, cases)
    page.background = later
    return page


@router.post("/campaign/{kind}/{campaign_id}/claim", dependencies=[WORKED_HERE])
def claim(desk: DeskOf, session: Worker, kind: CampaignKind, campaign_id: str) -> Response:
    desk.campaigns.claim(kind, campaign_id, session.moderator.id, session.moderator.role)
    return RedirectResponse(_path(kind, campaign_id), 303)


@router.post("/campaign/{kind}/{campaign_id}/release")
def release(desk: DeskOf, session: Worker, faces: FacesOf, kind: CampaignKind, campaign_id: str) -> Response:
    _give_back(desk, faces, kind, campaign_id, session.moderator)
    return RedirectResponse("/queue", 303)


@router.post("/campaign/{kind}/{campaign_id}/renew")
def renew(desk: DeskOf, session: Worker, kind: CampaignKind, campaign_id: str) -> Response:
    """For the page's script, while somebody is there."""
    return JSONResponse({"until": desk.campaigns.renew(kind, campaign_id, session.moderator.id).isoformat()})


@router.post("/campaign/{kind}/{campaign_id}/revealed")
def revealed(request: Request, desk: DeskOf, session: Worker, kind: CampaignKind, campaign_id: str) -> Response:
    """The pictures are shown without blur: at once by the page's script, else by the page anew."""
    for case in _held(desk, kind, campaign_id, session.moderator):
        desk.audit.append(session.moderator.id, "picture_revealed", case.id)
    if wants_json(request):
        return Response(status_code=204)
    return RedirectResponse(with_query(_path(kind, campaign_id), {"clear": "true"}), 303)


@router.post("/campaign/{kind}/{campaign_id}/preview")
def preview(
    request: Request,
    desk: DeskOf,
    session: Worker,
    faces: FacesOf,
    kind: CampaignKind,
    campaign_id: str,
    decision: Word,
    reason: Word = "",
    note: Note = "",
    leave: CaseIds = [],  # noqa: B006  # FastAPI copies it
) -> Response:
    """What the decision would do; nothing is changed yet."""
    moderator = session.moderator
    cases = _held(desk, kind, campaign_id, moderator)
    hand = campaign_view.in_hand(desk, faces, cases, moderator)
    wanted = [case.id for case in cases if case.id not in leave]
    planned, passed = desk.batches.plan(wanted, moderator.id, moderator.role, _choice(hand, decision, reason, note))
    aside = desk.campaigns.aside(kind, campaign_id, moderator.id, moderator.role)
    left = [(case.account_id, "left_out") for case in cases if case.id in leave]
    left += [*campaign_view.passed_over(passed), *((one.account_id, one.why) for one in aside)]
    return render(
        request,
        "campaign_preview.html",
        path=_path(kind, campaign_id),
        hand=hand,
        decision=decision,
        reason=reason,
        note=note,
        leave=leave,
        preview=campaign_view.preview(planned, left),
        decided=[one.case.id for one in planned],
        lease_seconds=desk.settings.console.lease_seconds,
    )


@router.post("/campaign/{kind}/{campaign_id}/decide")
def decide(
    desk: DeskOf,
    session: Worker,
    faces: FacesOf,
    kind: CampaignKind,
    campaign_id: str,
    decision: Word,
    identity: Word = "",
    reason: Word = "",
    note: Note = "",
    case: CaseIds = [],  # noqa: B006  # FastAPI copies it
) -> Response:
    """`case`: those of the preview; `identity`: whom it was about."""
    moderator = session.moderator
    choice = Choice(decision, reason, note or None, identity or None)
    batch = desk.batches.decide(case, moderator.id, moderator.role, choice)
    for case_id in batch.case_ids:
        faces.forget(case_id)
    _give_back(desk, faces, kind, campaign_id, moderator)
    return RedirectResponse(with_query("/queue", {"batch": batch.id, "left": batch.left}), 303)


@router.post("/batch/{batch_id}/undo")
def undo(desk: DeskOf, session: Worker, batch_id: str) -> Response:
    cases = desk.batches.undo(batch_id, session.moderator.id)
    groups = {case.picture_group for case in cases}
    if len(groups) == 1 and (group := groups.pop()) is not None:
        return RedirectResponse(_path("picture", group), 303)
    return RedirectResponse(_path("identity", cases[0].identity_id or ""), 303)


def _held(desk: Desk, kind: CampaignKind, campaign_id: str, moderator: Moderator) -> list[Case]:
    cases = desk.campaigns.held(kind, campaign_id, moderator.id)
    if not cases:
        raise ClaimLost("None of the campaign's cases is in the hands of who works on it.")
    return cases


def _give_back(desk: Desk, faces: FacesOf, kind: CampaignKind, campaign_id: str, moderator: Moderator) -> None:
    ids: Sequence[str] = desk.campaigns.release(kind, campaign_id, moderator.id)
    for case_id in ids:
        faces.forget(case_id)


def _choice(hand: InHand, decision: str, reason: str, note: str) -> Choice:
    return Choice(decision, reason, note or None, hand.person.identity_id if hand.person else None)


def _path(kind: CampaignKind, campaign_id: str) -> str:
    return f"/campaign/{kind}/{campaign_id}"
