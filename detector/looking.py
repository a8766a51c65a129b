"""Where pictures are looked at: in threads of this process, or in worker processes that can be ended.

Threads are for trusted hands (enrolment, evaluation, the command line); what comes from strangers goes to processes.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from detector.challenge import ChallengeSeen, look_at_challenge
from detector.engine import EngineFacts, FaceEngine
from detector.enrolment import EnrolmentLimits, EnrolmentRefused, Judged, judge_faces
from detector.open_engine import open_engine
from detector.packs import ModelPack
from detector.picture import PictureLimits, PictureRejected
from detector.probing import FaceLimits, Prober, Seen
from detector.watermark import TextLine, WatermarkReader
from detector.worker_pool import How, WorkerCrashed, WorkerPool, WorkerTimeout
from detector.worker_process import Template

READING_SECONDS = 20.0
"""How long reading the text of one picture may take."""


class Looking(Protocol):
    """Does what costs time and meets hostile bytes; nothing blocks but `close`."""

    def look(self, picture: bytes) -> Future[Seen]:
        """Faces, embeddings and fingerprint of a picture; where it is done elsewhere, no more than a verdict needs."""
        ...

    def show(self, picture: bytes) -> Future[Seen]:
        """As `look`, with the pixels in colour."""
        ...

    def read(self, picture: bytes) -> Future[list[TextLine]]:
        """The lines of text in a picture that was looked at; boxes in pixels at working scale."""
        ...

    def close(self) -> None: ...


class InThreads:
    """In threads of this process."""

    def __init__(self, prober: Prober, reader: WatermarkReader | None = None, threads: int = 0) -> None:
        """`threads`: pictures at the same time, 0 = one per core."""
        self.prober = prober
        self._reader = reader
        self.pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="look")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="read")

    def look(self, picture: bytes) -> Future[Seen]:
        return self.pool.submit(self.prober.look, picture)

    def show(self, picture: bytes) -> Future[Seen]:
        return self.look(picture)

    def read(self, picture: bytes) -> Future[list[TextLine]]:
        assert self._reader is not None, "no text is read without a reader"
        return self._reading.submit(_read, self._reader, self.prober, picture)

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)
        self._reading.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class WorkerNeeds:
    """All that a worker process needs to be told: model packs by name, the folder with their files, limits."""

    pack: str
    beside: str | None
    packs: Mapping[str, ModelPack]
    models: Path
    min_score: float
    pictures: PictureLimits
    faces: FaceLimits

    def __call__(self) -> Callable[[Any], Any]:
        """Runs in the template: loads the models."""
        import cv2

        cv2.setNumThreads(1)
        engine, beside = (
            open_engine(name, self.packs, self.models, min_score=self.min_score) if name else None
            for name in (self.pack, self.beside)
        )
        assert engine is not None
        return _Work(engine, beside, self)


class _Work:
    """A worker's jobs: a picture is looked at, its text is read, it is judged as a reference or as a challenge."""

    def __init__(self, engine: FaceEngine, beside: FaceEngine | None, needs: WorkerNeeds) -> None:
        self.facts = EngineFacts.of(engine), beside and EngineFacts.of(beside)
        self._prober = Prober(engine, needs.pictures, needs.faces, beside)
        self._reader = WatermarkReader()  # loads at the first reading, in the worker that reads

    def __call__(self, job: "_Job") -> Seen | list[TextLine] | list[Judged] | ChallengeSeen | EnrolmentRefused:
        if job.kind == "challenge":
            assert job.limits is not None and job.code is not None
            return _challenge(self._prober, self._reader, job.picture, job.code, job.limits)
        if job.kind == "judge":
            assert job.limits is not None
            return _judge(self._prober, job.picture, job.limits)
        if job.kind == "look":
            return self._prober.look(job.picture).for_verdict()
        if job.kind == "show":
            return self._prober.look(job.picture).without_crops()
        return _read(self._reader, self._prober, job.picture)


@dataclass(frozen=True, slots=True)
class _Job:
    kind: Literal["look", "show", "read", "judge", "challenge"]
    picture: bytes
    limits: EnrolmentLimits | None = None
    code: str | None = None


def _judge(prober: Prober, photo: bytes, limits: EnrolmentLimits) -> list[Judged]:
    try:
        return judge_faces(prober, photo, limits)
    except EnrolmentRefused as refused:
        return [refused]


def _challenge(
    prober: Prober, reader: WatermarkReader, photo: bytes, code: str, limits: EnrolmentLimits
) -> ChallengeSeen | EnrolmentRefused:
    try:
        return look_at_challenge(prober, reader, photo, code, limits)
    except EnrolmentRefused as refused:
        return refused


def _read(reader: WatermarkReader, prober: Prober, picture: bytes) -> list[TextLine]:
    return reader.read(prober.decode(picture).pixels)


class InProcesses:
    """In worker processes: what hangs or crashes is ended; its future raises what `rejected` tells."""

    def __init__(
        self,
        needs: WorkerNeeds,
        *,
        workers: int,
        readers: int,
        seconds: float,
        memory_bytes: int,
        on_lost: Callable[[How], None] = lambda how: None,
    ) -> None:
        """`workers`: pictures at the same time, 0 = one per core; `readers`: likewise of readings, which take `seconds`
        no less than READING_SECONDS. Raises PackError or WorkersBroken."""
        self._template = Template(needs)
        self.facts, self.facts_beside = self._template.facts
        limits: dict[str, Any] = {"memory_bytes": memory_bytes, "on_lost": on_lost}
        self._lookers = WorkerPool(self._template, workers or os.cpu_count() or 1, seconds=seconds, **limits)
        self._readers = WorkerPool(self._template, readers or os.cpu_count() or 1, seconds=READING_SECONDS, **limits)

    def look(self, picture: bytes) -> Future[Seen]:
        return self._lookers.submit(_Job("look", picture))

    def show(self, picture: bytes) -> Future[Seen]:
        return self._lookers.submit(_Job("show", picture))

    def judge(self, photo: bytes, limits: EnrolmentLimits) -> Future[list[Judged]]:
        """What each face of a photo is worth as a reference, largest first; of a photo without one, why."""
        return self._lookers.submit(_Job("judge", photo, limits))

    def read(self, picture: bytes) -> Future[list[TextLine]]:
        return self._readers.submit(_Job("read", picture))

    def challenge(self, photo: bytes, code: str, limits: EnrolmentLimits) -> Future[ChallengeSeen | EnrolmentRefused]:
        """The face in a challenge photo, and what is read of the code; or why there is no such face."""
        return self._readers.submit(_Job("challenge", photo, limits, code))

    def close(self) -> None:
        self._lookers.close()
        self._readers.close()
        self._template.close()


def rejected(error: BaseException) -> PictureRejected | None:
    """Why a picture cannot be screened whose look ended in this error; None where the picture is not to blame."""
    if not isinstance(error, WorkerTimeout | WorkerCrashed):
        return None
    reason = "screening_timeout" if isinstance(error, WorkerTimeout) else "worker_crashed"
    return PictureRejected(reason, f"Screening the picture failed: {error}")
