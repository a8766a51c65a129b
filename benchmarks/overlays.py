"""Edits that put something on or around a photo, as apps and thieves do: words, stickers, frames, screens, collages."""

from dataclasses import replace

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.shot import Pixels, Shot, resized, to_uint8

Random = np.random.Generator
Colour = tuple[int, int, int]

CAPTIONS = ("new city, new me", "sunday mood", "living my best life", "no filter needed", "say hi :)")
HANDLES = ("@sunny.days", "@lux_photo", "@daily.portraits")
STICKER_WIDTH = 0.42
"""Of the face's width: hides an eye and its brow."""
EYES = ((0.28, 0.37), (0.73, 0.37))
"""Where the eyes lie in a face's box, as parts of its sides: the mean over the default pack's detections."""
SCREEN = (540, 1170)
"""Width and height of a phone's screenshot at half of its usual resolution."""
CELL = 540
"""Pixels; the longest side of a collage's cell."""


def caption_below(shot: Shot, random: Random) -> Shot:
    """A white bar under the picture with a line of text."""
    rows, columns = shot.pixels.shape[:2]
    bar = round(0.16 * rows)
    under = shot.onto(np.full((rows + bar, columns, 3), 255, np.uint8), 0, 0)
    return _write(under, str(random.choice(CAPTIONS)), (columns / 2, rows + bar / 2), 0.45 * bar, (20, 20, 20))


def caption_over(shot: Shot, random: Random) -> Shot:
    """White letters with a dark outline, in the middle of the lower third."""
    rows, columns = shot.pixels.shape[:2]
    return _write(shot, str(random.choice(CAPTIONS)), (columns / 2, rows * 5 / 6), 0.09 * columns, (255, 255, 255), 0.1)


def logo(shot: Shot, random: Random) -> Shot:
    """A disc and a handle in one of the corners, half transparent."""
    rows, columns = shot.pixels.shape[:2]
    size = 0.055 * columns
    down = rows - size if random.random() < 0.5 else size
    right = 0.03 * columns if random.random() < 0.5 else 0.55 * columns
    layer = shot.pixels.copy()
    cv2.circle(layer, (round(right + size / 2), round(down)), round(0.6 * size), (255, 255, 255), -1, cv2.LINE_AA)
    marked = _write(
        replace(shot, pixels=layer),
        str(random.choice(HANDLES)),
        (right + 1.6 * size, down),
        size,
        (255, 255, 255),
        0.05,
        "lm",
    )
    return shot.painted(lambda pixels: 0.35 * pixels + 0.65 * marked.pixels)


def sticker(shot: Shot, random: Random) -> Shot:
    """A yellow smiling disc over one of the eyes."""
    x, y, width, height = shot.face
    across, down = EYES[int(random.integers(2))]
    centre, radius = (x + across * width, y + down * height), STICKER_WIDTH * width / 2
    pixels = shot.pixels.copy()
    _disc(pixels, centre, radius, (255, 205, 60))
    for side in (-0.35, 0.35):
        _disc(pixels, (centre[0] + side * radius, centre[1] - 0.25 * radius), 0.14 * radius, (70, 45, 10))
    mouth = (round(centre[0]), round(centre[1] + 0.15 * radius)), (round(0.5 * radius), round(0.4 * radius))
    cv2.ellipse(pixels, mouth[0], mouth[1], 0, 20, 160, (70, 45, 10), max(1, round(0.1 * radius)), cv2.LINE_AA)
    return replace(shot, pixels=pixels)


def frame(shot: Shot, random: Random, share: float) -> Shot:
    """A coloured frame over the picture's edges, `share` of its shorter side wide."""
    rows, columns = shot.pixels.shape[:2]
    wide = max(1, round(share * min(rows, columns)))
    pixels = np.empty_like(shot.pixels)
    pixels[:] = random.integers(0, 256, 3)
    pixels[wide : rows - wide, wide : columns - wide] = shot.pixels[wide : rows - wide, wide : columns - wide]
    return replace(shot, pixels=pixels)


def pad(shot: Shot, share: float, fill: int | None) -> Shot:
    """The picture in the middle of a canvas `share` wider and higher: of grey level `fill`, or its own blurred self."""
    rows, columns = shot.pixels.shape[:2]
    wide, high = round(columns * (1 + share)), round(rows * (1 + share))
    if fill is None:
        tiny = cv2.GaussianBlur(resized(shot.pixels, 48, max(1, round(48 * high / wide))), (0, 0), 3)
        canvas = resized(to_uint8(0.8 * tiny.astype(np.float32)), wide, high)
    else:
        canvas = np.full((high, wide, 3), fill, np.uint8)
    return shot.onto(canvas, (wide - columns) // 2, (high - rows) // 2)


def profile_screenshot(shot: Shot, random: Random) -> Shot:
    """A phone's screenshot of a profile: status bar, app bar, the photo at full width, name, lines and buttons."""
    columns, rows = SCREEN
    photo = shot.scaled(columns / shot.pixels.shape[1])
    if photo.pixels.shape[0] > 720:
        top = int(np.clip(photo.face[1] + photo.face[3] / 2 - 360, 0, photo.pixels.shape[0] - 720))
        photo = photo.cut(0, top, columns, 720)
    screen = photo.onto(np.full((rows, columns, 3), 255, np.uint8), 0, 100)
    screen = _status_bar(screen, (20, 20, 20))
    screen = _write(screen, "< Profile", (24, 72), 26, (20, 20, 20), anchor="lm")
    under = 100 + photo.pixels.shape[0]
    screen = _write(screen, "Alex, 29", (24, under + 46), 38, (20, 20, 20), anchor="lm")
    screen = _write(screen, "2 km away, active today", (24, under + 96), 22, (120, 120, 120), anchor="lm")
    for number, colour in enumerate(((240, 80, 90), (70, 140, 240), (60, 190, 120))):
        _disc(screen.pixels, (columns * (number + 1) / 4, rows - 110), 46, colour)
    return screen


def viewer_screenshot(shot: Shot, random: Random) -> Shot:
    """A phone's screenshot of a full-screen viewer: the photo in the middle of black, controls above and below."""
    columns, rows = SCREEN
    photo = shot.scaled(min(columns / shot.pixels.shape[1], 900 / shot.pixels.shape[0]))
    high, wide = photo.pixels.shape[:2]
    screen = photo.onto(np.zeros((rows, columns, 3), np.uint8), (columns - wide) // 2, (rows - high) // 2)
    screen = _status_bar(screen, (255, 255, 255))
    screen = _write(screen, "X", (36, 84), 30, (255, 255, 255))
    return _write(screen, "Like     Comment     Share", (columns / 2, rows - 60), 24, (230, 230, 230))


def collage(shot: Shot, random: Random) -> Shot:
    """The photo's square about the face in one of four cells, other people's photos in the rest."""
    if len(shot.others) < 3:
        raise ValueError(f"A collage needs three other photos and got {len(shot.others)}.")
    side = min(shot.pixels.shape[:2])
    x, y, width, height = shot.face
    left = int(np.clip(x + width / 2 - side / 2, 0, shot.pixels.shape[1] - side))
    top = int(np.clip(y + height / 2 - side / 2, 0, shot.pixels.shape[0] - side))
    cell = min(side, CELL)
    own = shot.cut(left, top, side, side).scaled(cell / side)
    canvas = np.full((2 * cell + 4, 2 * cell + 4, 3), 255, np.uint8)
    corners = [(across * (cell + 4), down * (cell + 4)) for down in (0, 1) for across in (0, 1)]
    own_corner = corners.pop(int(random.integers(4)))
    for (across, down), other in zip(corners, shot.others[:3], strict=True):
        canvas[down : down + cell, across : across + cell] = _square(other, cell)
    return own.onto(canvas, *own_corner)


def _square(pixels: Pixels, side: int) -> Pixels:
    rows, columns = pixels.shape[:2]
    shorter = min(rows, columns)
    top, left = (rows - shorter) // 4, (columns - shorter) // 2  # heads are in the upper part of a high picture
    return resized(pixels[top : top + shorter, left : left + shorter], side, side)


def _status_bar(shot: Shot, colour: Colour) -> Shot:
    timed = _write(shot, "21:47", (24, 24), 22, colour, anchor="lm")
    return _write(timed, "5G  83%", (shot.pixels.shape[1] - 24, 24), 22, colour, anchor="rm")


def _disc(pixels: Pixels, centre: tuple[float, float], radius: float, colour: Colour) -> None:
    cv2.circle(pixels, (round(centre[0]), round(centre[1])), max(1, round(radius)), colour, -1, cv2.LINE_AA)


def _write(
    shot: Shot,
    words: str,
    place: tuple[float, float],
    size: float,
    colour: Colour,
    outline: float = 0.0,
    anchor: str = "mm",
) -> Shot:
    """`size`: pixels; `outline`: dark, as part of `size`; `anchor`: what of the words lies at `place`, as in Pillow."""
    image = Image.fromarray(shot.pixels)
    font = ImageFont.load_default(max(6.0, size))
    stroke = round(outline * size)
    ImageDraw.Draw(image).text(place, words, colour, font, anchor, stroke_width=stroke, stroke_fill=(25, 25, 25))
    return replace(shot, pixels=np.array(image))
