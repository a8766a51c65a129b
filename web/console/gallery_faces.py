"""The faces of references for who looks after the gallery: cut out anew each time, and each first look told apart."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from detector.enrolment import Candidate
from detector.verdict import Box
from records.gallery import GalleryRecords
from records.references import ReferenceDetail
from web.console.case_faces import size_of
from web.console.face_crops import FacePlace, face_crop
from web.console.turns import Turns

SEEN_AGAIN = timedelta(minutes=15)
"""After this time another look at the same photo is a new one."""


class PhotoViews:
    """Who was shown what lately; safe to share among threads. `clock` gives the moment, aware."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = Turns()
        self._seen: dict[tuple[str, str], datetime] = {}

    @contextmanager
    def first(self, moderator_id: str, reference_id: str) -> Iterator[bool]:
        """Gives whether the person has not been shown the photo within SEEN_AGAIN; the block notes it.

        It counts as shown once the block has ended well; who asks for it at the same time waits until then.
        """
        view = (moderator_id, reference_id)
        with self._turns.of(view):
            now = self._clock()
            with self._lock:
                self._seen = {one: at for one, at in self._seen.items() if now - at < SEEN_AGAIN}
                first = view not in self._seen
            yield first
            if first:
                with self._lock:
                    self._seen[view] = now


def reference_face(gallery: GalleryRecords, detail: ReferenceDetail) -> bytes:
    """The face of a reference, as a JPEG. Raises UnknownReference."""
    photo = gallery.reference_photo(detail.id)
    assert detail.face_box is not None, "of a photo that stayed with the person there is no copy"
    return photo_face(photo, detail.face_box, detail.width)


def photo_face(jpeg: bytes, face_box: Box, width: int) -> bytes:
    """The face of a copy of a photo that is `width` pixels wide itself, where the face lies in `face_box`."""
    return face_crop(jpeg, _scaled(FacePlace(face_box), size_of(jpeg)[0] / width))


def candidate_face(candidate: Candidate) -> bytes:
    """The face of a photo that may become a reference, as a JPEG."""
    place = FacePlace(candidate.face.box, candidate.face.landmarks)
    return face_crop(candidate.jpeg, _scaled(place, size_of(candidate.jpeg)[0] / candidate.width))


def _scaled(place: FacePlace, scale: float) -> FacePlace:
    x, y, width, height = place.box
    landmarks = place.landmarks and tuple((scale * px, scale * py) for px, py in place.landmarks)
    return replace(place, box=(scale * x, scale * y, scale * width, scale * height), landmarks=landmarks)
