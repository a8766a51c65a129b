"""Enrolment for the console's pages: photos are looked at in worker processes, the gallery is mirrored on demand."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from config import Settings
from consumers.gallery_mirror import GalleryMirror
from consumers.open_detector import open_matcher
from detector import resemblance as alike
from detector.calibration import Calibration, CalibrationUnfit
from detector.challenge import ChallengeSeen
from detector.enrolment import Candidate, Compared, EnrolmentRefused, Judged, choose, compare
from detector.index import GalleryIndex
from detector.looking import InProcesses, rejected
from detector.policy import NoThreshold
from detector.resemblance import Conflict, Resemblance
from detector.searchable import SearchableGallery
from detector.worker_pool import WorkerCrashed, WorkerTimeout
from likeness.enrolling import enrolment_limits, reference_photo, store
from records.errors import RecordsError
from records.gallery import GalleryRecords
from records.references import Person, PictureHash, ReferencePhoto
from records.reports.contents import Challenge
from records.reports.platform_intake import PhotoRefused

log = logging.getLogger("likeness.console")
SEVERAL = "More than one usable face is in the photo: crop it to the person, or send one of them alone."
Seen = TypeVar("Seen")


class Mirror(Protocol):
    """The gallery as it is now, loaded when it is asked for; see consumers/gallery_mirror.py."""

    def index(self) -> SearchableGallery: ...

    @property
    def loaded(self) -> bool: ...

    def drop(self) -> None: ...


class ConsoleEnrolling:
    """web.enrolling.Enrols. Close it before `looking`."""

    def __init__(
        self,
        settings: Settings,
        looking: InProcesses,
        records: GalleryRecords,
        make_mirror: Callable[[str, int], Mirror] | None = None,
    ) -> None:
        """`make_mirror`: of a pack and its dimension, in place of one in memory. Raises NoThreshold,
        CalibrationUnfit."""
        self._looking = looking
        self._records = records
        self._limits = enrolment_limits(settings)
        facts = looking.facts
        self._pack: str = facts.pack
        self._matcher = open_matcher(settings, facts)
        in_memory = GalleryMirror(records, lambda: GalleryIndex(facts.pack, facts.dimension))
        self._mirror: Mirror = make_mirror(facts.pack, facts.dimension) if make_mirror else in_memory

    def close(self) -> None:
        self._mirror.drop()
        self._matcher.close()

    @property
    def pack(self) -> str:
        return self._pack

    @property
    def calibration(self) -> Calibration | None:
        return self._matcher.policy.calibration

    def prepare(self) -> None:
        if not self._mirror.loaded:
            threading.Thread(target=self._load, name="gallery-mirror", daemon=True).start()

    def judge(self, photos: Sequence[bytes]) -> list[list[Judged]]:
        return [_judged(looked) for looked in [self._looking.judge(photo, self._limits) for photo in photos]]

    def reference(self, face: Candidate, provenance: str) -> ReferencePhoto:
        return reference_photo(face, provenance, self._pack)

    def look_at_challenge(self, photo: bytes, code: str) -> Challenge | EnrolmentRefused:
        seen = _ended(self._looking.challenge(photo, code, self._limits))
        if isinstance(seen, ChallengeSeen):
            return Challenge(seen.jpeg, code, seen.read, self._pack, seen.embedding, seen.face_box)
        return seen

    def resemblance(self, challenge: Challenge, photo: ReferencePhoto) -> Resemblance | None:
        embedding = photo.embeddings.get(self._pack)
        if challenge.pack != self._pack or challenge.embedding is None or embedding is None:
            return None
        return alike.resemblance(challenge.embedding, embedding, self._matcher.policy.at(1))  # one comparison

    def conflicts(self, photos: Sequence[ReferencePhoto | PictureHash]) -> list[Conflict]:
        index = self._mirror.index()
        return alike.conflicts(
            [_photo(one, self._pack) for one in photos], index, self._matcher.policy.at(index.comparisons)
        )

    def compare(self, faces: Sequence[Candidate], identity_id: str | None) -> list[Compared]:
        index = self._mirror.index()
        return compare(faces, identity_id, index, self._matcher.policy.at(index.comparisons).review)

    def store(self, person: Person, identity_id: str | None, faces: Sequence[Candidate], by: str) -> str:
        return store(self._records, person, identity_id, faces, self._pack, by)

    def reference_photos(self, photos: Sequence[bytes], provenance: str) -> list[ReferencePhoto | PhotoRefused]:
        return [self._reference(faces, provenance) for faces in self.judge(photos)]

    def challenge_photo(self, photo: bytes, code: str) -> Challenge | PhotoRefused:
        seen = self.look_at_challenge(photo, code)
        return PhotoRefused(seen.reason, seen.detail) if isinstance(seen, EnrolmentRefused) else seen

    def _reference(self, faces: Sequence[Judged], provenance: str) -> ReferencePhoto | PhotoRefused:
        try:
            return self.reference(choose(faces), provenance)
        except EnrolmentRefused as refused:
            several = refused.reason == "several_faces"
            return PhotoRefused(refused.reason, SEVERAL if several else refused.detail)

    def _load(self) -> None:
        try:
            self._mirror.index()
        except RecordsError as error:  # who adds a photo will be told
            log.warning("The gallery could not be read for comparison: %s", error)


def open_enrolling(
    settings: Settings,
    looking: InProcesses,
    records: GalleryRecords,
    make_mirror: Callable[[str, int], Mirror] | None = None,
) -> ConsoleEnrolling | None:
    """None where no threshold holds for the model pack: nothing can be said about who a face is nearer to."""
    try:
        return ConsoleEnrolling(settings, looking, records, make_mirror)
    except (NoThreshold, CalibrationUnfit) as error:
        log.warning("Photos cannot be added to the gallery in the console: %s", error)
        return None


def _judged(looked: "Future[list[Judged]]") -> list[Judged]:
    found = _ended(looked)
    return [found] if isinstance(found, EnrolmentRefused) else found


def _ended(looked: "Future[Seen]") -> Seen | EnrolmentRefused:
    """What came of it; a photo that ended its worker is refused."""
    try:
        return looked.result()
    except (WorkerCrashed, WorkerTimeout) as error:
        why = rejected(error)
        return EnrolmentRefused(why.reason if why else "worker_crashed", str(error))
    except MemoryError:
        return EnrolmentRefused("out_of_memory", "Looking at the photo takes more memory than a worker may have.")


def _photo(one: ReferencePhoto | PictureHash, pack: str) -> alike.Photo:
    if isinstance(one, PictureHash):
        return alike.Photo(one.pdq, one.quality, None)
    known = one.fingerprint
    embedding = one.embeddings.get(pack)
    return alike.Photo(known.picture if known else None, known.picture_quality if known else 0, embedding)
