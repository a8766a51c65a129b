"""The benchmark's pictures: 200 to 400 pixels, one face each, JPEG, made from the demo's portraits."""

from pathlib import Path

import cv2
import numpy as np

SIDES = (200, 250, 300, 350, 400)


def make_pictures(portraits: dict[str, Path], count: int) -> list[bytes]:
    """`count` different JPEGs, always the same: size, crop, light and quality vary."""
    random = np.random.default_rng(7)
    faces = [cv2.imread(str(path)) for _, path in sorted(portraits.items())]
    pictures = []
    for number in range(count):
        face = faces[number % len(faces)]
        if face is None:
            raise ValueError("a portrait cannot be read")
        height, width = face.shape[:2]
        left, top = random.integers(0, width // 12 + 1), random.integers(0, height // 12 + 1)
        cropped = face[top : height - height // 12, left : width - width // 12]
        scale = SIDES[number % len(SIDES)] / max(cropped.shape[:2])
        small = cv2.resize(cropped, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        lit = cv2.convertScaleAbs(small, alpha=float(random.uniform(0.8, 1.15)), beta=float(random.uniform(-10, 10)))
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(75, 95))]
        pictures.append(bytes(cv2.imencode(".jpg", lit, quality)[1]))
    return pictures
