"""The pictures of a case: for who holds it, and for leads; kept by no browser; each first look in the audit log."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from records.casework.cases import Case
from records.errors import ClaimLost
from records.people.web_sessions import Session
from web.console.case_faces import CaseFaces, size_of
from web.console.case_view import view_case
from web.console.casework import FacesOf, Worker, sees_faces
from web.console.face_marks import face_marks
from web.desk import Desk
from web.languages import N_
from web.problems import Problem
from web.refusals import QUEUE
from web.security import DeskOf

router = APIRouter()
SVG = "image/svg+xml"
Number = Annotated[int, Query(ge=0)]


@router.get("/case/{case_id}/face.jpg")
def avatar_face(desk: DeskOf, session: Worker, faces: FacesOf, case_id: str, suspect: Number = 0) -> Response:
    case = _case(desk, session, case_id)
    face = faces.avatar_face(case, view_case(case, desk.cases.names).suspect(suspect))
    if face is None:
        raise _gone()
    return _seen(desk, session, faces, case, {"picture": "avatar"}, face)


@router.get("/case/{case_id}/avatar.jpg")
def avatar(desk: DeskOf, session: Worker, faces: FacesOf, case_id: str) -> Response:
    case = _case(desk, session, case_id)
    picture = faces.picture(case)
    if picture is None:
        raise _gone()
    return _seen(desk, session, faces, case, {"picture": "avatar"}, picture.jpeg)


@router.get("/case/{case_id}/avatar.svg")
def avatar_marks(desk: DeskOf, session: Worker, faces: FacesOf, case_id: str, suspect: Number = 0) -> Response:
    case = _case(desk, session, case_id)
    picture = faces.picture(case)
    if picture is None:
        raise _gone()
    view = view_case(case, desk.cases.names)
    return _picture(faces.avatar_marks(case, picture, view, view.suspect(suspect)), SVG)


@router.get("/case/{case_id}/reference/{reference_id}/face.jpg")
def reference_face(desk: DeskOf, session: Worker, faces: FacesOf, case_id: str, reference_id: str) -> Response:
    case = _case(desk, session, case_id)
    face = faces.reference_face(case, reference_id)
    return _seen(desk, session, faces, case, {"picture": "reference", "reference_id": reference_id}, face)


@router.get("/case/{case_id}/reference/{reference_id}/photo.jpg")
def reference_photo(desk: DeskOf, session: Worker, faces: FacesOf, case_id: str, reference_id: str) -> Response:
    case = _case(desk, session, case_id)
    photo, _ = faces.reference_photo(case, reference_id)
    return _seen(desk, session, faces, case, {"picture": "reference", "reference_id": reference_id}, photo)


@router.get("/case/{case_id}/reference/{reference_id}/photo.svg")
def reference_marks(desk: DeskOf, session: Worker, faces: FacesOf, case_id: str, reference_id: str) -> Response:
    photo, place = faces.reference_photo(_case(desk, session, case_id), reference_id)
    return _picture(face_marks(*size_of(photo), place), SVG)


def _case(desk: Desk, session: Session, case_id: str) -> Case:
    case = desk.cases.get(case_id)
    if not sees_faces(case, session.moderator):
        raise ClaimLost("The case is not in the hands of who asks for its pictures.")
    return case


def _seen(desk: Desk, session: Session, faces: CaseFaces, case: Case, what: dict[str, str], jpeg: bytes) -> Response:
    with faces.first_view(case.id, session.moderator.id, " ".join(what.values())) as first:
        if first:
            # not which photo of the person: after an erasure it would tell whom a case of their own account was about
            desk.audit.append(session.moderator.id, "face_viewed", case.id, {"picture": what["picture"]})
    return _picture(jpeg, "image/jpeg")


def _picture(content: bytes, kind: str) -> Response:
    return Response(content, media_type=kind, headers={"Cache-Control": "private, no-store"})


def _gone() -> Problem:
    return Problem(
        410,
        "picture_gone",
        N_("This picture has been erased"),
        N_("Pictures are kept for a limited time. The case itself is still there: decide on what else is known."),
        QUEUE,
    )
