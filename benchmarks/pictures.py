"""The benchmark's pictures, one face each, JPEG, made from the demo's portraits: avatars of 200 to 400 pixels, and
photos as a phone makes them."""

from pathlib import Path

import cv2
import numpy as np

from config import load_settings, packaged
from demo.portraits import fetch_portraits
from detector.packs import pull, read_packs

SIDES = (200, 250, 300, 350, 400)
PHOTO_SIDE = 1000
PHOTO_QUALITY = 80


def fetch_models_and_portraits() -> tuple[Path, dict[str, Path]]:
    """The folder of models that holds the default pack, and the demo's portraits; fetched the first time."""
    cache = load_settings().home / "benchmarks"
    pack = read_packs(packaged("models.toml"))["opencv-zoo"]
    pull(pack, cache / "models" / pack.name)
    return cache / "models", fetch_portraits(cache / "portraits")


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


def make_photos(portraits: dict[str, Path], count: int) -> list[bytes]:
    """`count` JPEGs of PHOTO_SIDE pixels, some 100 KB each, always the same."""
    faces = [cv2.imread(str(path)) for _, path in sorted(portraits.items())]
    photos = []
    for number in range(count):
        face = faces[number % len(faces)]
        if face is None:
            raise ValueError("a portrait cannot be read")
        scale = PHOTO_SIDE / max(face.shape[:2])
        photo = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        photos.append(bytes(cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, PHOTO_QUALITY])[1]))
    return photos
