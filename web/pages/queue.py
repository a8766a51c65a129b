"""The queues: what waits, how long, who works on it; where a shift begins, and one's own latest decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from records.casework.case_decisions import CaseDecisions, DecisionMade
from web.console.campaign_view import cards
from web.console.casework import Worker
from web.rendering import render
from web.security import DeskOf

router = APIRouter()
RECENT = 10
READ = (2 * RECENT, 20 * RECENT)
"""Decisions that are read for RECENT lines, the more when the fewer are not enough: those on a campaign are one."""
CAMPAIGNS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """What was decided at once: on one case, or on `count` cases of a campaign. `made`: the newest of them."""

    made: DecisionMade
    count: int = 1

    @property
    def undo_path(self) -> str:
        return f"/batch/{self.made.batch_id}/undo" if self.made.batch_id else f"/decision/{self.made.id}/undo"


@router.get("/queue")
def queue_page(
    request: Request,
    desk: DeskOf,
    session: Worker,
    after: str = "",
    batch: str = "",
    left: Annotated[int, Query(ge=0, lt=10**9)] = 0,
    empty: str = "",
) -> Response:
    """`after`, `batch`: the decision, or the decisions, that led here; `left`: cases of that campaign which were not
    decided; `empty`: the queue in which nothing was left, or all."""
    moderator = session.moderator
    counts = desk.counts.of_role(moderator.role)
    recent = latest_lines(desk.decisions, moderator.id)
    campaigns = cards(desk, moderator)
    return render(
        request,
        "queue.html",
        counts=counts,
        due_of={one.queue: one.oldest and one.oldest + timedelta(minutes=one.target_minutes) for one in counts},
        recent=recent,
        undo=next((one for one in recent if one.made.undo_until and _led_here(one.made, after, batch)), None),
        left=left,
        campaigns=campaigns[:CAMPAIGNS],
        more_campaigns=len(campaigns) > CAMPAIGNS,
        tests=desk.golden.told(moderator.id, [one.made.case_id for one in recent]),
        empty=empty,
        worked_here=not desk.settings.coop.only,
        now=desk.clock(),
    )


def latest_lines(decisions: CaseDecisions, moderator_id: str) -> list[Line]:
    """The person's RECENT latest ones, newest first, without what they took back."""
    lines: list[Line] = []
    for most in READ:
        made = decisions.recent(moderator_id, most)
        lines = _lines([one for one in made if one.state != "undone"])
        if len(lines) > RECENT or len(made) < most:  # one line more: the last one shown is counted whole
            break
    return lines[:RECENT]


def _lines(decisions: Sequence[DecisionMade]) -> list[Line]:
    """One for each, or for each batch, in the same order."""
    lines: dict[str, Line] = {}
    for made in decisions:
        key = made.batch_id or made.id
        known = lines.get(key)
        lines[key] = replace(known, count=known.count + 1) if known else Line(made)
    return list(lines.values())


def _led_here(made: DecisionMade, after: str, batch: str) -> bool:
    return made.id == after or (bool(batch) and made.batch_id == batch)
