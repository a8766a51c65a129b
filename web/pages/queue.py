"""The queues: what waits, how long, who works on it; where a shift begins, and one's own latest decisions."""

from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from web.console.casework import Worker
from web.rendering import render
from web.security import DeskOf

router = APIRouter()
RECENT = 10


@router.get("/queue")
def queue_page(request: Request, desk: DeskOf, session: Worker, after: str = "", empty: str = "") -> Response:
    """`after`: the decision that led here; `empty`: the queue in which nothing was left, or all."""
    moderator = session.moderator
    counts = desk.claims.counts(moderator.role)
    recent = [made for made in desk.decisions.recent(moderator.id, RECENT) if made.state != "undone"]
    return render(
        request,
        "queue.html",
        counts=counts,
        due_of={one.queue: one.oldest and one.oldest + timedelta(minutes=one.target_minutes) for one in counts},
        recent=recent,
        undo=next((made for made in recent if made.id == after and made.undo_until), None),
        empty=empty,
        now=desk.clock(),
    )
