"""The pictures of a report that is checked: for who works its lane; kept by no browser; each first look noted."""

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import Response

from records.errors import ReportErased
from records.people.web_sessions import Session
from records.references import ReferencePhoto
from records.reports.contents import Challenge
from web.console.face_crops import FacePlace, face_crop
from web.console.gallery_faces import PhotoViews, photo_face
from web.desk import Desk
from web.pages.report import ViewsOf
from web.pages.reports import Reviewer, report_for
from web.rendering import REPORTS
from web.security import DeskOf

router = APIRouter(prefix=f"{REPORTS}/{{report_id}}")


@router.get("/photo/{photo_id}/face.jpg")
def photo_face_jpg(desk: DeskOf, session: Reviewer, views: ViewsOf, report_id: str, photo_id: str) -> Response:
    photo = _photo(desk, session, report_id, photo_id)
    jpeg = photo_face(photo.photo_jpeg, photo.face_box, photo.width)
    return _seen(desk, session, views, report_id, photo_id, "photo", jpeg)


@router.get("/photo/{photo_id}/photo.jpg")
def photo_jpg(desk: DeskOf, session: Reviewer, views: ViewsOf, report_id: str, photo_id: str) -> Response:
    photo = _photo(desk, session, report_id, photo_id)
    return _seen(desk, session, views, report_id, photo_id, "photo", photo.photo_jpeg)


@router.get("/challenge/{photo_id}/face.jpg")
def challenge_face_jpg(desk: DeskOf, session: Reviewer, views: ViewsOf, report_id: str, photo_id: str) -> Response:
    challenge = _challenge(desk, session, report_id, photo_id)
    jpeg = face_crop(challenge.jpeg, FacePlace(challenge.face_box) if challenge.face_box else None)
    return _seen(desk, session, views, report_id, photo_id, "challenge", jpeg)


@router.get("/challenge/{photo_id}/photo.jpg")
def challenge_jpg(desk: DeskOf, session: Reviewer, views: ViewsOf, report_id: str, photo_id: str) -> Response:
    challenge = _challenge(desk, session, report_id, photo_id)
    return _seen(desk, session, views, report_id, photo_id, "challenge", challenge.jpeg)


def _photo(desk: Desk, session: Session, report_id: str, photo_id: str) -> ReferencePhoto:
    _check(desk, session, report_id)
    photo = desk.report_reading.photo(report_id, photo_id)
    if not isinstance(photo, ReferencePhoto):
        raise ReportErased(f"The photo {photo_id} stayed with the reporter.")
    return photo


def _challenge(desk: Desk, session: Session, report_id: str, photo_id: str) -> Challenge:
    _check(desk, session, report_id)
    return desk.report_reading.challenge(report_id, photo_id)


def _check(desk: Desk, session: Session, report_id: str) -> None:
    """Nobody is shown a face before they have said that they check the report, and the reporter can read so."""
    if report_for(desk, session, report_id).state != "checking":
        raise ReportErased(f"The report {report_id} is not being checked.")


def _seen(
    desk: Desk,
    session: Session,
    views: PhotoViews,
    report_id: str,
    photo_id: str,
    picture: Literal["photo", "challenge"],
    jpeg: bytes,
) -> Response:
    with views.first(session.moderator.id, photo_id) as first:
        if first:
            details = {"picture": picture, "photo_id": photo_id}
            desk.audit.append(session.moderator.id, "face_viewed", report_id, details)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})
