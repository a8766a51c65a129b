"""Photos into the gallery: 1. a form and the photos  2. what each is worth, and the curator's last word  3. stored."""

import hashlib
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData, UploadFile

from detector.enrolment import Candidate
from detector.identity import DEFAULT_REACH
from detector.verdict import IdentityKind
from records.errors import AmbiguousName
from records.people.web_sessions import Session
from records.references import IdentitySummary, Person
from web.console.enrolment_tray import Tray, TrayPhoto, Trays
from web.console.gallery_faces import candidate_face
from web.desk import Desk
from web.enrolling import Enrols
from web.languages import N_
from web.pages.identity import ViewsOf
from web.problems import Problem, Way, not_found
from web.refusals import GALLERY
from web.rendering import render
from web.security import MOST_PHOTOS, UPLOAD_PATH, UPLOADERS, DeskOf, one_of_process, signed_in, upload_bytes

router = APIRouter()
Curator = Annotated[Session, Depends(signed_in(*UPLOADERS))]
LONGEST_NAME = 200
REACHES = ("1", "2", "3", "4", "5")


def enrols_of(desk: DeskOf) -> Enrols:
    if desk.enrols is None:
        raise Problem(
            503,
            "cannot_enrol",
            N_("Photos cannot be added here now"),
            N_("No threshold holds for the model pack in use. Tell whoever runs this console to set one in [policy]."),
            GALLERY,
        )
    return desk.enrols


def trays_of(request: Request) -> Trays:
    """The trays of all curators, for the whole process."""
    return one_of_process(request, "trays", lambda desk: Trays(desk.clock))


async def sent_of(request: Request) -> FormData:
    """The form as it came. Were its fields declared, it would be read before anybody asks whose it is, and so would be
    all that a stranger sends."""
    return await request.form()


EnrolsOf = Annotated[Enrols, Depends(enrols_of)]
TraysOf = Annotated[Trays, Depends(trays_of)]


@router.get("/identities/add")
def form(
    request: Request, desk: DeskOf, _: Curator, enrols: EnrolsOf, identity: Annotated[str, Query(max_length=100)] = ""
) -> Response:
    """`identity`: the id of whom more photos are added to."""
    enrols.prepare()
    return _form(request, desk, identity)


@router.post(UPLOAD_PATH)
def send(
    request: Request,
    desk: DeskOf,
    session: Curator,
    enrols: EnrolsOf,
    trays: TraysOf,
    sent: Annotated[FormData, Depends(sent_of)],
) -> Response:
    """Fields: `photos`; `identity`, or `name`, `kind`, `reach`, `accounts` (own ones, one a line) and, where somebody
    else may bear the same name, `another`; `provenance`."""
    fields = {name: value.strip() for name, value in sent.items() if isinstance(value, str)}
    photos = [photo for photo in sent.getlist("photos") if isinstance(photo, UploadFile) and photo.filename]
    name, provenance = fields.get("name", ""), fields.get("provenance", "")
    kind: IdentityKind = "victim" if fields.get("kind") == "victim" else "celebrity"
    reach = int(chosen) if (chosen := fields.get("reach", "")) in REACHES else DEFAULT_REACH
    accounts = fields.get("accounts", "")
    own = tuple(line.strip() for line in accounts.splitlines() if line.strip())
    identity = fields.get("identity", "")
    known = desk.gallery.show(identity) if identity else None
    namesakes = [] if known or fields.get("another") else _of_name(desk, name)
    wrong = _mistake(known is None, name, provenance, len(photos))
    if wrong or namesakes:
        typed: dict[str, str | int] = {
            "name": name,
            "kind": kind,
            "provenance": provenance,
            "reach": reach,
            "accounts": accounts,
        }
        return _form(request, desk, identity, 422, wrong=wrong, namesakes=namesakes, **typed)
    person = Person(known.name, known.kind, provenance) if known else Person(name, kind, provenance, own, reach)
    there = {reference.photo_sha256 for reference in known.references} if known else set()
    tray = Tray(person, known.id if known else None, _photos(enrols, desk, photos, there))
    _compare(enrols, tray)
    trays.put(session.moderator.id, tray)
    return RedirectResponse("/identities/tray", 303)


@router.get("/identities/tray")
def tray_page(request: Request, desk: DeskOf, session: Curator, trays: TraysOf, look: bool = False) -> Response:
    """`look`: nothing was added, since something is in doubt still."""
    tray = _tray(trays, session)
    enrolment = desk.settings.enrolment
    return render(request, "enrolment_tray.html", tray=tray, look=look, min_size=enrolment.min_size)


@router.get("/identities/tray/{number}/{face}.jpg")
def tray_face(desk: DeskOf, session: Curator, trays: TraysOf, views: ViewsOf, number: int, face: int) -> Response:
    tray = _tray(trays, session)
    candidate = dict(tray.photos[number].usable).get(face) if 0 <= number < len(tray.photos) else None
    if candidate is None:
        raise not_found()
    jpeg = candidate_face(candidate)
    with views.first(session.moderator.id, f"{tray.id}/{number}/{face}") as first:
        if first:
            details = {"picture": "upload", "photo": number + 1, "face": face + 1}
            desk.audit.append(session.moderator.id, "face_viewed", tray.identity_id or tray.id, details)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


@router.post("/identities/tray")
def add(
    session: Curator,
    enrols: EnrolsOf,
    desk: DeskOf,
    trays: TraysOf,
    fields: Annotated[FormData, Depends(sent_of)],
) -> Response:
    """Adds the photos whose face is chosen, all at once, unless one is nearer to somebody else and nobody is sure."""
    tray = trays.take(session.moderator.id, str(fields.get("tray", "")))
    if tray is None:
        raise _gone()
    identity_id = None
    try:
        _choose(tray, fields)
        _compare(enrols, tray)
        if tray.chosen and not any(photo.doubtful for photo in tray.photos):
            faces = [photo.candidate for photo in tray.chosen if photo.candidate]
            identity_id = enrols.store(tray.person, tray.identity_id, faces, session.moderator.id)
    finally:
        if identity_id is None:
            trays.put_back(session.moderator.id, tray)
    return RedirectResponse(f"/identity/{identity_id}?done=added" if identity_id else "/identities/tray?look=true", 303)


@router.post("/identities/tray/drop")
def drop(session: Curator, trays: TraysOf) -> Response:
    trays.drop(session.moderator.id)
    return RedirectResponse("/identities", 303)


def _form(
    request: Request,
    desk: Desk,
    identity_id: str,
    status: int = 200,
    *,
    wrong: str = "",
    namesakes: Sequence[IdentitySummary] = (),
    **typed: str | int,
) -> Response:
    blank = {"name": "", "kind": "celebrity", "provenance": "", "reach": DEFAULT_REACH, "accounts": ""}
    return render(
        request,
        "enrolment.html",
        status,
        known=desk.gallery.show(identity_id) if identity_id else None,
        wrong=wrong,
        namesakes=namesakes,
        most=MOST_PHOTOS,
        megabytes=upload_bytes(desk.settings) // 1_000_000,
        min_size=desk.settings.enrolment.min_size,
        **blank | typed,
    )


def _of_name(desk: Desk, name: str) -> list[IdentitySummary]:
    """Who bears exactly this name already."""
    try:
        found = desk.gallery.find_identity(name) if name else None
    except AmbiguousName:
        return [one for one in desk.gallery_pages.page(name).identities if one.name == name]
    return [found] if found else []


def _mistake(new: bool, name: str, provenance: str, count: int) -> str:
    """What is wrong with a form, as a text of the catalogue; "" if nothing is."""
    if new and not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
        return N_("A name is missing, or is longer than 200 characters.")
    if not provenance:
        return N_("Say where the photos come from, and by what right they are used.")
    if not 0 < count <= MOST_PHOTOS:
        return N_("Choose 1 to 20 photos.")
    return ""


def _photos(enrols: Enrols, desk: Desk, given: Sequence[UploadFile], there: set[str]) -> list[TrayPhoto]:
    """The photos, judged; a face is chosen already where there is one only."""
    most = desk.settings.pictures.max_bytes
    contents = [photo.file.read(most + 1) for photo in given]
    photos = []
    for sent, content, faces in zip(given, contents, enrols.judge(contents), strict=True):
        photo = TrayPhoto((sent.filename or "")[:100], faces)
        digest = hashlib.sha256(content).hexdigest()
        photo.known = digest in there
        there.add(digest)
        if len(photo.usable) == 1 and not photo.known:
            photo.chosen = photo.usable[0][0]
        photos.append(photo)
    return photos


def _compare(enrols: Enrols, tray: Tray) -> None:
    chosen: list[tuple[TrayPhoto, Candidate]] = [(one, one.candidate) for one in tray.photos if one.candidate]
    compared = enrols.compare([candidate for _, candidate in chosen], tray.identity_id) if chosen else []
    for photo in tray.photos:
        photo.compared = None
    for (photo, _), found in zip(chosen, compared, strict=True):
        photo.compared = found


def _choose(tray: Tray, fields: FormData) -> None:
    """Which face of each photo is theirs, and what somebody is sure of, as the form says."""
    for number, photo in enumerate(tray.photos):
        chosen, sure_of = fields.get(f"face_{number}"), fields.get(f"sure_{number}")
        photo.chosen = next((face for face, _ in photo.usable if str(face) == chosen and not photo.known), None)
        photo.sure_of = sure_of if isinstance(sure_of, str) else None


def _tray(trays: Trays, session: Session) -> Tray:
    tray = trays.get(session.moderator.id)
    if tray is None:
        raise _gone()
    return tray


def _gone() -> Problem:
    return Problem(
        410,
        "photos_gone",
        N_("These photos are not here any more"),
        N_("Photos wait a quarter of an hour for your last word, or until they are added. Choose them again."),
        Way(N_("Choose photos"), "/identities/add"),
    )
