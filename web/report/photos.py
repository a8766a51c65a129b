"""The photos of a report: each is looked at when it comes, and told at once whether it will do."""

import uuid
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData, UploadFile

from detector.enrolment import Candidate, EnrolmentRefused
from records.references import ReferencePhoto
from records.reports.drafts import Draft, DraftPhoto
from web.console.case_faces import size_of
from web.console.face_crops import FacePlace, face_crop
from web.desk import Desk
from web.enrolling import Enrols
from web.languages import N_
from web.problems import Problem, not_found
from web.report.forms import sent_of, text_in
from web.report.limits import Looks, address_of, looks_of
from web.report.steps import BEGIN, PHOTOS, Writing, at, step_page
from web.security import DeskOf

router = APIRouter()
MOST_PHOTOS = 5
MOST_REFUSED = 5
"""Cards of photos that will not do: older ones go."""
MOST_FACES = 6
"""Of one photo, the largest of those that are good enough."""
PROVENANCE = "Report of the person shown"
HereOf = Annotated[Writing, Depends(at(PHOTOS))]
SentOf = Annotated[FormData, Depends(sent_of)]
LooksOf = Annotated[Looks, Depends(looks_of)]


def enrols_of(desk: DeskOf) -> Enrols:
    if desk.enrols is None:
        raise Problem(
            503,
            "cannot_look",
            N_("Photos cannot be taken in now"),
            N_("This is our fault, and not yours. Come back later, or keep your photos on your device and report so."),
            BEGIN,
        )
    return desk.enrols


EnrolsOf = Annotated[Enrols, Depends(enrols_of)]


@router.get(PHOTOS.path)
def page(request: Request, desk: DeskOf, here: HereOf) -> Response:
    return _page(request, desk, here.draft)


@router.post(PHOTOS.path)
def add(request: Request, desk: DeskOf, here: HereOf, enrols: EnrolsOf, looks: LooksOf, sent: SentOf) -> Response:
    """Field: `photo`, one file."""
    photo = sent.get("photo")
    if not isinstance(photo, UploadFile) or not photo.filename:
        return _page(request, desk, here.draft, 422, N_("Choose a photo first."))
    if len(_good(here.draft)) >= MOST_PHOTOS:
        return _page(request, desk, here.draft, 422, N_("Five photos are enough. Remove one to add another."))
    content = photo.file.read(desk.settings.pictures.max_bytes + 1)
    with looks.turn(address_of(request)):
        looked = looked_at(enrols, content, photo.filename[-100:])
    here.keep(desk, lambda draft: _with(draft, looked))
    return RedirectResponse(PHOTOS.path, 303)


@router.post(f"{PHOTOS.path}/remove")
def remove(desk: DeskOf, here: HereOf, sent: SentOf) -> Response:
    """Field: `photo`, its id."""
    gone = text_in(sent, "photo")
    here.keep(desk, lambda draft: replace(draft, photos=tuple(one for one in draft.photos if one.id != gone)))
    return RedirectResponse(PHOTOS.path, 303)


@router.post(f"{PHOTOS.path}/choose")
def choose(desk: DeskOf, here: HereOf, sent: SentOf) -> Response:
    """Fields: `photo`, its id; `face`, the number of the face that is theirs."""
    chosen, face = text_in(sent, "photo"), text_in(sent, "face")

    def with_choice(photo: DraftPhoto) -> DraftPhoto:
        numbers = {str(number): number for number in range(len(photo.faces))}
        return replace(photo, chosen=numbers.get(face)) if photo.id == chosen else photo

    here.keep(desk, lambda draft: replace(draft, photos=tuple(map(with_choice, draft.photos))))
    return RedirectResponse(PHOTOS.path, 303)


@router.get(f"{PHOTOS.path}/{{photo_id}}/{{face}}.jpg")
def face_image(here: HereOf, photo_id: str, face: int) -> Response:
    """One face of a photo that they have sent themselves."""
    faces = next((one.faces for one in here.draft.photos if one.id == photo_id), ())
    if not 0 <= face < len(faces):
        raise not_found()
    return Response(_crop(faces[face]), media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


def looked_at(enrols: Enrols, content: bytes, name: str) -> DraftPhoto:
    """The photo with the faces that are good enough, or why there is none. The bytes may be hostile."""
    (judged,) = enrols.judge([content])
    good = [face for face in judged if isinstance(face, Candidate)][:MOST_FACES]
    if not good:
        why = next(face.reason for face in judged if isinstance(face, EnrolmentRefused))
        return DraftPhoto(_new_id(), name, refused=why)
    faces = tuple(enrols.reference(face, PROVENANCE) for face in good)
    return DraftPhoto(_new_id(), name, faces, 0 if len(faces) == 1 else None)


def _with(draft: Draft, photo: DraftPhoto) -> Draft:
    """The draft with one photo more, unless it has that one, or enough, already."""
    good = _good(draft)
    if photo.faces and photo.faces[0].photo_sha256 in {one.faces[0].photo_sha256 for one in good}:
        photo = DraftPhoto(photo.id, photo.name, refused="same_photo")
    if photo.faces and len(good) >= MOST_PHOTOS:
        return draft
    refused = [one.id for one in (*draft.photos, photo) if one.refused][-MOST_REFUSED:]
    kept = tuple(one for one in (*draft.photos, photo) if not one.refused or one.id in refused)
    return replace(draft, photos=kept)


def _good(draft: Draft) -> list[DraftPhoto]:
    return [one for one in draft.photos if one.refused is None]


def _page(request: Request, desk: Desk, draft: Draft, status: int = 200, wrong: str = "") -> Response:
    return step_page(
        request,
        "report_photos.html",
        PHOTOS,
        draft,
        status,
        wrong=wrong,
        most=MOST_PHOTOS,
        full=len(_good(draft)) >= MOST_PHOTOS,
        undecided=any(one.chosen is None for one in _good(draft)),
        min_size=desk.settings.enrolment.min_size,
        megabytes=desk.settings.pictures.max_bytes // 1_000_000,
    )


def _crop(photo: ReferencePhoto) -> bytes:
    """The face alone, as a JPEG."""
    x, y, width, height = photo.face_box
    scale = size_of(photo.photo_jpeg)[0] / photo.width
    return face_crop(photo.photo_jpeg, FacePlace((scale * x, scale * y, scale * width, scale * height)))


def _new_id() -> str:
    return uuid.uuid4().hex
