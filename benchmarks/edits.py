"""What thieves and apps do to a photo before they upload it: one registry of edits, by family and level.

An edit takes a `Shot` to a `Shot`, so that edits combine. All chance comes from the generator that is passed in: the
same seed gives the same picture.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from benchmarks import overlays
from benchmarks.shot import Shot, to_uint8

Random = np.random.Generator
Edit = Callable[[Shot, Random], Shot]


def edited(shot: Shot, family: str, level: str, seed: int) -> Shot:
    """`shot` under one edit of EDITS. Chance depends on `seed` and the edit's name alone."""
    return EDITS[family][level](shot, np.random.default_rng([seed, zlib.crc32(f"{family} {level}".encode())]))


def _same(shot: Shot, random: Random) -> Shot:
    return shot


def _mirror(shot: Shot, random: Random) -> Shot:
    x, y, width, height = shot.face
    flipped = np.ascontiguousarray(shot.pixels[:, ::-1])
    return replace(shot, pixels=flipped, face=(shot.pixels.shape[1] - x - width, y, width, height))


def _rotate(degrees: float, *, inside: bool) -> Edit:
    """To a random side. The corners show the repeated edge, or are cut away with as much as must go with them."""

    def edit(shot: Shot, random: Random) -> Shot:
        angle = degrees if random.random() < 0.5 else -degrees
        rows, columns = shot.pixels.shape[:2]
        matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle, 1.0)
        pixels = cv2.warpAffine(
            shot.pixels, matrix, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        x, y, width, height = shot.face
        middle_x, middle_y = (matrix @ (x + width / 2, y + height / 2, 1)).tolist()
        turned = replace(
            shot,
            pixels=np.asarray(pixels, np.uint8),
            face=(middle_x - width / 2, middle_y - height / 2, width, height),
        )
        return _cut_inside(turned, math.radians(degrees)) if inside else turned

    return edit


def _cut_inside(shot: Shot, turned: float) -> Shot:
    """The largest window of the picture's own proportions that a turn by `turned` radians leaves filled."""
    rows, columns = shot.pixels.shape[:2]
    keep = 1 / (math.cos(turned) + max(rows / columns, columns / rows) * math.sin(turned))
    wide, high = math.floor(columns * keep), math.floor(rows * keep)
    return shot.cut((columns - wide) // 2, (rows - high) // 2, wide, high)


def _crop(share: float) -> Edit:
    """`share` of width and of height goes; the window lies anywhere that leaves the face whole, or on its middle where
    it is smaller than the face."""

    def edit(shot: Shot, random: Random) -> Shot:
        rows, columns = shot.pixels.shape[:2]
        x, y, width, height = shot.face
        wide, high = round(columns * (1 - share)), round(rows * (1 - share))
        return shot.cut(_place(random, x, width, wide, columns), _place(random, y, height, high, rows), wide, high)

    return edit


def _place(random: Random, face: float, size: float, window: int, whole: int) -> int:
    least, most = max(0.0, face + size - window), min(float(whole - window), face)
    start = random.uniform(least, most) if least <= most else face + size / 2 - window / 2
    return round(float(np.clip(start, 0, whole - window)))


def _fit(side: int) -> Edit:
    return lambda shot, random: shot.scaled(side / max(shot.pixels.shape[:2]))


def _jpeg(quality: int) -> Edit:
    return lambda shot, random: replace(shot, quality=quality)


def _pad(share: float, fill: int | None) -> Edit:
    return lambda shot, random: overlays.pad(shot, share, fill)


def _frame(share: float) -> Edit:
    return lambda shot, random: overlays.frame(shot, random, share)


def _brightness(change: float) -> Edit:
    return lambda shot, random: shot.painted(lambda pixels: pixels * (1 + change))


def _contrast(change: float) -> Edit:
    return lambda shot, random: shot.painted(lambda pixels: (pixels - pixels.mean()) * (1 + change) + pixels.mean())


def _hue(degrees: int) -> Edit:
    def edit(shot: Shot, random: Random) -> Shot:
        hsv = cv2.cvtColor(shot.pixels, cv2.COLOR_RGB2HSV_FULL)
        hsv[..., 0] += np.uint8(round(degrees * 256 / 360) % 256)  # wraps around, as hue does
        return replace(shot, pixels=np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8))

    return edit


def _grey(shot: Shot, random: Random) -> Shot:
    grey = cv2.cvtColor(shot.pixels, cv2.COLOR_RGB2GRAY)
    return replace(shot, pixels=np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8))


def _blur(sigma: float) -> Edit:
    """`sigma`: pixels where the face is 100 wide."""

    def edit(shot: Shot, random: Random) -> Shot:
        blurred = cv2.GaussianBlur(shot.pixels, (0, 0), sigma * shot.face[2] / 100)
        return replace(shot, pixels=np.asarray(blurred, np.uint8))

    return edit


def _beauty(tone: float, lift: float) -> Edit:
    """Skin smoothed over `tone` grey levels with edges kept, and shadows lifted by `lift`, as a gamma."""

    def edit(shot: Shot, random: Random) -> Shot:
        reach = 0.04 * shot.face[2]
        smooth = cv2.bilateralFilter(shot.pixels, 2 * math.ceil(min(reach, 7)) + 1, tone, reach)
        return replace(shot, pixels=to_uint8(255 * (smooth.astype(np.float32) / 255) ** (1 - lift)))

    return edit


def _vignette(darkening: float) -> Edit:
    """The corners lose `darkening` of their light, the middle none."""

    def edit(shot: Shot, random: Random) -> Shot:
        rows, columns = shot.pixels.shape[:2]
        down, across = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)
        light = 1 - darkening * ((down**2 + across**2) / 2)
        return shot.painted(lambda pixels: pixels * light[..., None])

    return edit


def _both(first: Edit, second: Edit) -> Edit:
    return lambda shot, random: second(first(shot, random), random)


def _by_share(make: Callable[[float], Edit], percents: tuple[int, ...]) -> dict[str, Edit]:
    return {f"{percent:+d} %": make(percent / 100) for percent in percents}


ANGLES = (2, 5, 8, 10, 15)
SHIFTS = (-40, -20, 20, 40)
FILLS = {"white": 255, "black": 0, "blurred": None}

EDITS: dict[str, dict[str, Edit]] = {
    "none": {"saved again": _same},
    "mirror": {"mirror": _mirror},
    "rotate, filled": {f"{angle}°": _rotate(angle, inside=False) for angle in ANGLES},
    "rotate, cut inside": {f"{angle}°": _rotate(angle, inside=True) for angle in ANGLES},
    "crop": {f"{percent} %": _crop(percent / 100) for percent in (5, 10, 20, 30, 40, 50)},
    **{
        f"pad {name}": {f"{percent} %": _pad(percent / 100, fill) for percent in (10, 30, 60)}
        for name, fill in FILLS.items()
    },
    "JPEG quality": {str(quality): _jpeg(quality) for quality in (95, 75, 50, 35, 20)},
    "longest side": {f"{side} px": _fit(side) for side in (400, 300, 200, 128, 96, 64)},
    "caption": {"below": overlays.caption_below, "over": overlays.caption_over},
    "logo": {"corner": overlays.logo},
    "sticker": {"one eye": overlays.sticker},
    "frame": {"4 %": _frame(0.04), "10 %": _frame(0.10)},
    "brightness": _by_share(_brightness, SHIFTS),
    "contrast": _by_share(_contrast, SHIFTS),
    "hue": {f"{degrees:+d}°": _hue(degrees) for degrees in (-20, -10, 10, 20)},
    "grey": {"grey": _grey},
    "blur": {f"{sigma} px": _blur(sigma) for sigma in (1, 2, 3)},
    "beauty": {"light": _beauty(25, 0.15), "strong": _beauty(60, 0.3)},
    "vignette": {"40 %": _vignette(0.4), "80 %": _vignette(0.8)},
    "screenshot": {"profile": overlays.profile_screenshot, "viewer": overlays.viewer_screenshot},
    "collage": {"of four": overlays.collage},
}
"""The single edits: family -> level -> edit."""

COMBINED = "two combined"
PAIRS = (
    (("mirror", "mirror"), ("JPEG quality", "35")),
    (("mirror", "mirror"), ("crop", "20 %")),
    (("crop", "20 %"), ("caption", "below")),
    (("crop", "30 %"), ("JPEG quality", "50")),
    (("rotate, filled", "5°"), ("pad white", "30 %")),
    (("rotate, cut inside", "5°"), ("brightness", "+20 %")),
    (("pad blurred", "30 %"), ("caption", "over")),
    (("screenshot", "viewer"), ("longest side", "400 px")),
    (("grey", "grey"), ("vignette", "40 %")),
    (("beauty", "light"), ("contrast", "+20 %")),
    (("logo", "corner"), ("longest side", "300 px")),
    (("frame", "10 %"), ("hue", "+10°")),
    (("collage", "of four"), ("JPEG quality", "50")),
)
EDITS[COMBINED] = {
    " + ".join(f"{family} {level}" if family != level else family for family, level in pair): _both(
        *(EDITS[family][level] for family, level in pair)
    )
    for pair in PAIRS
}
