"""One case: the faces side by side, why it was raised, what else is known, and what may be decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request
from fastapi.responses import RedirectResponse, Response

from records.casework.appeals import MOST_APPEALS, Appeal
from records.casework.case_decisions import DecisionMade
from records.casework.cases import Case
from records.errors import ClaimLost
from records.people.moderators import Moderator
from web.console.case_faces import CaseFaces
from web.console.case_view import Suspect, view_case
from web.console.casework import SKIP_REASONS, FacesOf, Worker, ahead, case_path, holds, may_decide, rule_of, sees_faces
from web.console.golden_view import golden_values
from web.console.statement import calls_for_statement, may_read
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
    with desk.one_moment():
        moderator = session.moderator
        copies = desk.golden.given_to(moderator.id)
        if copy := copies.get(case_id):  # whose answer this page would tell
            return RedirectResponse(case_path(copy.id), 303)
        case = desk.cases.get(case_id)
        view = view_case(case, desk.cases.names)
        appeals = desk.appeals.of_case(case_id)
        appealed = next((one for one in appeals if one.state == "open"), None)
        shown = view.about(appealed.identity_id) if appealed else view.suspect(suspect)
        visible = sees_faces(case, moderator)
        mine = holds(case, moderator)
        rule = rule_of(desk, case.queue)
        offered = may_decide(desk, case, moderator)
        judged = mine and judgement in offered
        if mine:
            later.add_task(ahead, _prepare_next, desk, faces, moderator, queue or None)
        lists = (
            desk.cases.of_picture(case, EARLIER),
            desk.cases.of_account(case.account_id, EARLIER + 1),
            _of_person(desk, shown),
        )
        found = [[copies.get(one.id, one) for one in cases] for cases in lists]
        decided = {one.id for one in (case, *chain(*found)) if one.state != "open"}
        outcomes = desk.decisions.standing(decided) if decided else {}
        standing = outcomes.get(case_id)
        of_picture, of_account, of_person = (_earlier(case, cases, outcomes) for cases in found)
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
            may_take=may_take(desk, case, moderator),
            worked_here=not desk.settings.coop.only,
            four_eyes=rule is not None and rule.four_eyes and case.stage == "first",
            judgement=judgement if mine and judgement in (*offered, "skip") else "",
            reasons=desk.settings.console.reasons,
            skip_reasons=SKIP_REASONS,
            show_likeness=judged or not _judged_first(desk, case),
            queue=queue,
            undo=undo_of(desk, moderator, after),
            made=desk.decisions.history(case_id),
            appeals=appeals,
            appealed=appealed,
            may_appeal=standing is not None and may_appeal(case, appeals, moderator),
            statement=standing and calls_for_statement(case, standing) and may_read(standing, moderator),
            earlier_of_picture=of_picture,
            earlier_of_account=of_account,
            earlier_of_person=of_person,
            holder=_holder(desk, case, moderator),
            comments=desk.cases.comments(case_id, moderator.id),
            **golden_values(desk, case, standing, moderator),
            lease_seconds=desk.settings.console.lease_seconds,
            moderator=moderator,
            now=desk.clock(),
            here_with=lambda **query: case_path(case_id, **{"suspect": suspect, "queue": queue} | query),
        )
    if judged and _judged_first(desk, case):
        desk.decisions.note_judgement(case_id, moderator.id, moderator.role, judgement)
    page.background = later
    return page


@router.get("/case/{case_id}/likeness")
def likeness(
    request: Request,
    desk: DeskOf,
    session: Worker,
    case_id: str,
    judgement: str = "",
    suspect: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """How alike the faces are, as a piece of the page: for its script, once the person has judged."""
    case, moderator = desk.cases.get(case_id), session.moderator
    if not sees_faces(case, moderator):
        raise ClaimLost("The case is not in the hands of who asks how alike its faces are.")
    if _judged_first(desk, case):
        desk.decisions.note_judgement(case_id, moderator.id, moderator.role, judgement)
    view = view_case(case, desk.cases.names)
    return render(request, "case_likeness.html", suspect=view.suspect(suspect))


def _judged_first(desk: Desk, case: Case) -> bool:
    """Whether how alike the faces are is told only to who holds the case and has judged; what they judged first is
    noted then."""
    return case.state == "open" and desk.settings.console.judge_first


def may_take(desk: Desk, case: Case, moderator: Moderator) -> bool:
    """Whether the page offers them to take the case."""
    if desk.settings.coop.only or case.state != "open" or holds(case, moderator):
        return False
    return desk.claims.may_claim(case.id, moderator.id, moderator.role)


def may_appeal(case: Case, appeals: Sequence[Appeal], moderator: Moderator) -> bool:
    """Whether they may take in an appeal on the case, as AppealRecords.receive decides it."""
    if case.state != "closed" or case.golden_id is not None:
        return False
    return not appeals or (moderator.role == "lead" and len(appeals) < MOST_APPEALS)


def undo_of(desk: Desk, moderator: Moderator, decision_id: str) -> DecisionMade | None:
    """The decision that they have just made, while it can be taken back."""
    if not decision_id:
        return None
    latest = desk.decisions.recent(moderator.id, 3)
    return next((made for made in latest if made.id == decision_id and made.undo_until), None)


def _of_person(desk: Desk, suspect: Suspect | None) -> Sequence[Case]:
    return desk.cases.of_identity(suspect.person.identity_id, EARLIER + 1) if suspect else ()


def _earlier(case: Case, found: Sequence[Case], outcomes: Mapping[str, DecisionMade]) -> list[EarlierCase]:
    """The other cases, with how they ended."""
    return [EarlierCase(one, outcomes.get(one.id)) for one in found if one.id != case.id][:EARLIER]


def _holder(desk: Desk, case: Case, moderator: Moderator) -> str | None:
    """For leads, the name of who else works on the case."""
    held = case.state == "open" and case.claimed_until is not None and case.claimed_until > desk.clock()
    if moderator.role != "lead" or not held or case.claimed_by in (None, moderator.id):
        return None
    return desk.moderators.get(str(case.claimed_by)).name


def _prepare_next(desk: Desk, faces: CaseFaces, moderator: Moderator, queue: str | None) -> None:
    """Makes the faces of the case that comes next ready in memory; it stays free until it is claimed."""
    if (case := desk.claims.peek(moderator.id, moderator.role, queue)) is not None:
        faces.prepare(case, view_case(case, desk.cases.names))
