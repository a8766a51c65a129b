"""From a picture's bytes to what is compared with the gallery: its faces, their embeddings and its fingerprint.

decode -> fingerprint -> faces -> aligned crops -> embeddings, on one core. This is all that touches hostile bytes.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from detector.alignment import CROP_SIDE, align
from detector.engine import Detections, FaceEngine, unit_vectors
from detector.fingerprint import hashes_to_search
from detector.picture import Picture, PictureLimits, PictureRejected, decode_picture
from detector.quality import quality
from detector.verdict import Face

log = logging.getLogger("likeness.detector")


@dataclass(frozen=True, slots=True)
class FaceLimits:
    """Which faces are probed: boxes of at least `min_size` pixels on both sides, the `max_faces` largest of them."""

    min_size: int
    max_faces: int


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


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What looking at one picture gave: `probes` or why there are none; `beside`: the same by a second model pack."""

    probes: Probes | PictureRejected
    beside: Probes | PictureRejected | None = None

    def without_crops(self) -> Self:
        """To be sent to another process, whole pictures included."""
        return replace(self, probes=_bare(self.probes), beside=self.beside and _bare(self.beside))

    def for_verdict(self) -> Self:
        """What a verdict needs, to be sent to another process: that copies every byte."""
        if isinstance(self.probes, PictureRejected):
            return self
        picture = self.probes.picture
        # Without a face there is nothing in the pixels to be compared.
        picture = picture.without_colours() if self._any_face else replace(picture, pixels=picture.pixels[:0])
        return replace(self, probes=_bare(self.probes, picture), beside=self.beside and _bare(self.beside, picture))

    @property
    def _any_face(self) -> bool:
        return any(isinstance(one, Probes) and len(one.faces) > 0 for one in (self.probes, self.beside))


class Prober:
    """Looks at pictures with one model pack; safe to call from several threads."""

    def __init__(
        self, engine: FaceEngine, pictures: PictureLimits, faces: FaceLimits, beside: FaceEngine | None = None
    ) -> None:
        """`beside`: a second model pack that looks at the same pixels."""
        self.engine = engine
        self._pictures = pictures
        self._faces = faces
        self._beside = Prober(beside, pictures, faces) if beside else None

    def probe(self, picture: bytes) -> Probes:
        """The faces of a picture, their embeddings and its fingerprint. Raises PictureRejected."""
        started = time.perf_counter()
        decoded = self.decode(picture)
        decoded_at = time.perf_counter()
        hashes = hashes_to_search(decoded.pixels)
        milliseconds = {"decode": 1e3 * (decoded_at - started), "hash": 1e3 * (time.perf_counter() - decoded_at)}
        return self._look_for_faces(decoded, hashes, milliseconds)

    def decode(self, picture: bytes) -> Picture:
        """The upright pixels at working scale. Raises PictureRejected."""
        return decode_picture(picture, self._pictures)

    def look(self, picture: bytes) -> Seen:
        """As `probe`, by both packs if there are two; whatever goes wrong is told, never raised."""
        probes = _or_rejected(lambda: self.probe(picture))
        beside = self._beside
        if beside is None or isinstance(probes, PictureRejected):
            return Seen(probes)
        return Seen(probes, _or_rejected(lambda: beside._look_for_faces(probes.picture, probes.hashes, {})))

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

    def _choose(self, detections: Detections, scale: float) -> tuple[list[int], int]:
        """Numbers of the detections to probe, largest face first, and how many large enough ones were left out."""
        sides = detections.boxes[:, 2:].min(axis=1) / scale if len(detections.boxes) else np.empty(0)
        largest = np.argsort(-detections.boxes[:, 2:].prod(axis=1), kind="stable")
        enough = [int(number) for number in largest if sides[number] >= self._faces.min_size]
        return enough[: self._faces.max_faces], max(0, len(enough) - self._faces.max_faces)


def _bare(probes: Probes | PictureRejected, picture: Picture | None = None) -> Probes | PictureRejected:
    if isinstance(probes, PictureRejected):
        return probes
    return replace(probes, picture=picture or probes.picture, crops=probes.crops[:0])


def screening_failed(error: BaseException) -> PictureRejected:
    """Why a picture is unscreenable after an error that nobody foresaw, which is logged."""
    log.error("A picture could not be screened.", exc_info=error)
    return PictureRejected("screening_failed", f"Screening the picture failed: {type(error).__name__}.")


def _or_rejected(probe: Callable[[], Probes]) -> Probes | PictureRejected:
    try:
        return probe()
    except PictureRejected as rejected:
        return rejected
    except MemoryError:
        return PictureRejected("out_of_memory", "Looking for faces takes more memory than a worker may have.")
    except Exception as error:  # whatever a model does on a picture never met before: the rest must flow on
        return screening_failed(error)
