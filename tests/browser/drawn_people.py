"""Draws people who do not exist, in flat colours: pictures that may be committed, with faces whose landmarks are known.

One seed is one person (`Person.of`), who looks the same in every picture; the picture's own seed turns the head, moves
the camera, and changes clothes and background.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from detector.verdict import Box, Landmarks
from tests.browser.canvas import Canvas, Colour, Point, arc, mixed, smooth

SKINS = ((255, 224, 196), (244, 202, 166), (226, 172, 130), (198, 138, 96), (154, 100, 66), (108, 70, 48))
HAIRS = ((43, 32, 30), (34, 36, 46), (74, 48, 34), (122, 76, 42), (160, 66, 38), (196, 148, 86))
"""Dark to light: the darker a skin, the fewer of them, from the beginning on; so with eyes."""
GREY_HAIR = (150, 150, 154)
EYES = ((52, 40, 34), (86, 58, 40), (74, 104, 70), (60, 92, 122))
CLOTHES = ((38, 70, 110), (150, 52, 62), (52, 110, 94), (226, 176, 76), (92, 74, 130), (236, 232, 224), (54, 58, 68))
SCENES = (
    ((250, 214, 165), (236, 150, 120)),
    ((198, 226, 240), (120, 170, 206)),
    ((214, 234, 206), (128, 178, 138)),
    ((236, 224, 244), (170, 150, 206)),
    ((252, 236, 200), (226, 186, 110)),
    ((228, 232, 238), (158, 170, 188)),
)
STYLES = ("short", "parted", "long", "bob", "bun", "curls")
LANDMARKS: tuple[Point, ...] = ((-0.36, -0.12), (0.36, -0.12), (0.0, 0.28), (-0.29, 0.58), (0.29, 0.58))
"""Eyes, nose, corners of the mouth, in the face's own measure (canvas.py)."""


@dataclass(frozen=True, slots=True)
class Person:
    """What stays the same from picture to picture."""

    skin: Colour
    hair: Colour
    eyes: Colour
    style: str
    wide: float
    jaw: float
    brows: float
    beard: bool
    glasses: bool
    freckles: bool

    @classmethod
    def of(cls, seed: int) -> "Person":
        rng = random.Random(f"person {seed}")
        style = STYLES[seed % len(STYLES)]
        tone = rng.randrange(len(SKINS))
        return cls(
            skin=SKINS[tone],
            hair=GREY_HAIR if rng.random() < 0.15 else rng.choice(HAIRS[: 6 - tone]),
            eyes=rng.choice(EYES[: 5 - tone] or EYES[:1]),
            style=style,
            wide=rng.uniform(0.7, 0.8),
            jaw=rng.uniform(0.7, 0.92),
            brows=rng.uniform(0.05, 0.085),
            beard=style in ("short", "parted") and rng.random() < 0.5,
            glasses=rng.random() < 0.25,
            freckles=rng.random() < 0.25,
        )


@dataclass(frozen=True, slots=True)
class DrawnPicture:
    """`box` and `landmarks` of the one face, in pixels of the JPEG."""

    jpeg: bytes
    width: int
    height: int
    box: Box
    landmarks: Landmarks

    @property
    def face(self) -> dict[str, object]:
        """As CasePicture.faces has it."""
        return {"box": list(self.box), "landmarks": [list(point) for point in self.landmarks]}


def draw(person: Person, picture_seed: int, width: int = 720, height: int = 900) -> DrawnPicture:
    """A portrait of the person; each seed another occasion."""
    rng = random.Random(f"picture {picture_seed}")
    canvas = Canvas(
        width,
        height,
        middle=(width * rng.uniform(0.45, 0.55), height * rng.uniform(0.40, 0.46)),
        size=min(width, height) * rng.uniform(0.23, 0.30),
        tilt=math.radians(rng.uniform(-9, 9)),
    )
    _background(canvas, rng)
    _portrait(canvas, person, rng)
    points = [canvas.place(x * person.wide / 0.75, y) for x, y in LANDMARKS]
    left, top = canvas.middle[0] - canvas.size * person.wide, canvas.middle[1] - canvas.size * 0.78
    box = (left, top, 2 * canvas.size * person.wide, canvas.size * 1.78)
    return DrawnPicture(canvas.jpeg(), width, height, _rounded(box), tuple(_rounded(point) for point in points))


def _background(canvas: Canvas, rng: random.Random) -> None:
    light, deep = rng.choice(SCENES)
    wide, high = canvas.image.size
    slope = np.linspace(0, 1, high)[:, None, None]
    column = (np.array(light) * (1 - slope) + np.array(deep) * slope).astype(np.uint8)
    canvas.image.paste(Image.fromarray(np.repeat(column, wide, axis=1)))
    for _ in range(rng.randint(3, 6)):  # lights, or leaves, out of focus
        reach = rng.uniform(0.25, 0.9)
        canvas.oval(
            rng.uniform(-2.2, 2.2), rng.uniform(-1.8, 1.6), reach, reach, mixed(light, deep, rng.uniform(-0.3, 0.6)),
            soft=0.06, strength=0.5,
        )  # fmt: skip


def _portrait(canvas: Canvas, person: Person, rng: random.Random) -> None:
    skin, shade = person.skin, mixed(person.skin, (96, 36, 40), 0.28)
    hair, shirt = person.hair, rng.choice(CLOTHES)
    _hair_behind(canvas, person)
    canvas.shape([(-0.34, 0.55), (0.34, 0.55), (0.40, 1.5), (0.0, 1.9), (-0.40, 1.5)], mixed(skin, shade, 0.45))
    shoulders = [(-2.4, 5.0), (-1.85, 2.3), (-1.55, 1.72), (-0.62, 1.36), (-0.4, 1.22), (0.0, 1.72), (0.4, 1.22)]
    shoulders += [(0.62, 1.36), (1.55, 1.72), (1.85, 2.3), (2.4, 5.0)]
    canvas.shape(smooth(shoulders), shirt)
    canvas.line(smooth([(-0.44, 1.22), (0.0, 1.76), (0.44, 1.22)])[:-6], 0.06, mixed(shirt, (0, 0, 0), 0.18))
    for side in (-1, 1):
        canvas.oval(side * person.wide * 0.99, 0.06, 0.12, 0.21, mixed(skin, shade, 0.35))
    head = _head(person)
    canvas.shape([(x, y + 0.10) for x, y in head if y > 0.2], mixed(skin, shade, 0.95), soft=0.04, strength=0.5)
    canvas.shape(head, skin)
    for side in (-1, 1):
        canvas.oval(side * 0.46, 0.34, 0.17, 0.12, mixed(skin, (230, 80, 80), 0.35), soft=0.06, strength=0.55)
    if person.freckles:
        for _ in range(26):
            canvas.oval(rng.uniform(-0.5, 0.5), rng.uniform(0.14, 0.38), 0.013, 0.013, mixed(skin, shade, 0.8))
    if person.beard:
        _beard(canvas, person)
    for side in (-1, 1):
        _eye(canvas, person, side)
    canvas.line([(-0.02, 0.0), (-0.07, 0.24), (-0.03, 0.29), (0.06, 0.29)], 0.028, mixed(skin, shade, 0.75))
    _mouth(canvas, skin, smile=rng.uniform(0.05, 0.13), open_=rng.random() < 0.5)
    _hair_in_front(canvas, person)
    if person.glasses:
        frame = (52, 48, 56)
        for side in (-1, 1):
            canvas.line(arc(side * 0.36, -0.10, 0.25, 0.22, 0, 360), 0.032, frame)
        canvas.line([(-0.11, -0.14), (0.0, -0.17), (0.11, -0.14)], 0.032, frame)
    canvas.oval(-0.28, -0.62, 0.3, 0.16, mixed(hair, (255, 255, 255), 0.5), soft=0.12, strength=0.12)


def _head(person: Person) -> list[Point]:
    wide, jaw = person.wide, person.wide * person.jaw
    half = [(0.0, -1.0), (wide * 0.72, -0.86), (wide * 1.0, -0.35), (wide * 0.99, 0.15), (jaw * 0.98, 0.62)]
    half += [(jaw * 0.56, 0.92), (0.0, 1.0)]
    return smooth([*half, *[(-x, y) for x, y in reversed(half[1:-1])]])


def _eye(canvas: Canvas, person: Person, side: int) -> None:
    x, y = side * 0.36, -0.12
    canvas.oval(x, y, 0.15, 0.085, (252, 250, 247))
    canvas.oval(x, y, 0.08, 0.083, person.eyes)
    canvas.oval(x, y, 0.042, 0.044, (22, 18, 18))
    canvas.oval(x + 0.03, y - 0.035, 0.018, 0.018, (255, 255, 255))
    canvas.line(arc(x, y + 0.01, 0.155, 0.115, 195, 345), 0.036, mixed(person.hair, (20, 14, 14), 0.7))
    brow = [(x - side * 0.17, y - 0.215), (x, y - 0.275), (x + side * 0.19, y - 0.215)]
    canvas.line(smooth(brow, closed=False), person.brows, mixed(person.hair, (30, 22, 20), 0.25))


def _mouth(canvas: Canvas, skin: Colour, smile: float, open_: bool) -> None:
    lips = mixed(skin, (176, 44, 58), 0.6)
    upper = [(-0.29, 0.58), (-0.1, 0.565), (0.0, 0.58), (0.1, 0.565), (0.29, 0.58)]
    if open_:
        canvas.shape([*upper, *smooth([(0.29, 0.58), (0.0, 0.64 + 1.5 * smile), (-0.29, 0.58)], closed=False)], lips)
        canvas.shape(
            [(-0.21, 0.6), (0.21, 0.6), (0.13, 0.635 + smile / 2), (-0.13, 0.635 + smile / 2)], (250, 247, 243)
        )
        return
    lower = smooth([(0.29, 0.58), (0.0, 0.62 + smile), (-0.29, 0.58)], closed=False)
    canvas.shape([*upper, *lower], mixed(lips, skin, 0.25))
    canvas.line(
        smooth([(-0.29, 0.58), (0.0, 0.58 + smile / 2), (0.29, 0.58)], closed=False),
        0.024,
        mixed(lips, (70, 10, 20), 0.5),
    )


def _beard(canvas: Canvas, person: Person) -> None:
    jaw = person.wide * person.jaw
    outer = [(-person.wide * 0.98, 0.12), (-jaw * 1.02, 0.64), (-jaw * 0.58, 0.97), (0.0, 1.07)]
    outer += [(-x, y) for x, y in reversed(outer[:-1])]
    inner = [(person.wide * 0.86, 0.22), (0.42, 0.46), (0.2, 0.44), (0.0, 0.47), (-0.2, 0.44), (-0.42, 0.46)]
    inner += [(-person.wide * 0.86, 0.22)]
    canvas.shape([*smooth(outer, closed=False), *smooth(inner, closed=False)], mixed(person.hair, person.skin, 0.12))


def _hair_behind(canvas: Canvas, person: Person) -> None:
    hair, wide = mixed(person.hair, (0, 0, 0), 0.18), person.wide
    if person.style == "long":
        half = [
            (0.0, -1.2),
            (wide * 1.05, -0.95),
            (wide * 1.3, -0.2),
            (wide * 1.34, 0.8),
            (wide * 1.5, 1.75),
            (0.6, 1.95),
        ]
    elif person.style == "bob":
        half = [
            (0.0, -1.2),
            (wide * 1.05, -0.95),
            (wide * 1.3, -0.2),
            (wide * 1.36, 0.6),
            (wide * 1.0, 0.98),
            (0.4, 0.9),
        ]
    elif person.style == "curls":
        for turn in range(15):
            angle = math.radians(150 + turn * 240 / 14)
            canvas.oval(wide * 1.12 * math.cos(angle), -0.28 + 0.88 * math.sin(angle), 0.36, 0.36, hair)
        return
    else:
        if person.style == "bun":
            canvas.oval(0.0, -1.28, 0.38, 0.34, person.hair)
        return
    canvas.shape(smooth([*half, *[(-x, y) for x, y in reversed(half[1:])]]), hair)


def _hair_in_front(canvas: Canvas, person: Person) -> None:
    hair, wide = person.hair, person.wide
    down = {"short": -0.18, "parted": -0.12, "long": 0.35, "bob": 0.4, "bun": -0.1, "curls": -0.25}[person.style]
    outer = [(-wide * 1.05, down), (-wide * 1.1, -0.5), (-wide * 0.78, -1.02), (0.0, -1.2)]
    outer += [(-x, y) for x, y in reversed(outer[:-1])]
    fringe = {
        "short": [(wide * 0.9, -0.42), (wide * 0.6, -0.68), (0.0, -0.62), (-wide * 0.6, -0.68), (-wide * 0.9, -0.42)],
        "parted": [
            (wide * 0.92, -0.4),
            (wide * 0.55, -0.66),
            (-0.34, -0.86),
            (-wide * 0.74, -0.6),
            (-wide * 0.92, -0.36),
        ],
        "long": [(wide * 0.93, -0.1), (wide * 0.76, -0.52), (0.06, -0.9), (-wide * 0.76, -0.52), (-wide * 0.93, -0.1)],
        "bob": [
            (wide * 0.93, 0.0),
            (wide * 0.86, -0.42),
            (0.3, -0.5),
            (-0.3, -0.5),
            (-wide * 0.86, -0.42),
            (-wide * 0.93, 0.0),
        ],
        "bun": [(wide * 0.92, -0.36), (wide * 0.7, -0.7), (0.0, -0.82), (-wide * 0.7, -0.7), (-wide * 0.92, -0.36)],
        "curls": [(wide * 0.9, -0.4), (wide * 0.5, -0.6), (0.0, -0.56), (-wide * 0.5, -0.6), (-wide * 0.9, -0.4)],
    }[person.style]
    canvas.shape([*smooth(outer, closed=False), *smooth(fringe, closed=False)], hair)
    if person.style == "curls":
        for turn in range(9):
            angle = math.radians(200 + turn * 140 / 8)
            canvas.oval(wide * 0.82 * math.cos(angle), -0.32 + 0.58 * math.sin(angle), 0.22, 0.2, hair)


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value, 1) for value in values)
