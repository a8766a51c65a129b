"""How far a face can be trusted to be recognised: quality, 0 (useless) to 1 (a good portrait).

The product of the detector's score and three factors that saturate at 1, each in the sense of ISO/IEC 29794-5:
size (shorter side of the box), sharpness (energy of the Laplacian in the aligned crop) and frontality (where the nose
stands between the eyes).
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

GOOD_SIZE = 80.0
"""Pixels of the box's shorter side from which size no longer costs quality."""
SHARP_VARIANCE = 150.0
"""Variance of the Laplacian (grey levels squared) at which sharpness reaches 1 - 1/e."""


def sharpness(crop: NDArray[np.uint8]) -> float:
    """0..1 for an aligned crop, (112, 112, 3) uint8 RGB; crops of upscaled small faces score low as they should."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    variance = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return 1.0 - math.exp(-variance / SHARP_VARIANCE)


def frontality(landmarks: NDArray[np.float32]) -> float:
    """1 for a face seen from the front, towards 0 for a profile; landmarks (5, 2)."""
    eye, other_eye, nose = landmarks[:3].astype(float)
    across = other_eye - eye
    length = float(across @ across)
    if length == 0:
        return 0.0
    place = float((nose - eye) @ across) / length
    return max(0.0, 1.0 - 2.0 * max(0.0, abs(place - 0.5) - 0.1))


def quality(size: float, score: float, landmarks: NDArray[np.float32], crop: NDArray[np.uint8]) -> float:
    """0..1. `size`: shorter side of the box, pixels as uploaded; `score`: the detector's, 0..1."""
    return min(1.0, size / GOOD_SIZE) * score * sharpness(crop) * frontality(landmarks)
