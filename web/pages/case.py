"""One case: the faces side by side, why it was raised, what else is known, and what may be decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request
from fastapi.responses import Response

from records.case_decisions import DecisionMade
from records.cases import Case
from records.moderators import Moderator
from web.console.case_faces import CaseFaces
from web.console.case_view import Suspect, view_case
from web.console.casework import SKIP_REASONS, FacesOf, Worker, case_path, holds, may_decide, rule_of, sees_faces
from web.desk import Desk
from web.rendering import render
from web.security import DeskOf

router = APIRouter()

EARLIER = 5
"""Earlier cases that are shown, of the account and of the identity each."""


@dataclass(frozen=True, slots=True)
class EarlierCase:
    """`outcome`: the decision that stands, None while there is none."""

    case: Case
    outcome: DecisionMade | None


@router.get("/case/{case_id}")
def case_page(
    request: Request,
    desk: DeskOf,
    session: Worker,
    faces: FacesOf,
    later: BackgroundTasks,
    case_id: str,
    judgement: str = "",
    suspect: Annotated[int, Query(ge=0)] = 0,
    queue: str = "",
    after: str = "",
    clear: bool = False,
    lost: bool = False,
) -> Response:
    moderator = session.moderator
    case = desk.cases.get(case_id)
    view = view_case(case, desk.cases.names)
    shown = view.suspect(suspect)
    visible = sees_faces(case, moderator)
    mine = holds(case, moderator)
    rule = rule_of(desk, case.queue)
    offered = may_decide(desk, case, moderator)
    if mine:
        later.add_task(_prepare_next, desk, faces, moderator, queue or None)
    page = render(
        request,
        "case.html",
        case=case,
        view=view,
        suspect=shown,
        person=faces.person(shown.person.identity_id) if shown and visible else None,
        picture=visible and faces.picture(case) is not None,
        visible=visible,
        mine=mine,
        lost=lost and not mine,
        clear=clear,
        offered=offered,
        four_eyes=rule is not None and rule.four_eyes and case.stage == "first",
        judgement=judgement if mine and judgement in (*offered, "skip") else "",
        reasons=desk.settings.console.reasons,
        skip_reasons=SKIP_REASONS,
        judge_first=desk.settings.console.judge_first,
        show_likeness=case.state != "open" or not desk.settings.console.judge_first or judgement in offered,
        queue=queue,
        undo=undo_of(desk, moderator, after),
        made=desk.decisions.history(case_id),
        earlier_of_account=_earlier(desk, case, desk.cases.of_account(case.account_id, EARLIER + 1)),
        earlier_of_person=_earlier(desk, case, _of_person(desk, shown)),
        comments=desk.cases.comments(case_id),
        lease_seconds=desk.settings.console.lease_seconds,
        moderator=moderator,
        now=desk.clock(),
        here_with=lambda **query: case_path(case_id, **{"suspect": suspect, "queue": queue} | query),
    )
    page.background = later
    return page


@router.get("/case/{case_id}/likeness")
def likeness(
    request: Request, desk: DeskOf, session: Worker, case_id: str, suspect: Annotated[int, Query(ge=0)] = 0
) -> Response:
    """How alike the faces are, as a piece of the page: for its script, once the person has judged."""
    case = desk.cases.get(case_id)
    view = view_case(case, desk.cases.names)
    return render(request, "case_likeness.html", suspect=view.suspect(suspect))


def undo_of(desk: Desk, moderator: Moderator, decision_id: str) -> DecisionMade | None:
    """The decision that they have just made, while it can be taken back."""
    if not decision_id:
        return None
    latest = desk.decisions.recent(moderator.id, 3)
    return next((made for made in latest if made.id == decision_id and made.undo_until), None)


def _of_person(desk: Desk, suspect: Suspect | None) -> Sequence[Case]:
    return desk.cases.of_identity(suspect.person.identity_id, EARLIER + 1) if suspect else ()


def _earlier(desk: Desk, case: Case, cases: Sequence[Case]) -> list[EarlierCase]:
    others = [one for one in cases if one.id != case.id][:EARLIER]
    return [EarlierCase(one, _outcome(desk, one)) for one in others]


def _outcome(desk: Desk, case: Case) -> DecisionMade | None:
    if case.state == "open":
        return None
    return next((made for made in desk.decisions.history(case.id) if made.state in ("pending", "final")), None)


def _prepare_next(desk: Desk, faces: CaseFaces, moderator: Moderator, queue: str | None) -> None:
    """Makes the faces of the case that comes next ready in memory; it stays free until it is claimed."""
    if (case := desk.claims.peek(moderator.id, moderator.role, queue)) is not None:
        faces.prepare(case, view_case(case, desk.cases.names))
