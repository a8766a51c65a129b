"""What is done with an identity: suspend, release, reach, own accounts, its references, and erase it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from records.errors import UnfitId
from records.people.web_sessions import Session
from web.desk import Desk
from web.pages.identity import reference_of
from web.security import DeskOf, signed_in

router = APIRouter(prefix="/identity/{identity_id}")
Curator = Annotated[Session, Depends(signed_in("curator"))]
Guard = Annotated[Session, Depends(signed_in("curator", "lead"))]
"""Who may stop an identity's cases from coming, and let them come again."""
Account = Annotated[str, Form(max_length=1000)]


@router.post("/suspend")
def suspend(desk: DeskOf, session: Guard, identity_id: str) -> Response:
    desk.gallery.set_suspended(identity_id, True, by=session.moderator.id)
    return _back(identity_id, "done=suspended")


@router.post("/resume")
def resume(desk: DeskOf, session: Guard, identity_id: str) -> Response:
    desk.gallery.set_suspended(identity_id, False, by=session.moderator.id)
    return _back(identity_id, "done=resumed")


@router.post("/release")
def release(desk: DeskOf, session: Guard, identity_id: str) -> Response:
    desk.taught.lift_quarantine(identity_id, by=session.moderator.id)
    return _back(identity_id, "done=released")


@router.post("/reach")
def set_reach(desk: DeskOf, session: Curator, identity_id: str, reach: Annotated[int, Form(ge=1, le=5)]) -> Response:
    desk.gallery.set_reach(identity_id, reach, by=session.moderator.id)
    return _back(identity_id, "done=reach")


@router.post("/accounts")
def add_account(desk: DeskOf, session: Curator, identity_id: str, account: Account) -> Response:
    try:
        desk.gallery.add_own_account(identity_id, account.strip(), by=session.moderator.id)
    except UnfitId:
        return _back(identity_id, "wrong=account")
    return _back(identity_id, "done=account_added")


@router.post("/accounts/remove")
def remove_account(desk: DeskOf, session: Curator, identity_id: str, account: Account) -> Response:
    desk.gallery.remove_own_account(identity_id, account, by=session.moderator.id)
    return _back(identity_id, "done=account_removed")


@router.post("/reference/{reference_id}/suspend")
def suspend_reference(desk: DeskOf, session: Curator, identity_id: str, reference_id: str) -> Response:
    _check(desk, identity_id, reference_id)
    desk.gallery.suspend_reference(reference_id, True, by=session.moderator.id)
    return _back(identity_id, "done=reference_suspended")


@router.post("/reference/{reference_id}/resume")
def resume_reference(desk: DeskOf, session: Curator, identity_id: str, reference_id: str) -> Response:
    _check(desk, identity_id, reference_id)
    desk.gallery.suspend_reference(reference_id, False, by=session.moderator.id)
    return _back(identity_id, "done=reference_resumed")


@router.post("/reference/{reference_id}/remove")
def remove_reference(desk: DeskOf, session: Curator, identity_id: str, reference_id: str) -> Response:
    _check(desk, identity_id, reference_id)
    desk.gallery.remove_reference(reference_id, by=session.moderator.id)
    return _back(identity_id, "done=reference_removed")


@router.post("/erase")
def erase(
    desk: DeskOf, session: Curator, identity_id: str, name: Annotated[str, Form(max_length=1000)] = ""
) -> Response:
    """`name`: the identity's, typed once more."""
    if name.strip() != desk.gallery.show(identity_id).name.strip():
        return _back(identity_id, "wrong=name#erase")
    desk.erasure.remove_identity(identity_id, session.moderator.id)
    return RedirectResponse("/identities?erased=true", 303)


def _check(desk: Desk, identity_id: str, reference_id: str) -> None:
    """Raises UnknownIdentity, UnknownReference: the form may come from an older page."""
    reference_of(desk.gallery.show(identity_id), reference_id)


def _back(identity_id: str, said: str) -> Response:
    return RedirectResponse(f"/identity/{identity_id}?{said}", 303)
