"""Enrolment for the console's pages: photos are looked at in worker processes, the gallery is mirrored on demand."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from config import Settings
from consumers.gallery_mirror import GalleryMirror
from consumers.open_detector import open_matcher
from detector.calibration import CalibrationUnfit
from detector.enrolment import Candidate, Compared, EnrolmentRefused, Judged, compare
from detector.index import GalleryIndex
from detector.looking import InProcesses, rejected
from detector.policy import NoThreshold
from detector.worker_pool import WorkerCrashed, WorkerTimeout
from likeness.enrolling import enrolment_limits, store
from records.errors import RecordsError
from records.gallery import GalleryRecords
from records.references import Person

log = logging.getLogger("likeness.console")


class ConsoleEnrolling:
    """web.enrolling.Enrols. Close it before `looking`."""

    def __init__(self, settings: Settings, looking: InProcesses, records: GalleryRecords) -> None:
        """Raises NoThreshold, CalibrationUnfit."""
        self._looking = looking
        self._records = records
        self._limits = enrolment_limits(settings)
        facts = looking.facts
        self._pack = facts.pack
        self._matcher = open_matcher(settings, facts)
        self._mirror = GalleryMirror(records, lambda: GalleryIndex(facts.pack, facts.dimension))

    def close(self) -> None:
        self._mirror.drop()
        self._matcher.close()

    def prepare(self) -> None:
        if not self._mirror.loaded:
            threading.Thread(target=self._load, name="gallery-mirror", daemon=True).start()

    def judge(self, photos: Sequence[bytes]) -> list[list[Judged]]:
        return [_judged(looked) for looked in [self._looking.judge(photo, self._limits) for photo in photos]]

    def compare(self, faces: Sequence[Candidate], identity_id: str | None) -> list[Compared]:
        index = self._mirror.index()
        return compare(faces, identity_id, index, self._matcher.policy.at(index.comparisons).review)

    def store(self, person: Person, identity_id: str | None, faces: Sequence[Candidate], by: str) -> str:
        return store(self._records, person, identity_id, faces, self._pack, by)

    def _load(self) -> None:
        try:
            self._mirror.index()
        except RecordsError as error:  # who adds a photo will be told
            log.warning("The gallery could not be read for comparison: %s", error)


def open_enrolling(settings: Settings, looking: InProcesses, records: GalleryRecords) -> ConsoleEnrolling | None:
    """None where no threshold holds for the model pack: nothing can be said about who a face is nearer to."""
    try:
        return ConsoleEnrolling(settings, looking, records)
    except (NoThreshold, CalibrationUnfit) as error:
        log.warning("Photos cannot be added to the gallery in the console: %s", error)
        return None


def _judged(looked: "Future[list[Judged]]") -> list[Judged]:
    try:
        return looked.result()
    except (WorkerCrashed, WorkerTimeout) as error:
        why = rejected(error)
        return [EnrolmentRefused(why.reason if why else "worker_crashed", str(error))]
    except MemoryError:
        return [EnrolmentRefused("out_of_memory", "Looking at the photo takes more memory than a worker may have.")]
