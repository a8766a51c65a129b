"""Flat shapes on a picture, in a face's own measure: its middle is 0, its chin at y = 1, y grows downwards."""

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Colour = tuple[int, int, int]

FINE = 2
"""Pixels are drawn so many times finer and then shrunk: smooth edges."""


class Canvas:
    """Takes shapes in the face's own measure, and puts them where the camera sees them."""

    def __init__(self, width: int, height: int, middle: Point, size: float, tilt: float) -> None:
        self.width, self.height, self.middle, self.size = width, height, middle, size
        self._cos, self._sin = math.cos(tilt), math.sin(tilt)
        self.image = Image.new("RGB", (width * FINE, height * FINE))

    def place(self, x: float, y: float) -> Point:
        """A point of the face in pixels of the picture."""
        return (
            self.middle[0] + self.size * (x * self._cos - y * self._sin),
            self.middle[1] + self.size * (x * self._sin + y * self._cos),
        )

    def shape(self, points: Sequence[Point], colour: Colour, *, soft: float = 0.0, strength: float = 1.0) -> None:
        """A filled shape; `soft`: how far its edge fades, in the face's measure."""
        placed = np.array([self.place(*point) for point in points]) * FINE
        fade = soft * self.size * FINE
        left, top = (math.floor(value - 3 * fade) for value in placed.min(axis=0))
        right, bottom = (math.ceil(value + 3 * fade) + 1 for value in placed.max(axis=0))
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon([tuple(point) for point in placed - (left, top)], fill=round(255 * strength))
        if fade:
            mask = mask.filter(ImageFilter.GaussianBlur(fade))
        self.image.paste(colour, (left, top, right, bottom), mask)

    def oval(self, x: float, y: float, wide: float, high: float, colour: Colour, **how: float) -> None:
        self.shape(arc(x, y, wide, high, 0, 360), colour, **how)

    def line(self, points: Sequence[Point], thick: float, colour: Colour) -> None:
        """A stroke with round ends."""
        drawing = ImageDraw.Draw(self.image)
        placed = [tuple(FINE * value for value in self.place(*point)) for point in points]
        wide = max(1, round(thick * self.size * FINE))
        drawing.line(placed, fill=colour, width=wide, joint="curve")
        for x, y in (placed[0], placed[-1]):
            drawing.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=colour)

    def jpeg(self) -> bytes:
        small = self.image.resize((self.width, self.height), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        small.save(out, "JPEG", quality=90)
        return out.getvalue()


def arc(x: float, y: float, wide: float, high: float, start: float, end: float) -> list[Point]:
    """Points of an ellipse, in degrees from the right, downwards."""
    turns = (math.radians(start + (end - start) * step / 48) for step in range(49))
    return [(x + wide * math.cos(turn), y + high * math.sin(turn)) for turn in turns]


def smooth(points: Sequence[Point], *, closed: bool = True) -> list[Point]:
    """A curve through the points (Catmull-Rom)."""
    around = [points[-1], *points, points[0], points[1]] if closed else [points[0], *points, points[-1]]
    curve: list[Point] = []
    for before, start, end, after in zip(around, around[1:], around[2:], around[3:], strict=False):
        for step in range(8):
            t = step / 8
            curve.append(
                (_between(before[0], start[0], end[0], after[0], t), _between(before[1], start[1], end[1], after[1], t))
            )
    return curve if closed else [*curve, points[-1]]


def _between(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    return tuple(round(min(255, max(0, a + (b - a) * share))) for a, b in zip(one, other, strict=True))  # type: ignore[return-value]
