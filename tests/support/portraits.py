"""Real portraits for tests, fetched when needed, and the pictures that are made of them."""

import cv2
import numpy as np
import pytest

from demo.portraits import fetch_portraits
from tests.support.models import cache


@pytest.fixture(scope="session")
def portraits():
    """Paths by name: person_a_1.jpg, person_a_2.jpg (one man), person_b_1.jpg, person_b_2.jpg (one woman),
    impostor_1.jpg, impostor_2.jpg (two other men)."""
    return fetch_portraits(cache() / "portraits")


def read_rgb(path):
    """The file's pixels, (H, W, 3) uint8 RGB."""
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def jpeg(pixels, quality=90):
    """The bytes of a JPEG of (H, W, 3) uint8 RGB."""
    bgr = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def fit(pixels, side):
    """`pixels` scaled so that the longest side is `side`."""
    scale = side / max(pixels.shape[:2])
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def covered_up(pixels, landmarks, where):
    """A copy in which something dark and plain lies over the `eyes` or the `mouth`; landmarks: (5, 2), pixels."""
    points, copy = np.array(landmarks), pixels.copy()
    apart = np.linalg.norm(points[1] - points[0])
    middle, across, down = (points[:2].mean(0), 1.0, 0.4) if where == "eyes" else (points[3:].mean(0), 0.9, 0.6)
    axes = round(across * apart), round(down * apart)
    return cv2.ellipse(copy, tuple(map(round, middle.tolist())), axes, 0, 0, 360, (30, 30, 35), -1)


def close_up(pixels, box, side):
    """The square at the middle of the face's box, as wide as the box and so filled by the face, scaled to `side`."""
    x, y, width, height = box
    half = width / 2
    middle_x, middle_y = x + half, y + height / 2
    rows = slice(max(0, round(middle_y - half)), round(middle_y + half))
    columns = slice(max(0, round(middle_x - half)), round(middle_x + half))
    return cv2.resize(pixels[rows, columns], (side, side), interpolation=cv2.INTER_AREA)
