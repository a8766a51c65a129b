"""Faces as they are compared: upright, at one size, with something around them, whatever picture they come from.

The page shows two of them side by side. A face with landmarks is turned and scaled by its eyes, nose and mouth; one
that only has a box is cut out by it; and where nobody knows where a face lies, the whole picture is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.alignment import CROP_SIDE, similarity_transform
from detector.verdict import Box, Landmarks

SIDE = 480
"""Pixels of a crop's sides."""
QUALITY = 88
AROUND = (150, 144, 140)
"""The grey beyond the picture's edge, blue first; it stands back on both themes."""
_FACE_SHARE = 0.66  # of the crop's side that the recogniser's own crop takes; the rest is hair, neck, what is around
_BOX_SHARE = 0.46  # of the crop's side that a box is wide: about as large as with landmarks
_SHIFT_DOWN = 0.03  # hair takes more room than the chin


@dataclass(frozen=True, slots=True)
class FacePlace:
    """Where a face lies in a picture, in its pixels; `landmarks` may be missing."""

    box: Box
    landmarks: Landmarks | None = None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "FacePlace":
        """The place that is kept beside a case's picture."""
        x, y, width, height = stored["box"]
        points = stored.get("landmarks")
        return cls((x, y, width, height), tuple((px, py) for px, py in points) if points else None)


def face_crop(jpeg: bytes, place: FacePlace | None) -> bytes:
    """The face as a JPEG of SIDE x SIDE pixels; without a place the whole picture, fitted into it.

    Raises ValueError for bytes that are no picture.
    """
    pixels = _decoded(jpeg)
    if place is None:
        matrix = _fitting(pixels.shape[1], pixels.shape[0])
    elif place.landmarks is None:
        matrix = _box_matrix(place.box)
    else:
        matrix = _landmark_matrix(place.landmarks)
    shrinking = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrinking < 0.5:  # warping alone would pick single pixels out of many: flicker and jagged edges
        height, width = pixels.shape[:2]
        size = (max(1, round(width * shrinking)), max(1, round(height * shrinking)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix[:, 0] *= width / size[0]
        matrix[:, 1] *= height / size[1]
    # a face at the picture's edge goes on in the edge's own colours; round a whole picture there is grey
    border = cv2.BORDER_CONSTANT if place is None else cv2.BORDER_REPLICATE
    crop = cv2.warpAffine(pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=border, borderValue=AROUND)
    return cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def nearest_face(faces: Sequence[FacePlace], box: Box) -> FacePlace | None:
    """The face whose middle is nearest to the box's, if it is within the box."""
    x, y, width, height = box
    middle = np.array([x + width / 2, y + height / 2])

    def distance(face: FacePlace) -> float:
        left, top, wide, high = face.box
        return float(np.abs((middle - (left + wide / 2, top + high / 2)) / (width, height)).max())

    nearest = min(faces, key=distance, default=None)
    return nearest if nearest is not None and distance(nearest) <= 0.5 else None


def _decoded(jpeg: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if pixels is None:
        raise ValueError("These bytes are no picture.")
    return np.asarray(pixels, np.uint8)


def _landmark_matrix(landmarks: Landmarks) -> NDArray[np.float64]:
    """As the recogniser aligns the face, only larger, and with room around it."""
    scale = SIDE * _FACE_SHARE / CROP_SIDE
    margin = SIDE * (1 - _FACE_SHARE) / 2
    matrix = similarity_transform(np.array(landmarks, np.float32)) * scale
    matrix[:, 2] += (margin, margin + SIDE * _SHIFT_DOWN)
    return matrix


def _box_matrix(box: Box) -> NDArray[np.float64]:
    x, y, width, height = box
    scale = SIDE * _BOX_SHARE / max(width, 1.0)
    middle_x, middle_y = x + width / 2, y + height / 2
    down = SIDE * (0.5 + _SHIFT_DOWN)
    return np.array([[scale, 0.0, SIDE / 2 - middle_x * scale], [0.0, scale, down - middle_y * scale]])


def _fitting(width: int, height: int) -> NDArray[np.float64]:
    scale = SIDE / max(width, height)
    return np.array([[scale, 0.0, (SIDE - width * scale) / 2], [0.0, scale, (SIDE - height * scale) / 2]])
