"""Whether a photo may become a reference: one usable face, sharp and large enough, and nearest to its own identity."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from detector.detector import Detector
from detector.fingerprint import fingerprint_of
from detector.identity import Embedding, Fingerprint
from detector.index import GalleryIndex, Match
from detector.picture import PictureRejected
from detector.probing import Probes
from detector.quality import quality, sharpness
from detector.template import reference_embedding
from detector.verdict import Face

REASONS = {
    "no_face": "No face was found in the photo.",
    "several_faces": "More than one usable face is in the photo, and none was chosen.",
    "no_such_face": "The face number chosen is not in the photo.",
    "face_too_small": "The face has too few pixels.",
    "face_too_blurred": "The face is not sharp enough.",
    "quality_too_low": "The face is too poor as a whole: turned, covered, unsharp or small.",
    "face_uncertain": "The detector is not sure enough that this is a face.",
    "nearer_to_another": "The face is more like another identity than like its own.",
}
"""Why a photo is refused; a photo that cannot be decoded gives one of the reasons of detector/picture.py."""


ADVICE = {
    "size": "Come nearer.",
    "sharpness": "Hold still, and wipe the lens.",
    "frontality": "Look straight into the camera.",
    "visibility": "Uncover eyes, nose and mouth.",
    "score": "Take a photo from the front, uncovered and evenly lit.",
}
"""What mends the weakest factor of detector/quality.py."""


class EnrolmentRefused(ValueError):
    """The photo does not become a reference. `reason`: a code of REASONS or of detector/picture.py; `detail`: one
    sentence for the person who brought the photo."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class EnrolmentLimits:
    """min_size, photo_side: pixels; min_sharpness, min_quality, min_score: 0..1. See [enrolment] in
    config/likeness.toml."""

    min_size: int
    min_sharpness: float
    min_quality: float
    min_score: float
    photo_side: int


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A photo that may become a reference. `jpeg`: a copy for moderators, its longest side limited."""

    sha256: str
    jpeg: bytes
    width: int
    height: int
    face: Face
    embedding: Embedding
    fingerprint: Fingerprint


def judge_photo(detector: Detector, photo: bytes, limits: EnrolmentLimits, chosen: int | None = None) -> Candidate:
    """The candidate that `photo`'s bytes make. `chosen`: number of the face to take, 1 = the largest; by default the
    photo must have exactly one usable face. Raises EnrolmentRefused."""
    try:
        probes = detector.probe(photo)
    except PictureRejected as rejected:
        raise EnrolmentRefused(rejected.reason, rejected.detail) from rejected
    number = _choose(probes, limits, chosen)
    return Candidate(
        sha256=hashlib.sha256(photo).hexdigest(),
        jpeg=_copy(probes, limits.photo_side),
        width=probes.picture.width,
        height=probes.picture.height,
        face=probes.faces[number],
        embedding=reference_embedding(detector.engine, probes.crops[number]),
        fingerprint=fingerprint_of_face(probes, number),
    )


def fingerprint_of_face(probes: Probes, number: int) -> Fingerprint:
    """What is kept of a photo to know it again, of which face `number` (from 0) is the person's."""
    picture = probes.picture
    box = probes.faces[number].box
    return fingerprint_of(picture.pixels, probes.crops[number], box, picture.width, picture.height)


def nearer_to_another(
    embedding: Embedding, own: Sequence[Embedding], own_id: str | None, index: GalleryIndex, threshold: float
) -> Match | None:
    """The match with another identity of `index` that is nearer than the identity's `own` other references, if any.

    For an identity's first photo there is nothing to compare with: then a match at `threshold` or above counts.
    """
    nearest_own = max((float(embedding @ other) for other in own), default=threshold)
    matches, _ = index.search(embedding[None], nearest_own)
    return next((match for match in matches[0] if match.identity.id != own_id), None)


def _choose(probes: Probes, limits: EnrolmentLimits, chosen: int | None) -> int:
    count = len(probes.faces)
    if not count:
        raise EnrolmentRefused("no_face", "No face was found in the photo: take one that shows the face larger.")
    if chosen is not None:
        if not 1 <= chosen <= count:
            raise EnrolmentRefused("no_such_face", f"There is no face {chosen}: the photo has {count}.")
        if refused := _weakness(probes, chosen - 1, limits):
            raise refused
        return chosen - 1
    weaknesses = [_weakness(probes, number, limits) for number in range(count)]
    usable = [number for number, weakness in enumerate(weaknesses) if weakness is None]
    if len(usable) > 1:
        raise EnrolmentRefused(
            "several_faces",
            f"The photo has {len(usable)} usable faces: crop it to one, or choose one by --face N (1 = the largest).",
        )
    if not usable:
        raise weaknesses[0] or AssertionError("a face is usable or has a weakness")
    return usable[0]


def _weakness(probes: Probes, number: int, limits: EnrolmentLimits) -> EnrolmentRefused | None:
    face = probes.faces[number]
    size = min(face.box[2:])
    if size < limits.min_size:
        return EnrolmentRefused(
            "face_too_small", f"The face is {size:.0f} pixels wide or high; at least {limits.min_size} are needed."
        )
    if face.score < limits.min_score:
        return EnrolmentRefused(
            "face_uncertain",
            f"The detector is only {face.score:.0%} sure of this face; {limits.min_score:.0%} are needed. "
            "Take a photo from the front, uncovered and evenly lit.",
        )
    if (sharp := sharpness(probes.crops[number])) < limits.min_sharpness:
        return EnrolmentRefused(
            "face_too_blurred", f"The face's sharpness is {sharp:.2f}; at least {limits.min_sharpness:.2f} is needed."
        )
    if face.quality < limits.min_quality:
        landmarks = np.array(face.landmarks, np.float32)
        weakest = quality(size, face.score, landmarks, probes.crops[number]).weakest
        return EnrolmentRefused(
            "quality_too_low",
            f"The face's quality is {face.quality:.2f}; at least {limits.min_quality:.2f} is needed. {ADVICE[weakest]}",
        )
    return None


def _copy(probes: Probes, side: int) -> bytes:
    pixels = probes.picture.pixels
    scale = min(1.0, side / max(pixels.shape[:2]))
    if scale < 1:
        pixels = np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    encoded, jpeg = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not encoded:
        raise EnrolmentRefused("no_face", "The photo could not be copied.")
    return bytes(jpeg)
