"""Whether a photo may become a reference: one usable face, sharp and large enough, and nearest to its own identity."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from detector.engine import FaceEngine
from detector.fingerprint import fingerprint_of
from detector.identity import Embedding, Fingerprint
from detector.picture import PictureRejected
from detector.probing import Probes
from detector.quality import covered, quality, sharpness
from detector.searchable import Match, SearchableGallery
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

    def __reduce__(self) -> tuple[type["EnrolmentRefused"], tuple[str, str]]:
        return EnrolmentRefused, (self.reason, self.detail)


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


Judged = Candidate | EnrolmentRefused
"""What one face of a photo is worth."""


class Probing(Protocol):
    """A detector, or its prober alone."""

    @property
    def engine(self) -> FaceEngine: ...

    def probe(self, picture: bytes) -> Probes:
        """Raises PictureRejected."""
        ...


def judge_photo(prober: Probing, photo: bytes, limits: EnrolmentLimits, chosen: int | None = None) -> Candidate:
    """The candidate that `photo`'s bytes make. `chosen`: number of the face to take, 1 = the largest; by default the
    photo must have exactly one usable face. Raises EnrolmentRefused."""
    return choose(judge_faces(prober, photo, limits), chosen)


def judge_faces(prober: Probing, photo: bytes, limits: EnrolmentLimits) -> list[Judged]:
    """What each face of `photo`'s bytes is worth, largest first. Raises EnrolmentRefused for a photo without one."""
    try:
        probes = prober.probe(photo)
    except PictureRejected as rejected:
        raise EnrolmentRefused(rejected.reason, rejected.detail) from rejected
    if not probes.faces:
        raise EnrolmentRefused("no_face", "No face was found in the photo: take one that shows the face larger.")
    weaknesses = [_weakness(probes, number, limits) for number in range(len(probes.faces))]
    sha256 = hashlib.sha256(photo).hexdigest()
    jpeg = _copy(probes, limits.photo_side) if None in weaknesses else b""
    return [
        weakness
        or Candidate(
            sha256=sha256,
            jpeg=jpeg,
            width=probes.picture.width,
            height=probes.picture.height,
            face=probes.faces[number],
            embedding=reference_embedding(prober.engine, probes.crops[number]),
            fingerprint=fingerprint_of_face(probes, number),
        )
        for number, weakness in enumerate(weaknesses)
    ]


def choose(faces: Sequence[Judged], chosen: int | None = None) -> Candidate:
    """The one usable face, or the face with the number `chosen`, 1 = the largest. Raises EnrolmentRefused."""
    if chosen is not None and not 1 <= chosen <= len(faces):
        raise EnrolmentRefused("no_such_face", f"There is no face {chosen}: the photo has {len(faces)}.")
    usable = [face for face in faces if isinstance(face, Candidate)]
    if chosen is None and len(usable) > 1:
        raise EnrolmentRefused(
            "several_faces",
            f"The photo has {len(usable)} usable faces: crop it to one, or choose one by --face N (1 = the largest).",
        )
    face = faces[chosen - 1] if chosen is not None else next(iter(usable), faces[0])
    if isinstance(face, EnrolmentRefused):
        raise face
    return face


def fingerprint_of_face(probes: Probes, number: int) -> Fingerprint:
    """What is kept of a photo to know it again, of which face `number` (from 0) is the person's."""
    picture = probes.picture
    box = probes.faces[number].box
    return fingerprint_of(picture.pixels, probes.crops[number], box, picture.width, picture.height)


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """How a candidate stands to the gallery. nearer: the match with another identity, if it is nearer than its own;
    likest: the highest cosine to its own others, None where there are none; unlike: that is below the threshold."""

    nearer: Match | None
    likest: float | None
    unlike: bool


def compare(
    candidates: Sequence[Candidate], own_id: str | None, index: SearchableGallery, threshold: float
) -> list[Compared]:
    """Compares each of one identity's candidates with the gallery, with the others, and with what the index has of the
    identity; `threshold`: the cosine from which on faces are raised."""
    known = index.embeddings(own_id) if own_id else []
    compared = []
    for candidate in candidates:
        own = [*known, *(other.embedding for other in candidates if other is not candidate)]
        likest = max((float(candidate.embedding @ other) for other in own), default=None)
        nearer = nearer_to_another(candidate.embedding, own, own_id, index, threshold)
        compared.append(Compared(nearer, likest, likest is not None and likest < threshold))
    return compared


def nearer_to_another(
    embedding: Embedding, own: Sequence[Embedding], own_id: str | None, index: SearchableGallery, threshold: float
) -> Match | None:
    """The match with another identity of `index` that is nearer than the identity's `own` other references, if any.

    For an identity's first photo there is nothing to compare with: then a match at `threshold` or above counts.
    """
    nearest_own = max((float(embedding @ other) for other in own), default=threshold)
    matches, _ = index.search(embedding[None], nearest_own)
    return next((match for match in matches[0] if match.identity.id != own_id), None)


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
    if covered(probes.crops[number]):
        return EnrolmentRefused("quality_too_low", f"Something lies over the eyes or the mouth. {ADVICE['visibility']}")
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
