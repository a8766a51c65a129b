"""Cursors: where a page of a list ended, as an opaque text that a program hands back for the next page."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime, Field

from records.casework.case_listing import Place
from web.api.problems import ApiProblem

Cursor = Annotated[str | None, Query(description="`next` of the page before.", max_length=200)]
FIRST, LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""What lies between them can be told in any time zone."""
Moment = Annotated[AwareDatetime, Field(ge=FIRST, lt=LAST)]
Limit = Annotated[int, Query(ge=1, le=200, description="Entries on a page.")]


def write_cursor(at: datetime, id_: str) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()} {id_}".encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> Place | None:
    """None without a cursor. Raises ApiProblem for one that we did not write."""
    if cursor is None:
        return None
    try:
        at, _, id_ = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(" ")
        moment = datetime.fromisoformat(at)
    except (ValueError, binascii.Error):
        moment, id_ = None, ""
    known = moment is not None and moment.tzinfo is not None and FIRST <= moment < LAST
    if moment is None or not known or not id_.isprintable():
        raise ApiProblem(422, "wrong_cursor", "The cursor is not one of ours; begin again without one.")
    return Place(moment, id_)
