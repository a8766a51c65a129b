"""The one front door: a picture in, a verdict out.

decode -> faces -> aligned crops -> embeddings -> search in the gallery -> policy -> verdict. The first four steps run
on one core per picture, pictures side by side; the search is one matrix product for all of them.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.alignment import CROP_SIDE, align
from detector.engine import Detections, FaceEngine
from detector.index import GalleryIndex, Match
from detector.picture import Picture, PictureLimits, PictureRejected, decode_picture
from detector.policy import judge
from detector.quality import quality
from detector.verdict import Face, Verdict

log = logging.getLogger("likeness.detector")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FaceLimits:
    """Which faces are probed: boxes of at least `min_size` pixels on both sides, the `max_faces` largest of them."""

    min_size: int
    max_faces: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture's bytes and the account that it is for, if any."""

    picture: bytes
    account_id: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """The faces of one picture, largest first. crops: (N, 112, 112, 3) uint8 RGB; embeddings: (N, D) float32."""

    picture: Picture
    faces: tuple[Face, ...]
    left_out: int
    crops: NDArray[np.uint8]
    embeddings: NDArray[np.float32]
    milliseconds: dict[str, float]


class Detector:
    """Screens pictures against a gallery; safe to call from several threads."""

    def __init__(
        self,
        engine: FaceEngine,
        index: GalleryIndex,
        *,
        threshold: float,
        pictures: PictureLimits,
        faces: FaceLimits,
        threads: int = 0,
    ) -> None:
        """`threshold`: cosine, see detector/policy.py. `threads`: pictures at the same time, 0 = one per core."""
        self.engine = engine
        self.index = index
        self.threshold = threshold
        self._pictures = pictures
        self._faces = faces
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="screen")

    def screen(self, picture: bytes, account_id: str | None = None) -> Verdict:
        """The verdict on one picture's bytes. A hostile or broken picture gives `unscreenable`, never an exception."""
        upload = Upload(picture, account_id)
        return self._judge([upload], [self._probe_or_reject(picture)])[0]

    def screen_batch(self, uploads: Sequence[Upload]) -> list[Verdict]:
        """The verdicts on several pictures, in their order."""
        return self._judge(uploads, list(self.map(self._probe_or_reject, (upload.picture for upload in uploads))))

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """`work` on each of `items`, one on each core, results in their order."""
        return self._pool.map(work, items)

    def probe(self, picture: bytes) -> Probes:
        """The faces of a picture and their embeddings, compared with nothing. Raises PictureRejected."""
        started = time.perf_counter()
        decoded = decode_picture(picture, self._pictures)
        decoded_at = time.perf_counter()
        detections = self.engine.detect(decoded.pixels)
        chosen, left_out = self._choose(detections, decoded.scale)
        detected_at = time.perf_counter()
        crops = np.empty((len(chosen), CROP_SIDE, CROP_SIDE, 3), np.uint8)
        for place, number in enumerate(chosen):
            crops[place] = align(decoded.pixels, detections.landmarks[number])
        faces = tuple(
            _face(detections, number, decoded.scale, crop) for number, crop in zip(chosen, crops, strict=True)
        )
        aligned_at = time.perf_counter()
        embeddings = self.engine.embed(crops) if chosen else np.empty((0, self.engine.dimension), np.float32)
        milliseconds = {
            "decode": 1e3 * (decoded_at - started),
            "detect": 1e3 * (detected_at - decoded_at),
            "align": 1e3 * (aligned_at - detected_at),
            "embed": 1e3 * (time.perf_counter() - aligned_at),
        }
        return Probes(decoded, faces, left_out, crops, embeddings, milliseconds)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _probe_or_reject(self, picture: bytes) -> Probes | PictureRejected:
        try:
            return self.probe(picture)
        except PictureRejected as rejected:
            return rejected
        except Exception as error:  # whatever a model does on a picture never met before: the rest must flow on
            log.exception("A picture could not be screened.")
            return PictureRejected("screening_failed", f"Screening the picture failed: {type(error).__name__}.")

    def _choose(self, detections: Detections, scale: float) -> tuple[list[int], int]:
        """Numbers of the detections to probe, largest face first, and how many large enough ones were left out."""
        sides = detections.boxes[:, 2:].min(axis=1) / scale if len(detections.boxes) else np.empty(0)
        largest = np.argsort(-detections.boxes[:, 2:].prod(axis=1), kind="stable")
        enough = [int(number) for number in largest if sides[number] >= self._faces.min_size]
        return enough[: self._faces.max_faces], max(0, len(enough) - self._faces.max_faces)

    def _judge(self, uploads: Sequence[Upload], probed: Sequence[Probes | PictureRejected]) -> list[Verdict]:
        started = time.perf_counter()
        embeddings = [probes.embeddings for probes in probed if isinstance(probes, Probes)]
        probes_of_all = np.concatenate(embeddings) if embeddings else np.empty((0, self.engine.dimension), np.float32)
        matches, version = self.index.search(probes_of_all, self.threshold)
        match_ms = 1e3 * (time.perf_counter() - started) / max(1, len(uploads))
        verdicts, first = [], 0
        for upload, probes in zip(uploads, probed, strict=True):
            if isinstance(probes, PictureRejected):
                verdicts.append(self._unscreenable(probes, version))
                continue
            found = matches[first : first + len(probes.faces)]
            first += len(probes.faces)
            verdicts.append(self._verdict(upload, probes, found, version, match_ms))
        return verdicts

    def _verdict(
        self, upload: Upload, probes: Probes, found: Sequence[Sequence[Match]], version: int, match_ms: float
    ) -> Verdict:
        findings, silenced = judge(probes.faces, found, upload.account_id, self.threshold)
        return Verdict(
            outcome="review" if findings else "clear" if probes.faces else "no_face",
            findings=findings,
            silenced=silenced,
            faces=probes.faces,
            faces_left_out=probes.left_out,
            pack=self.engine.pack,
            threshold=self.threshold,
            gallery_version=version,
            width=probes.picture.width,
            height=probes.picture.height,
            milliseconds={**probes.milliseconds, "match": match_ms},
        )

    def _unscreenable(self, rejected: PictureRejected, version: int) -> Verdict:
        return Verdict(
            outcome="unscreenable",
            findings=(),
            silenced=(),
            faces=(),
            faces_left_out=0,
            pack=self.engine.pack,
            threshold=self.threshold,
            gallery_version=version,
            reason=rejected.reason,
            detail=rejected.detail,
        )


def _face(detections: Detections, number: int, scale: float, crop: NDArray[np.uint8]) -> Face:
    x, y, width, height = (float(value) / scale for value in detections.boxes[number])
    score = float(detections.scores[number])
    return Face(
        box=(x, y, width, height),
        landmarks=tuple((float(px) / scale, float(py) / scale) for px, py in detections.landmarks[number]),
        score=score,
        quality=quality(min(width, height), score, detections.landmarks[number], crop),
    )
