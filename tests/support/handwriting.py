"""Challenge photos: a piece of paper before a portrait, and on it a code as if by hand."""

import io
import random

import cv2
import numpy as np
from PIL import Image, ImageDraw
from PIL.ImageFont import FreeTypeFont, load_default


def with_code(jpeg: bytes, code: str, seed: int = 0) -> bytes:
    """The picture as a challenge photo: with such a paper along its lower edge, as a JPEG."""
    encoded = io.BytesIO()
    paper_before(Image.open(io.BytesIO(jpeg)).convert("RGB"), code, seed).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def paper_before(picture: Image.Image, code: str, seed: int = 0) -> Image.Image:
    """An RGB picture with a paper along its lower edge, half as wide as it; each seed another hand."""
    rng = random.Random(f"challenge {seed}")
    paper = _paper(code, rng, round(picture.width * 0.5))
    turned = paper.rotate(rng.uniform(-6, 6), expand=True, resample=Image.Resampling.BICUBIC)
    shown = picture.copy()
    shown.paste(turned, ((picture.width - turned.width) // 2, picture.height - turned.height), turned)
    return shown


def _paper(code: str, rng: random.Random, width: int) -> Image.Image:
    """Each letter a little aslant and out of line, as hands write."""
    step = width / (len(code) + 1)
    height = round(step * 2.2)
    paper = Image.new("RGBA", (width, height), (250, 248, 240, 255))
    font = load_default(step * 1.25)
    assert isinstance(font, FreeTypeFont)
    for number, letter in enumerate(code):
        ink = Image.new("RGBA", paper.size, (0, 0, 0, 0))
        place = (step * (number + 0.55), height * 0.22 + rng.uniform(-0.06, 0.06) * height)
        ImageDraw.Draw(ink).text(
            place, letter, font=font, fill=(34, 40, 70, 255), stroke_width=max(1, round(step / 24))
        )
        ink = ink.rotate(
            rng.uniform(-8, 8), center=(place[0] + step / 2, height / 2), resample=Image.Resampling.BICUBIC
        )
        paper.alpha_composite(ink)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    wobble = np.sin(rows / height * 7 + columns / width * 11) * step * 0.03
    warped = cv2.remap(np.array(paper), columns + wobble, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return Image.fromarray(warped, "RGBA")
