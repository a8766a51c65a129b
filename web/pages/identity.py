"""One identity: facts, own accounts, references and what they led to, what was changed, and its latest cases."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from records.audit import AuditEntry, AuditFilter
from records.errors import UnknownReference
from records.people.web_sessions import Session
from records.references import IdentityDetail, ReferenceDetail
from web.console.audit_words import ACTORS
from web.console.gallery_faces import PhotoViews, reference_face
from web.desk import Desk
from web.languages import N_
from web.pages.identities import Reader
from web.rendering import render
from web.security import DeskOf, one_of_process, signed_in

router = APIRouter()
Beholder = Annotated[Session, Depends(signed_in("curator", "lead"))]
"""Who is shown the photos."""

LATEST = 10
"""Cases and changes that are shown."""
DONE: Mapping[str, str] = {
    "added": N_("The photos are in the gallery. Uploads are compared with them within seconds."),
    "suspended": N_("Nothing is found for this person any more, within seconds."),
    "resumed": N_("Uploads are compared with this person again, within seconds."),
    "released": N_("The quarantine has ended: new cases of this person go to their queues again."),
    "reach": N_("The reach is changed; it counts for new cases."),
    "account_added": N_("The account is theirs: it is never flagged for this person."),
    "account_removed": N_("The account is no longer theirs."),
    "reference_suspended": N_("Nothing is compared with this photo any more, within seconds."),
    "reference_resumed": N_("Uploads are compared with this photo again, within seconds."),
    "reference_removed": N_("The photo and all that was made of it are erased."),
}
WRONG: Mapping[str, str] = {
    "name": N_("Nothing was erased: what you typed is not this person’s name."),
    "account": N_("Nothing was changed: an account’s id has 1 to 256 characters, and no blanks at its ends."),
}


def views_of(request: Request) -> PhotoViews:
    """Who was shown which photo, for the whole process."""
    return one_of_process(request, "photo_views", lambda desk: PhotoViews(desk.clock))


ViewsOf = Annotated[PhotoViews, Depends(views_of)]


@router.get("/identity/{identity_id}")
def identity_page(
    request: Request,
    desk: DeskOf,
    session: Reader,
    identity_id: str,
    done: str = "",
    wrong: str = "",
    clear: bool = False,
) -> Response:
    role = session.moderator.role
    return render(
        request,
        "identity.html",
        one=desk.gallery.show(identity_id),
        led=desk.gallery_pages.led_by_references(identity_id),
        cases=desk.cases.of_identity(identity_id, LATEST),
        look_backs=desk.look_backs.of_identity(identity_id),
        changes=_changes(desk, identity_id),
        actors=desk.moderators.names(),
        nobody=ACTORS,
        note=DONE.get(done, ""),
        wrong=WRONG.get(wrong, ""),
        clear=clear,
        curator=role == "curator",
        sees=role in ("curator", "lead"),
    )


@router.get("/identity/{identity_id}/reference/{reference_id}/face.jpg")
def face(desk: DeskOf, session: Beholder, views: ViewsOf, identity_id: str, reference_id: str) -> Response:
    jpeg = reference_face(desk.gallery, reference_of(desk.gallery.show(identity_id), reference_id))
    return _seen(desk, session, views, identity_id, reference_id, jpeg)


@router.get("/identity/{identity_id}/reference/{reference_id}/photo.jpg")
def photo(desk: DeskOf, session: Beholder, views: ViewsOf, identity_id: str, reference_id: str) -> Response:
    reference_of(desk.gallery.show(identity_id), reference_id)
    return _seen(desk, session, views, identity_id, reference_id, desk.gallery.reference_photo(reference_id))


def reference_of(identity: IdentityDetail, reference_id: str) -> ReferenceDetail:
    """Raises UnknownReference when it is not the identity's."""
    for reference in identity.references:
        if reference.id == reference_id:
            return reference
    raise UnknownReference(f"{identity.id} has no reference {reference_id}.")


def _seen(
    desk: Desk, session: Session, views: PhotoViews, identity_id: str, reference_id: str, jpeg: bytes
) -> Response:
    with views.first(session.moderator.id, reference_id) as first:
        if first:
            details = {"picture": "reference", "reference_id": reference_id}
            desk.audit.append(session.moderator.id, "face_viewed", identity_id, details)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


def _changes(desk: Desk, identity_id: str) -> list[AuditEntry]:
    """The latest changes, newest first; views, which are many more, are left out."""
    kinds = ("identity_added", "identity_changed")
    found = [one for kind in kinds for one in desk.audit.find(AuditFilter(identity_id, action=kind), limit=LATEST)]
    return sorted(found, key=lambda one: -one.number)[:LATEST]
