"""How far a face can be trusted to be recognised: quality, 0 (useless) to 1 (a good portrait).

A product of factors in the sense of ISO/IEC 29794-5. Each is measured: the share of a good portrait's cosine with
another photo of the same person that is left at the value seen, fitted together on LFW photos as they are and with
blur, fewer pixels, and stickers, bars and masks over parts of the face. So a quality of 0.7 tells to expect about 70 %
of the usual cosine, less after strong JPEG compression or motion blur, which these factors hardly see and the length of
the embedding does. Tone of skin and brightness are no factors. The scores are YuNet's: a detector that scores otherwise
shifts that factor for all of its faces alike. benchmarks/quality.py shows that errors fall as poor faces are rejected.
"""

import math
from bisect import bisect
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.alignment import CROP_SIDE, TEMPLATE

Curve = tuple[tuple[float, ...], tuple[float, ...]]

ENOUGH_SIZE = 24.0
"""Pixels of the box's shorter side from which size alone costs nothing; too few pixels show in sharpness and score."""
SHARP_VARIANCE = 1.5
"""Variance of the smoothed face's Laplacian (grey levels squared) at which sharpness reaches 1 - 1/e."""
NOISE_SIGMA = 0.7
"""Pixels of smoothing before the Laplacian: keeps rounding and sensor noise from passing for detail."""
YAW: Curve = ((0.2, 0.4, 0.8), (1.0, 0.97, 0.94))
"""By how far the nose stands from the middle of the eyes, in distances between the eyes."""
PITCH: Curve = ((0.42, 0.48, 0.56), (0.96, 0.99, 1.0))
"""By how low the nose stands between the eyes (0) and the mouth (1)."""
EYES: Curve = ((-2.5, -1.5, -1.0, -0.7, -0.3), (0.85, 0.90, 0.94, 0.99, 1.0))
"""By the flatter eye's contrast against the face's, as a logarithm."""
COVERED = -1.8
"""Contrast of an eye or the mouth against the face's, as a logarithm, below which something lies over it."""
LIKENESS: Curve = ((-0.1, 0.1, 0.25, 0.4, 0.55, 0.7), (0.85, 0.92, 0.93, 0.965, 0.99, 1.0))
"""By the correlation with a sketch of a face: dark brows, eyes and mouth where the landmarks put them."""
SCORE: Curve = ((0.75, 0.85, 0.90, 0.93, 0.95), (0.61, 0.69, 0.85, 0.975, 1.0))
"""By the detector's score."""
LENGTH: Curve = ((0.7, 0.76, 0.82, 0.88, 0.94, 1.0, 1.06, 1.12), (0.61, 0.74, 0.79, 0.84, 0.88, 0.93, 0.96, 1.0))
"""By the embedding's length before it is scaled to one, over the median length of portraits (SFace: 12.2)."""

MENDABLE = ("size", "sharpness", "frontality", "visibility", "score")

_CORE = np.s_[24:108, 20:92]
_SMALL = 28
_MOUTH = TEMPLATE[3:].mean(axis=0)
_ROWS, _COLUMNS = np.mgrid[0:CROP_SIDE, 0:CROP_SIDE]


@dataclass(frozen=True, slots=True)
class Quality:
    """The factors of one face, 0..1 each. A low one tells what to do better: `size` come nearer, `sharpness` hold
    still, `frontality` look into the camera, `visibility` uncover eyes and mouth, `score` all of it.

    `distinctness` is what the recogniser itself made of the face, where it tells: None otherwise.
    """

    size: float
    sharpness: float
    frontality: float
    visibility: float
    score: float
    distinctness: float | None = None

    @property
    def value(self) -> float:
        """0..1. What the recogniser tells counts for more than what can be seen in the pixels."""
        seen = self.size * self.sharpness * self.frontality * self.visibility * self.score
        return seen if self.distinctness is None else self.distinctness * math.sqrt(seen)

    @property
    def weakest(self) -> str:
        """The name of the lowest factor that a photographer can mend."""
        return min(MENDABLE, key=lambda name: float(getattr(self, name)))


def quality(
    size: float,
    score: float,
    landmarks: NDArray[np.float32],
    crop: NDArray[np.uint8],
    length: float | None = None,
) -> Quality:
    """`size`: shorter side of the box, pixels as uploaded; `score`: the detector's, 0..1; `landmarks`: (5, 2) pixels;
    `crop`: the aligned crop, (112, 112, 3) uint8 RGB; `length`: see LENGTH, None where the recogniser does not tell."""
    return Quality(
        size=min(1.0, size / ENOUGH_SIZE),
        sharpness=sharpness(crop),
        frontality=frontality(landmarks),
        visibility=visibility(crop),
        score=_at(SCORE, score),
        distinctness=None if length is None else _at(LENGTH, length),
    )


def sharpness(crop: NDArray[np.uint8]) -> float:
    """0..1 for an aligned crop, (112, 112, 3) uint8 RGB; crops of upscaled small faces score low as they should."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), NOISE_SIGMA)
    variance = float(cv2.Laplacian(smooth, cv2.CV_32F)[_CORE].var())
    return 1.0 - math.exp(-variance / SHARP_VARIANCE)


def frontality(landmarks: NDArray[np.float32]) -> float:
    """1 for a face seen from the front, less for one turned aside or seen from below; landmarks (5, 2)."""
    eye, other_eye, nose = landmarks[:3].astype(float)
    across, down = other_eye - eye, landmarks[3:].mean(axis=0) - (eye + other_eye) / 2
    wide, high = float(across @ across), float(down @ down)
    if wide == 0 or high == 0:
        return 0.0
    yaw = abs(float((nose - eye) @ across) / wide - 0.5)
    pitch = float((nose - (eye + other_eye) / 2) @ down) / high
    return _at(YAW, yaw) * _at(PITCH, pitch)


def visibility(crop: NDArray[np.uint8]) -> float:
    """1 for a face with open view of eyes and mouth, less when one is covered; (112, 112, 3) uint8 RGB."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return _at(EYES, min(_contrast(grey, eye) for eye in _EYES)) * _at(LIKENESS, _likeness(grey))


def covered(crop: NDArray[np.uint8]) -> bool:
    """Whether something plain, such as dark glasses or a mask, lies over an eye or the mouth of the aligned crop."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return min(_contrast(grey, part) for part in (*_EYES, _MOUTH_AREA)) < COVERED


def _contrast(grey: cv2.typing.MatLike, part: NDArray[np.uint8]) -> float:
    """A part's contrast against the face's, as a logarithm."""
    return math.log((_deviation(grey, part) + 2.0) / (_deviation(grey, _FACE) + 4.0))


def _deviation(grey: cv2.typing.MatLike, part: NDArray[np.uint8]) -> float:
    return float(cv2.meanStdDev(grey, mask=part)[1][0, 0])


def _likeness(grey: cv2.typing.MatLike) -> float:
    """-1..1: the sketch's correlation with the face, its light evened out."""
    small = cv2.resize(grey, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA).astype(np.float32)
    even = small - cv2.GaussianBlur(small, (0, 0), 3.5)
    even /= np.sqrt(cv2.GaussianBlur(even * even, (0, 0), 3.5)) + 3.0
    values = even[_SMALL_FACE]
    values = values - values.mean()
    return float(values @ _SKETCH) / max(float(np.linalg.norm(values)), 1e-6)


def _at(curve: Curve, place: float) -> float:
    places, values = curve
    if not places[0] < place < places[-1]:
        return values[0] if place <= places[0] else values[-1]
    right = bisect(places, place)
    share = (place - places[right - 1]) / (places[right] - places[right - 1])
    return values[right - 1] + share * (values[right] - values[right - 1])


def _distance(centre: NDArray[np.float32], across: float, down: float) -> NDArray[np.float64]:
    """(112, 112): squared distance to `centre`, in units of `across` and `down` pixels."""
    return np.asarray(((_COLUMNS - centre[0]) / across) ** 2 + ((_ROWS - centre[1]) / down) ** 2, np.float64)


def _sketch() -> NDArray[np.float64]:
    """A face of soft spots at the template's landmarks, (28, 28): dark below 0, bright above."""
    eye, other_eye, nose = TEMPLATE[:3]
    up = np.array([0, 10], np.float32)
    spots = [(-1.0, eye, 8, 4), (-1.0, other_eye, 8, 4), (-0.7, eye - up, 11, 4), (-0.7, other_eye - up, 11, 4)]
    spots += [(-0.8, _MOUTH, 13, 4), (-0.4, nose + up * 0.4, 8, 3), (0.6, nose - up * 1.2, 4, 12)]
    spots += [(0.3, _MOUTH + up * 1.2, 12, 5)]
    drawn = sum(strength * np.exp(-0.5 * _distance(centre, across, down)) for strength, centre, across, down in spots)
    return np.asarray(cv2.resize(np.asarray(drawn, np.float64), (_SMALL, _SMALL), interpolation=cv2.INTER_AREA))


def _within(centre: NDArray[np.float32], across: float, down: float) -> NDArray[np.uint8]:
    """(112, 112): 1 within the ellipse, else 0."""
    return (_distance(centre, across, down) <= 1).astype(np.uint8)


_FACE = _within(np.array([56, 68], np.float32), 34, 42)
_EYES = tuple(_within(eye, 11, 6) for eye in TEMPLATE[:2])
_MOUTH_AREA = _within(_MOUTH, 17, 9)
_SMALL_FACE = cv2.resize(_FACE.astype(np.float32), (_SMALL, _SMALL), interpolation=cv2.INTER_AREA) > 0.5
_SKETCH = _sketch()[_SMALL_FACE]
_SKETCH = (_SKETCH - _SKETCH.mean()) / np.linalg.norm(_SKETCH - _SKETCH.mean())
