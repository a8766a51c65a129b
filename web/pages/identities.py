"""The gallery: who is in it, found by name or id, with how much each of them gave people to look at."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from records.people.web_sessions import Session
from web.console.casework import with_query
from web.rendering import GALLERY_READERS, render
from web.security import DeskOf, signed_in

router = APIRouter()
Reader = Annotated[Session, Depends(signed_in(*GALLERY_READERS))]


@router.get("/identities")
def identities(
    request: Request,
    desk: DeskOf,
    session: Reader,
    q: Annotated[str, Query(max_length=200)] = "",
    kind: Literal["", "celebrity", "victim"] = "",
    state: Literal["", "active", "suspended", "quarantined"] = "",
    name: Annotated[str, Query(max_length=1000)] = "",
    last: Annotated[str, Query(max_length=100)] = "",
    erased: bool = False,
) -> Response:
    """`name` and `last`: name and id of the identity that the page goes on after."""
    text = q.strip()
    page = desk.gallery_pages.page(text, kind or None, state or None, (name, last) if last else None)
    asked: dict[str, Any] = {"q": text, "kind": kind, "state": state}
    following = page.following and with_query(
        "/identities", asked | {"name": page.following[0], "last": page.following[1]}
    )
    return render(
        request,
        "identities.html",
        identities=page.identities,
        led=desk.gallery_pages.led_by_identities([one.id for one in page.identities]),
        following=following,
        first=with_query("/identities", asked) if last else None,
        **asked,
        curator=session.moderator.role == "curator",
        erased=erased,
    )
