"""A photo on its way through edits: its pixels, and where the face has come to lie."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.verdict import Box

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""

SAVED_QUALITY = 90
"""JPEG quality of every edit that is not about it."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """`face`: its box in pixels; `others`: three photos of other people, for a collage; `quality`: JPEG, 1..100."""

    pixels: Pixels
    face: Box
    others: tuple[Pixels, ...] = ()
    quality: int = SAVED_QUALITY

    @property
    def face_side(self) -> float:
        """Pixels of the shorter side of the face's box, as far as it lies within the picture."""
        x, y, width, height = self.face
        rows, columns = self.pixels.shape[:2]
        across, down = min(x + width, columns) - max(x, 0.0), min(y + height, rows) - max(y, 0.0)
        return float(max(0.0, min(across, down)))

    def jpeg(self) -> bytes:
        """The picture as it is uploaded."""
        bgr = cv2.cvtColor(np.ascontiguousarray(self.pixels), cv2.COLOR_RGB2BGR)
        return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1])

    def scaled(self, scale: float) -> "Shot":
        """The whole picture, smaller or larger."""
        rows, columns = (max(1, round(side * scale)) for side in self.pixels.shape[:2])
        x, y, width, height = self.face
        return replace(
            self,
            pixels=resized(self.pixels, columns, rows),
            face=(x * scale, y * scale, width * scale, height * scale),
        )

    def cut(self, left: int, top: int, columns: int, rows: int) -> "Shot":
        """The window of `columns` by `rows` at (`left`, `top`)."""
        return self._moved(self.pixels[top : top + rows, left : left + columns], -left, -top)

    def onto(self, canvas: Pixels, left: int, top: int) -> "Shot":
        """The picture laid on a copy of `canvas`, its upper left corner at (`left`, `top`)."""
        rows, columns = self.pixels.shape[:2]
        canvas = canvas.copy()
        canvas[top : top + rows, left : left + columns] = self.pixels
        return self._moved(canvas, left, top)

    def painted(self, paint: Callable[[NDArray[np.float32]], NDArray[np.floating]]) -> "Shot":
        """Every pixel by `paint`, which takes and gives float values of 0..255; what leaves that range is clipped."""
        return replace(self, pixels=to_uint8(paint(self.pixels.astype(np.float32))))

    def _moved(self, pixels: Pixels, right: int, down: int) -> "Shot":
        x, y, width, height = self.face
        return replace(self, pixels=pixels, face=(x + right, y + down, width, height))


def to_uint8(values: NDArray[np.floating]) -> Pixels:
    """Rounded and clipped to 0..255."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def resized(pixels: Pixels, columns: int, rows: int) -> Pixels:
    """Averaged when it becomes smaller, interpolated when larger."""
    how = cv2.INTER_AREA if columns < pixels.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=how), np.uint8)
