"""The pictures of cases that are worked on: kept in memory only, for as long as a claim lasts, and seen once a claim.

Making a face ready takes some ten milliseconds, so it is done once, and for the case that will come next while the
moderator looks at this one. Nothing leaves for a browser here; pages/pictures.py decides who may see it.
"""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from PIL import Image

from detector.verdict import Box
from records.casework.cases import Case, CasePicture, CaseRecords
from records.errors import UnknownIdentity, UnknownReference
from records.gallery import GalleryRecords
from records.references import IdentityDetail, ReferenceDetail
from web.console.case_view import CaseView, Suspect, identities
from web.console.face_crops import FacePlace, face_crop, nearest_face
from web.console.face_marks import face_marks
from web.console.turns import Turns

MOST_CASES = 128
"""Cases whose faces are kept ready at the same time; some 0.5 MB each."""


@dataclass(slots=True)
class _Kept:
    picture: CasePicture | None
    until: datetime
    crops: dict[str, bytes] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)


class CaseFaces:
    """Faces and pictures by case; safe to share among threads. `keep`: for how long after it was last asked for.

    Its methods may raise DatabaseAway, MasterKeyError and SealBroken.
    """

    def __init__(
        self, cases: CaseRecords, gallery: GalleryRecords, *, keep: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._cases = cases
        self._gallery = gallery
        self._keep = keep
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = Turns()

    def picture(self, case: Case) -> CasePicture | None:
        """The avatar and where faces lie; None once its retention has passed."""
        return self._of(case.id).picture

    def avatar_face(self, case: Case, suspect: Suspect | None) -> bytes | None:
        """The avatar's face that is like the suspect, as a JPEG; None without a picture."""
        kept = self._of(case.id)
        if (picture := kept.picture) is None:
            return None
        name = f"avatar {suspect.number if suspect else 0}"
        if name not in kept.crops:
            kept.crops[name] = face_crop(picture.jpeg, self.avatar_place(case, picture, suspect))
        return kept.crops[name]

    def avatar_place(self, case: Case, picture: CasePicture, suspect: Suspect | None) -> FacePlace | None:
        """Where that face lies in the avatar; None when nobody knows."""
        faces = [FacePlace.read(one) for one in picture.faces.get("avatar", [])]
        if suspect is None or suspect.face_box is None:
            return faces[0] if len(faces) == 1 else None
        box = _scaled(suspect.face_box, _scale(case, picture))
        return nearest_face(faces, box) or FacePlace(box)

    def avatar_marks(self, case: Case, picture: CasePicture, view: CaseView, suspect: Suspect | None) -> bytes:
        """Where that face and the foreign texts lie, as an SVG to lay over the avatar."""
        texts = [_scaled(mark.box, _scale(case, picture)) for mark in view.marks if mark.box]
        return face_marks(*size_of(picture.jpeg), self.avatar_place(case, picture, suspect), texts)

    def reference_face(self, case: Case, reference_id: str) -> bytes:
        """The face of a reference, as a JPEG. Raises UnknownReference when it is not, or no longer, of the case."""
        detail = self._detail(case, reference_id)
        kept = self._of(case.id)
        if reference_id not in kept.crops:
            photo = self._gallery.reference_photo(reference_id)
            kept.crops[reference_id] = face_crop(photo, self._reference_place(kept.picture, detail, photo))
        return kept.crops[reference_id]

    def reference_photo(self, case: Case, reference_id: str) -> tuple[bytes, FacePlace]:
        """A reference's whole photo, and where the face lies in it. Raises UnknownReference as above."""
        detail = self._detail(case, reference_id)
        photo = self._gallery.reference_photo(reference_id)
        return photo, self._reference_place(self._of(case.id).picture, detail, photo)

    def person(self, identity_id: str) -> IdentityDetail | None:
        """What the gallery has of an identity; None once it has been erased."""
        try:
            return self._gallery.show(identity_id)
        except UnknownIdentity:
            return None

    def prepare(self, case: Case, view: CaseView) -> None:
        """Makes ready what the case's page shows first."""
        suspect = view.suspect(0)
        self.avatar_face(case, suspect)
        if suspect is not None and suspect.reference_id is not None:
            try:
                self.reference_face(case, suspect.reference_id)
            except UnknownReference:
                return  # erased since; the page will say so

    @contextmanager
    def first_view(self, case_id: str, moderator_id: str, picture: str) -> Iterator[bool]:
        """Gives whether the person has not been served this picture since they claimed the case; the block notes it.

        It counts as served once the block has ended well; who asks for it at the same time waits until then.
        """
        with self._turns.of((case_id, moderator_id, picture)):
            kept = self._of(case_id)
            with self._lock:
                first = (moderator_id, picture) not in kept.seen
            yield first
            with self._lock:
                kept.seen.add((moderator_id, picture))

    def forget(self, case_id: str) -> None:
        """Drops the case's faces: the claim has ended."""
        with self._lock:
            self._kept.pop(case_id, None)

    def _of(self, case_id: str) -> _Kept:
        now = self._clock()
        with self._lock:
            for old in [name for name, kept in self._kept.items() if kept.until <= now]:
                del self._kept[old]
            if (kept := self._kept.get(case_id)) is not None:
                kept.until = now + self._keep
                self._kept.move_to_end(case_id)
                return kept
        picture = self._cases.picture(case_id)
        with self._lock:
            kept = self._kept.setdefault(case_id, _Kept(picture, now + self._keep))
            while len(self._kept) > MOST_CASES:
                self._kept.popitem(last=False)
        return kept

    def _detail(self, case: Case, reference_id: str) -> ReferenceDetail:
        """Asked anew each time: what was erased from the gallery is not shown from memory."""
        for identity_id in identities(case):
            person = self.person(identity_id)
            for reference in person.references if person else ():
                if reference.id == reference_id:
                    return reference
        raise UnknownReference(f"The case {case.id} has no reference {reference_id}; it may have been erased.")

    @staticmethod
    def _reference_place(picture: CasePicture | None, detail: ReferenceDetail, photo: bytes) -> FacePlace:
        stored = picture.faces.get("references", {}).get(detail.id) if picture else None
        if stored:
            return FacePlace.read(stored)
        assert detail.face_box is not None, "of a photo that stayed with the person there is no copy"
        return FacePlace(_scaled(detail.face_box, size_of(photo)[0] / detail.width))


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Width and height in pixels, as the header has them."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        return picture.size


def _scale(case: Case, picture: CasePicture) -> float:
    """How much smaller the avatar is stored than it was screened."""
    stored = size_of(picture.jpeg)[0]
    return float(stored / (case.evidence.get("picture_width") or stored))


def _scaled(box: Box, scale: float) -> Box:
    x, y, width, height = box
    return x * scale, y * scale, width * scale, height * scale
