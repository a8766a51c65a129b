"""What the pages about cases have in common: who works them, whose case it is, and the faces in memory."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request

from records.casework.cases import Case
from records.casework.queues import QueueRule, offered_decisions, stages_of
from records.errors import RecordsError
from records.people.moderators import Moderator
from records.people.web_sessions import Session
from web.console.case_faces import CaseFaces
from web.desk import Desk
from web.languages import N_
from web.problems import Problem
from web.rendering import WORKERS
from web.security import DeskOf, one_of_process, signed_in

SKIP_REASONS = ("i_know_them", "distressing", "not_my_field", "other")
"""Why a case may be passed on; texts of templates/words.html."""

Worker = Annotated[Session, Depends(signed_in(*WORKERS))]
"""The session of somebody who works cases."""


def worked_here(desk: DeskOf) -> None:
    """Raises Problem when cases are worked in Coop alone."""
    if desk.settings.coop.only:
        raise Problem(
            409,
            "worked_in_coop",
            N_("Cases are worked in Coop"),
            N_("Every case goes to Coop, and is decided there. An administrator can change that in the settings."),
        )


WORKED_HERE = Depends(worked_here)


def faces_of(request: Request) -> CaseFaces:
    """The faces in memory, one for the whole process."""

    def made(desk: Desk) -> CaseFaces:
        keep = timedelta(seconds=desk.settings.console.lease_seconds)
        return CaseFaces(desk.cases, desk.gallery, keep=keep, clock=desk.clock)

    return one_of_process(request, "case_faces", made)


FacesOf = Annotated[CaseFaces, Depends(faces_of)]


def ahead(task: Callable[..., object], *arguments: object) -> None:
    """Does what only makes the next page quicker; what it cannot have now, that page asks for again."""
    with suppress(RecordsError):
        task(*arguments)


def holds(case: Case, moderator: Moderator) -> bool:
    """Whether the case is in their hands."""
    return case.state == "open" and case.claimed_by == moderator.id


def sees_faces(case: Case, moderator: Moderator) -> bool:
    """Whether they may be served its pictures: who holds it, and once it is decided, when nobody can, leads."""
    return holds(case, moderator) or (moderator.role == "lead" and case.state != "open")


def rule_of(desk: Desk, queue: str) -> QueueRule | None:
    """The rule of a queue; None when the settings no longer have it."""
    return next((QueueRule(**one.model_dump()) for one in desk.settings.console.queues if one.name == queue), None)


def may_decide(desk: Desk, case: Case, moderator: Moderator) -> tuple[str, ...]:
    """The decisions that the case's queue offers them, at its stage; none to whom it is not offered."""
    rule = rule_of(desk, case.queue)
    if rule is None or case.stage not in stages_of(rule, moderator.role):
        return ()
    return offered_decisions(rule, case.stage)


def case_path(case_id: str, **query: str | int | None) -> str:
    """A case's page; what is None, empty or 0 is left out of the query."""
    return with_query(f"/case/{case_id}", query)


def with_query(path: str, query: Mapping[str, str | int | None]) -> str:
    said = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(said)}" if said else path
