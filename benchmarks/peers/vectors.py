"""A gallery of a million made-up faces, and probes that look for some of them.

The vectors lie as SFace's do: on LFW (1,200 people, one photo each) their mean has length 0.28, and the eigenvalues of
their covariance fall from 0.014 to 0.003, nearly by a constant factor. So little structure is hard on graphs and cells.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIMENSION = 128
SIZES = (100_000, 1_000_000)
PROBES = 1024
MEAN_LENGTH = 0.28
EIGENVALUES = np.geomspace(0.014, 0.0029, DIMENSION)
THRESHOLD = 0.6
"""What the default review budget asks for in galleries of this size (0.60 and 0.63; `likeness policy explain`)."""
GENUINE = (0.6, 0.85)
"""Cosine of a person's other photo to their reference, where it is to be found."""
STEP = 100_000


def make_vectors(folder: Path, sizes: Sequence[int] = SIZES) -> None:
    """Write gallery.npy, (N, D) float32, and probes.npy, of which every other one is somebody's other photo; for each
    of `sizes` nearest-N.npy, (P,) int64, the row that exact search finds, or -1 where it is below the threshold."""
    if (folder / f"nearest-{sizes[-1]}.npy").is_file():
        return  # the last to be written
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(11)
    turned = np.linalg.qr(random.normal(size=(DIMENSION, DIMENSION)))[0]
    gallery = np.concatenate([_faces(random, turned, min(STEP, sizes[-1])) for _ in range(0, sizes[-1], STEP)])
    probes = _faces(random, turned, PROBES)
    for number in range(0, PROBES, 2):
        person = gallery[random.integers(sizes[0])]
        other = probes[number] - (probes[number] @ person) * person
        cosine = random.uniform(*GENUINE)
        probes[number] = cosine * person + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)
    np.save(folder / "gallery.npy", gallery)
    np.save(folder / "probes.npy", probes)
    for size in sizes:
        np.save(folder / f"nearest-{size}.npy", _nearest(gallery[:size], probes))


def _faces(random: np.random.Generator, turned: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    spread = random.normal(size=(count, DIMENSION)) * np.sqrt(EIGENVALUES)
    spread[:, 0] += MEAN_LENGTH
    faces = spread @ turned
    return np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), np.float32)


def _nearest(gallery: NDArray[np.float32], probes: NDArray[np.float32]) -> NDArray[np.int64]:
    best, nearest = np.full(len(probes), -1.0, np.float32), np.full(len(probes), -1)
    for start in range(0, len(gallery), STEP):
        similarities = probes @ gallery[start : start + STEP].T
        rows = similarities.argmax(axis=1)
        values = similarities[np.arange(len(probes)), rows]
        better = values > best
        best[better], nearest[better] = values[better], rows[better] + start
    return np.where(best >= THRESHOLD, nearest, -1).astype(np.int64)
