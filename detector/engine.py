"""What a model pack must be able to do, whatever runs it: find faces, and turn aligned crops into embeddings."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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

    threshold: float | None
    """The pack's declared operating point, cosine; None where nobody has measured one."""

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Faces in `pixels`, (H, W, 3) uint8 RGB."""
        ...

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Unit vectors, (N, D) float32, of aligned crops, (N, 112, 112, 3) uint8 RGB."""
        ...


def unit_vectors(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D) float32 scaled to length one each."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(lengths, 1e-12), dtype=np.float32)
