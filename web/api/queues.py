"""The queues, and what waits in them."""

from dataclasses import asdict

from fastapi import APIRouter

from web.api.access import Reader
from web.api.shapes import QueueState
from web.security import DeskOf

router = APIRouter(tags=["cases"])


@router.get("/queues", operation_id="listQueues", summary="List queues")
def list_queues(desk: DeskOf, _token: Reader) -> list[QueueState]:
    """All queues, in the order in which they take cases. Scope: `cases:read`."""
    return [QueueState(**asdict(count)) for count in desk.counts.of_all()]
