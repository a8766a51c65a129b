"""The one front door: a picture in, a verdict out.

decode -> faces -> aligned crops -> embeddings -> fingerprint -> search in the gallery -> evidence -> judgement ->
verdict. All up to the search runs on one core per picture, pictures side by side; the search is one for all of them.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from detector.alignment import CROP_SIDE, align
from detector.engine import Detections, FaceEngine, unit_vectors
from detector.evidence import gather
from detector.fingerprint import hashes_to_search
from detector.index import Found, GalleryIndex, Query
from detector.judgement import foreign_watermark, judge
from detector.picture import Picture, PictureLimits, PictureRejected, decode_picture
from detector.policy import Policy, Thresholds
from detector.quality import quality
from detector.verdict import Face, ForeignText, Verdict
from detector.watermark import WatermarkReader, foreign_handles

log = logging.getLogger("likeness.detector")
READING_SECONDS = 20.0
"""How long a batch may be held up by reading text; what was found without it goes on."""
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FaceLimits:
    """Which faces are probed: boxes of at least `min_size` pixels on both sides, the `max_faces` largest of them."""

    min_size: int
    max_faces: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture's bytes, the account that it is for, if any, and what the account calls itself."""

    picture: bytes
    account_id: str | None = None
    display_name: str | None = None
    handle: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """The faces of one picture, largest first. crops: (N, 112, 112, 3) uint8 RGB; embeddings: (N, D) float32;
    hashes: (8, 4) uint64, the picture's fingerprint in all turns, or (0, 4) where it is too flat for one."""

    picture: Picture
    faces: tuple[Face, ...]
    left_out: int
    crops: NDArray[np.uint8]
    embeddings: NDArray[np.float32]
    hashes: NDArray[np.uint64]
    milliseconds: dict[str, float]

    @property
    def subject(self) -> int:
        """Number of the face that a photo of one person is about: of those at least half as large as the largest, the
        one nearest to the middle, as photographers and LFW have it. Raises ValueError without a face."""

        def distance(number: int) -> float:
            x, y, width, height = self.faces[number].box
            return math.hypot(x + width / 2 - self.picture.width / 2, y + height / 2 - self.picture.height / 2)

        sides = [min(face.box[2:]) for face in self.faces]
        return min((number for number, side in enumerate(sides) if 2 * side >= max(sides)), key=distance)


class Detector:
    """Screens pictures against a gallery; safe to call from several threads."""

    def __init__(
        self,
        engine: FaceEngine,
        index: GalleryIndex,
        policy: Policy,
        *,
        pictures: PictureLimits,
        faces: FaceLimits,
        threads: int = 0,
        watermarks: WatermarkReader | None = None,
        read_all: bool = False,
        shadow: "Detector | None" = None,
    ) -> None:
        """`threads`: pictures at the same time, 0 = one per core. `watermarks` reads text in pictures that have a
        finding, or in all. `shadow`: a detector whose verdicts on the same pictures are told, too, and change
        nothing."""
        self.engine = engine
        self.index = index
        self.policy = policy
        self.shadow = shadow
        self._pictures = pictures
        self._faces = faces
        self._watermarks = watermarks
        self._read_all = read_all
        # Pictures side by side keep the cores busy; BLAS's own threads would spin beside them and halve their speed.
        threadpool_limits(limits=1, user_api="blas")
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="screen")

    @property
    def thresholds(self) -> Thresholds:
        """Those in force for the gallery as it is."""
        return self.policy.at(self.index.comparisons)

    @property
    def indexes(self) -> list[GalleryIndex]:
        """Every index that must follow the gallery: this detector's, and its shadow's if that has its own."""
        shadow = self.shadow.indexes if self.shadow else []
        return [self.index, *(index for index in shadow if index is not self.index)]

    def screen(
        self,
        picture: bytes,
        account_id: str | None = None,
        *,
        display_name: str | None = None,
        handle: str | None = None,
    ) -> Verdict:
        """The verdict on one picture's bytes. A hostile or broken picture gives `unscreenable`, never an exception."""
        upload = Upload(picture, account_id, display_name, handle)
        return self._judge_all([upload], [self._probe_or_reject(picture)])[0]

    def screen_batch(self, uploads: Sequence[Upload]) -> list[Verdict]:
        """The verdicts on several pictures, in their order."""
        probed = list(self.map(self._probe_or_reject, (upload.picture for upload in uploads)))
        return self._judge_all(uploads, probed)

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """`work` on each of `items`, one on each core, results in their order."""
        return self._pool.map(work, items)

    def probe(self, picture: bytes) -> Probes:
        """The faces of a picture, their embeddings and its fingerprint, compared with nothing. Raises
        PictureRejected."""
        started = time.perf_counter()
        decoded = decode_picture(picture, self._pictures)
        decoded_at = time.perf_counter()
        hashes = hashes_to_search(decoded.pixels)
        milliseconds = {"decode": 1e3 * (decoded_at - started), "hash": 1e3 * (time.perf_counter() - decoded_at)}
        return self._look_for_faces(decoded, hashes, milliseconds)

    def _look_for_faces(self, decoded: Picture, hashes: NDArray[np.uint64], milliseconds: dict[str, float]) -> Probes:
        started = time.perf_counter()
        detections = self.engine.detect(decoded.pixels)
        chosen, left_out = self._choose(detections, decoded.scale)
        detected_at = time.perf_counter()
        crops = np.empty((len(chosen), CROP_SIDE, CROP_SIDE, 3), np.uint8)
        for place, number in enumerate(chosen):
            crops[place] = align(decoded.pixels, detections.landmarks[number])
        aligned_at = time.perf_counter()
        features = self.engine.features(crops) if chosen else np.empty((0, self.engine.dimension), np.float32)
        embedded_at = time.perf_counter()
        lengths = np.linalg.norm(features, axis=1)
        faces = tuple(
            self._face(detections, number, decoded.scale, crops[place], float(lengths[place]))
            for place, number in enumerate(chosen)
        )
        milliseconds = milliseconds | {
            "detect": 1e3 * (detected_at - started),
            "align": 1e3 * (aligned_at - detected_at),
            "embed": 1e3 * (embedded_at - aligned_at),
            "quality": 1e3 * (time.perf_counter() - embedded_at),
        }
        return Probes(decoded, faces, left_out, crops, unit_vectors(features), hashes, milliseconds)

    def _face(self, detections: Detections, number: int, scale: float, crop: NDArray[np.uint8], length: float) -> Face:
        x, y, width, height = (float(value) / scale for value in detections.boxes[number])
        score, landmarks = float(detections.scores[number]), detections.landmarks[number]
        usual = self.engine.usual_length
        judged = quality(min(width, height), score, landmarks, crop, length / usual if usual else None)
        return Face(
            box=(x, y, width, height),
            landmarks=tuple((float(px) / scale, float(py) / scale) for px, py in landmarks),
            score=score,
            quality=judged.value,
        )

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self.shadow is not None:
            self.shadow.close()

    def _probe_or_reject(self, picture: bytes) -> Probes | PictureRejected:
        return _or_reject(lambda: self.probe(picture))

    def _choose(self, detections: Detections, scale: float) -> tuple[list[int], int]:
        """Numbers of the detections to probe, largest face first, and how many large enough ones were left out."""
        sides = detections.boxes[:, 2:].min(axis=1) / scale if len(detections.boxes) else np.empty(0)
        largest = np.argsort(-detections.boxes[:, 2:].prod(axis=1), kind="stable")
        enough = [int(number) for number in largest if sides[number] >= self._faces.min_size]
        return enough[: self._faces.max_faces], max(0, len(enough) - self._faces.max_faces)

    def _judge_all(self, uploads: Sequence[Upload], probed: Sequence[Probes | PictureRejected]) -> list[Verdict]:
        verdicts = self._read_watermarks(uploads, probed, self._judge(uploads, probed))
        if self.shadow is None:
            return verdicts
        try:
            beside = self.shadow._judge(uploads, self._probed_for(self.shadow, probed))
        except Exception:  # a policy on trial must not disturb the one in force
            log.exception("The shadow policy failed on a batch.")
            return verdicts
        return [replace(verdict, shadow=other) for verdict, other in zip(verdicts, beside, strict=True)]

    def _probed_for(
        self, shadow: "Detector", probed: Sequence[Probes | PictureRejected]
    ) -> Sequence[Probes | PictureRejected]:
        """The same pictures as the shadow's model pack sees them."""
        if shadow.engine is self.engine:
            return probed

        def look_again(probes: Probes | PictureRejected) -> Probes | PictureRejected:
            if isinstance(probes, PictureRejected):
                return probes
            return _or_reject(lambda: shadow._look_for_faces(probes.picture, probes.hashes, {}))

        return list(self.map(look_again, probed))

    def _judge(self, uploads: Sequence[Upload], probed: Sequence[Probes | PictureRejected]) -> list[Verdict]:
        started = time.perf_counter()
        queries = [
            Query(probes.embeddings, probes.hashes, upload.display_name, upload.handle)
            for upload, probes in zip(uploads, probed, strict=True)
            if isinstance(probes, Probes)
        ]
        answers, version, references = self.index.look_up(queries, lambda count: self.policy.at(count).search)
        thresholds = self.policy.at(references)
        match_ms = 1e3 * (time.perf_counter() - started) / max(1, len(uploads))
        answered = iter(answers)
        found = [None if isinstance(probes, PictureRejected) else next(answered) for probes in probed]

        def verdict(upload: Upload, probes: Probes | PictureRejected, answer: Found | None) -> Verdict:
            if answer is None or isinstance(probes, PictureRejected):
                assert isinstance(probes, PictureRejected)
                return _unscreenable(probes, self.engine.pack, thresholds, version)
            try:
                return self._verdict(upload, probes, answer, thresholds, version, match_ms)
            except Exception as error:  # whatever evidence was never met before: the rest must flow on
                return _unscreenable(_failed(error), self.engine.pack, thresholds, version)

        # Side by side: whether a face is a reference's very pixels takes a core 15 ms for each reference.
        return list(self._pool.map(verdict, uploads, probed, found))

    def _verdict(
        self, upload: Upload, probes: Probes, found: Found, thresholds: Thresholds, version: int, match_ms: float
    ) -> Verdict:
        started = time.perf_counter()
        evidence = gather(probes.picture, probes.faces, probes.hashes, found, self.policy, thresholds)
        findings, silenced = judge(evidence, upload.account_id, self.policy, thresholds)
        judge_ms = 1e3 * (time.perf_counter() - started)
        return Verdict(
            outcome="review" if findings else "clear" if probes.faces else "no_face",
            findings=findings,
            silenced=silenced,
            faces=probes.faces,
            faces_left_out=probes.left_out,
            pack=self.engine.pack,
            threshold=thresholds.review,
            sure=thresholds.sure,
            gallery_version=version,
            width=probes.picture.width,
            height=probes.picture.height,
            milliseconds={**probes.milliseconds, "match": match_ms, "judge": judge_ms},
        )

    def _read_watermarks(
        self, uploads: Sequence[Upload], probed: Sequence[Probes | PictureRejected], verdicts: list[Verdict]
    ) -> list[Verdict]:
        """The verdicts with marks of others added that are read in the pictures."""
        if self._watermarks is None or not any(self._read_all or verdict.findings for verdict in verdicts):
            return verdicts
        until = time.monotonic() + READING_SECONDS
        jobs = zip(uploads, probed, verdicts, strict=True)
        return list(self.map(lambda job: self._read_watermark(*job, until), jobs))

    def _read_watermark(
        self, upload: Upload, probes: Probes | PictureRejected, verdict: Verdict, until: float
    ) -> Verdict:
        wanted = self._read_all or verdict.findings
        if self._watermarks is None or not wanted or isinstance(probes, PictureRejected):
            return verdict
        if time.monotonic() > until:
            log.warning("The text in a picture was not read: the batch has taken too long over others.")
            return verdict
        started = time.perf_counter()
        try:
            lines = self._watermarks.read(probes.picture.pixels)
        except Exception:  # whatever the reader meets: what was found without it must go on
            log.exception("The text in a picture could not be read.")
            return verdict
        marks = foreign_handles(lines, upload.handle, upload.display_name)
        added = tuple(foreign_watermark(_as_uploaded(mark, probes.picture.scale)) for mark in marks)
        return replace(
            verdict,
            outcome="review" if added else verdict.outcome,
            findings=tuple(sorted((*verdict.findings, *added), key=lambda finding: -finding.priority)),
            milliseconds={**verdict.milliseconds, "read": 1e3 * (time.perf_counter() - started)},
        )


def _or_reject(probe: Callable[[], Probes]) -> Probes | PictureRejected:
    try:
        return probe()
    except PictureRejected as rejected:
        return rejected
    except Exception as error:  # whatever a model does on a picture never met before: the rest must flow on
        return _failed(error)


def _failed(error: Exception) -> PictureRejected:
    log.error("A picture could not be screened.", exc_info=error)
    return PictureRejected("screening_failed", f"Screening the picture failed: {type(error).__name__}.")


def _as_uploaded(mark: ForeignText, scale: float) -> ForeignText:
    """The mark with its box in pixels of the picture as uploaded."""
    x, y, width, height = mark.box
    return replace(mark, box=(x / scale, y / scale, width / scale, height / scale))


def _unscreenable(rejected: PictureRejected, pack: str, thresholds: Thresholds, version: int) -> Verdict:
    return Verdict(
        outcome="unscreenable",
        findings=(),
        silenced=(),
        faces=(),
        faces_left_out=0,
        pack=pack,
        threshold=thresholds.review,
        sure=thresholds.sure,
        gallery_version=version,
        reason=rejected.reason,
        detail=rejected.detail,
    )
