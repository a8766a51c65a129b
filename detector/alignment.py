"""Brings a face to the pose that recognisers were trained on: 112x112 by five landmarks, as in ArcFace.

Template: Deng et al., "ArcFace" (CVPR 2019). The similarity transform (rotation, one scale, translation) is the
least-squares one of Umeyama, "Least-squares estimation of transformation parameters between two point patterns"
(PAMI 1991).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

CROP_SIDE = 112
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where the five landmarks lie in an aligned crop, pixels."""

_CENTRE = TEMPLATE.mean(axis=0)
_CENTRED = (TEMPLATE - _CENTRE).astype(np.float64)


def similarity_transform(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """The (2, 3) matrix that takes `landmarks`, (5, 2), nearest to the template; reflections are excluded."""
    points = landmarks.astype(np.float64)
    centre = points.mean(axis=0)
    points -= centre
    # In the plane, rotation and scale are one complex number: a + ib = <template, points> / |points|^2.
    a = float((points * _CENTRED).sum())
    b = float((points[:, 0] * _CENTRED[:, 1] - points[:, 1] * _CENTRED[:, 0]).sum())
    norm = max(float((points**2).sum()), 1e-6)
    linear = np.array([[a, -b], [b, a]]) / norm
    return np.hstack([linear, (_CENTRE - linear @ centre)[:, None]])


def align(pixels: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The face's aligned crop, (112, 112, 3) uint8, in the channel order of `pixels`; black outside the picture."""
    matrix = similarity_transform(landmarks)
    return np.asarray(cv2.warpAffine(pixels, matrix, (CROP_SIDE, CROP_SIDE), flags=cv2.INTER_LINEAR), np.uint8)
