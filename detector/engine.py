"""What a model pack must be able to do, whatever runs it: find faces, and turn aligned crops into embeddings."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from detector.calibration import Calibration


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Faces of one picture, strongest first. boxes: (N, 4) float32 x, y, width, height; landmarks: (N, 5, 2) float32;
    scores: (N,) float32, 0..1. Pixels of the picture given."""

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]


class FaceEngine(Protocol):
    """A loaded model pack; its methods are called from several threads at once."""

    pack: str
    """`name@version`; embeddings are compared only within one pack."""

    dimension: int
    """Length D of an embedding."""

    calibration: Calibration | None
    """How the pack scores; None where nobody has measured it."""

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Faces in `pixels`, (H, W, 3) uint8 RGB."""
        ...

    usual_length: float | None
    """Median length of the features of good portraits; a shorter one tells of a poor face. None where not measured."""

    def features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, D) float32 of aligned crops, (N, 112, 112, 3) uint8 RGB; scaled to length one they are embeddings."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class EngineFacts:
    """What is known of an engine that is loaded elsewhere; see FaceEngine."""

    pack: str
    dimension: int
    calibration: Calibration | None

    @classmethod
    def of(cls, engine: FaceEngine) -> Self:
        return cls(engine.pack, engine.dimension, engine.calibration)


def embed(engine: FaceEngine, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit vectors, (N, D) float32, of aligned crops, (N, 112, 112, 3) uint8 RGB."""
    return unit_vectors(engine.features(crops))


def unit_vectors(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D) float32 scaled to length one each."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(lengths, 1e-12), dtype=np.float32)
