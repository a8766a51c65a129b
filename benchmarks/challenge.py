"""How often a code on a challenge photo is read: codes in fonts that are handwriting, on paper, before portraits.

`python -m benchmarks.challenge FONTS [PICTURES]`. FONTS: a folder of .ttf or .woff files, such as those of the npm
packages @fontsource/caveat, covered-by-your-grace, gochi-hand, handlee, indie-flower, kalam, nanum-pen-script and
patrick-hand. Letters stand aslant, the paper is turned, the picture noisy and blurred, and three in ten are mirrored.
"""

import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from config import load_settings
from demo.portraits import fetch_portraits
from detector import challenge
from detector.watermark import WatermarkReader
from likeness.console import out
from records.reports.intake import CLEAR_LETTERS

Pixels = NDArray[np.uint8]
LETTERS = 5
SIDE = 1600
"""Pixels of a picture's longest side, as a telephone's that was scaled to `pictures.working_side`."""
OTHER_CODES = 100_000


def main() -> None:
    fonts = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix in (".ttf", ".woff"))
    pictures = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    portraits = sorted(fetch_portraits(load_settings().home / "benchmarks" / "portraits").values())
    rng, reader = random.Random(1), WatermarkReader(1)
    asked, read, seconds = [], [], []
    for number in range(pictures):
        code = "".join(rng.choice(CLEAR_LETTERS) for _ in range(LETTERS))
        pixels = scene(code, fonts[number % len(fonts)], portraits[number % len(portraits)], rng)
        started = time.perf_counter()
        text = challenge.read_code(reader, pixels, code)
        seconds.append(time.perf_counter() - started)
        asked.append(code)
        read.append(text)
    both = list(zip(read, asked, strict=True))
    same = statistics.mean(challenge.judge_reading(text, code) == "same" for text, code in both)
    exact = statistics.mean((text or "").upper() == code for text, code in both)
    out.print(f"{pictures} codes in {len(fonts)} hands: {exact:.0%} read letter by letter, {same:.1%} told as the code")
    out.print(f"another code is told as it: {mistaken(read, rng):.4%}")
    out.print(f"seconds a picture: median {statistics.median(seconds):.1f}, most {max(seconds):.1f}")


def mistaken(read: Sequence[str | None], rng: random.Random) -> float:
    """The share of codes at random that what was read would pass for."""
    texts = [text for text in read if text]
    codes = ("".join(rng.choice(CLEAR_LETTERS) for _ in range(LETTERS)) for _ in range(OTHER_CODES))
    return statistics.mean(challenge.judge_reading(rng.choice(texts), code) == "same" for code in codes)


def scene(code: str, font: Path, portrait: Path, rng: random.Random) -> Pixels:
    """(H, W, 3) uint8 RGB: the portrait, and a paper with the code in its lower part."""
    picture = cv2.imread(str(portrait))
    assert picture is not None
    scale = SIDE / max(picture.shape[:2])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    height, width = picture.shape[:2]
    paper = _paper(code, font, rng)
    high, wide = paper.shape[:2]
    across = width * rng.uniform(0.25, 0.5)
    down = across * high / wide
    angle = np.radians(rng.uniform(-10, 10))
    corners = np.array([[-across, -down], [across, -down], [across, down], [-across, down]]) / 2
    corners = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners += [rng.uniform(across / 2, width - across / 2), height - down * rng.uniform(0.6, 1.0)]
    corners += [[rng.uniform(-0.04, 0.04) * across for _ in range(2)] for _ in range(4)]
    flat = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    matrix = cv2.getPerspectiveTransform(flat, corners.astype(np.float32))
    covered = cv2.warpPerspective(np.full((high, wide), 255, np.uint8), matrix, (width, height)) > 127
    picture[covered] = cv2.warpPerspective(paper, matrix, (width, height))[covered]
    noise = np.random.default_rng(rng.randrange(10**6)).normal(0, 4, picture.shape)
    picture = cv2.GaussianBlur(np.clip(picture + noise, 0, 255).astype(np.uint8), (0, 0), rng.uniform(0.3, 1.4))
    if rng.random() < 0.3:
        picture = np.ascontiguousarray(picture[:, ::-1])
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _paper(code: str, font: Path, rng: random.Random) -> Pixels:
    """(H, W, 3) uint8: each letter a little aslant, out of line, and with another pressure of the pen."""
    size = rng.randint(90, 130)
    hand = ImageFont.truetype(str(font), size)
    paper = Image.new("L", (round(size * 0.85 * len(code)) + 80, size * 2), rng.randint(215, 250))
    left = 40.0
    for letter in code:
        ink = Image.new("L", (round(size * 1.8), paper.height), 0)
        place = (size * 0.3, paper.height * 0.25 + rng.uniform(-6, 6))
        ImageDraw.Draw(ink).text(place, letter, font=hand, fill=255, stroke_width=rng.randint(1, 3))
        turn = rng.uniform(-7, 7)
        ink = ink.rotate(turn, center=(size * 0.6, paper.height / 2), resample=Image.Resampling.BICUBIC)
        paper.paste(Image.new("L", ink.size, rng.randint(10, 70)), (round(left), 0), ink)
        left += hand.getlength(letter) + rng.uniform(2, 12)
    cut = paper.crop((0, paper.height // 10, min(paper.width, round(left + 60)), paper.height * 19 // 20))
    return np.asarray(cut.convert("RGB"), np.uint8)


if __name__ == "__main__":
    main()
