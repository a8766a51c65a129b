"""Text in a picture, and which of it marks the picture as somebody else's: handles, addresses, credits, agency marks.

Reading takes 0.3 to 1 second, so it is for pictures that already have a finding. Mirrored text is not read.
"""

import logging
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from detector.names import shown, skeleton
from detector.verdict import Box, ForeignText, MarkKind

WHOLE_SIDE = 640
"""Pixels of the longest side at which the whole picture is read: larger, and the reader misses more, and slower."""
STRIP_SIDE = 1280
"""Pixels of the longest side at which the strips are read where small marks stand: along the top and the bottom."""
STRIP_SHARE = 0.2
"""Height of a strip as a share of the picture's."""
LEAST_SIDE = 480
"""Pixels of the longest side below which a picture is enlarged: small letters are found better."""
MOST_LINES = 24
"""Lines that are read at most: a page of text would take half a minute, and holds no watermark."""
LEAST_SCORE = 0.6
"""The recogniser's confidence from which a line is believed."""
SAME_NAME = 80.0
"""Likeness of two skeletons, 0..100, from which a mark is the account's own; below 100 for the reader's mistakes."""
AGENCY_LIKENESS = 85.0
"""Likeness of a line to an agency's mark, 0..100."""

AGENCY_NAMES = """Getty Images,Shutterstock,Adobe Stock,Depositphotos,Dreamstime,Bigstock,WireImage,FilmMagic,
Splash News,Picture Alliance,ZUMA Press,Associated Press,Rex Features,Canstockphoto,Imago Images,Mega Agency"""
AGENCY_WORDS = "getty alamy istock istockphoto reuters backgrid freepik unsplash pexels vecteezy stocksy pond5 123rf"
AGENCIES = tuple(skeleton(name) for name in AGENCY_NAMES.split(","))
AGENCIES_OF_ONE_WORD = tuple(skeleton(name) for name in AGENCY_WORDS.split())

PLATFORM = (
    r"instagram|insta|ig|tiktok|tik tok|snapchat|snap|telegram|twitter|facebook|fb|onlyfans|only fans|fansly|threads|"
    r"vsco|youtube|patreon|weibo|vk|linktr|flickr|deviantart|tumblr|pinterest|behance"
)
ENDING = r"com|net|org|me|ee|tv|co|io|art|photo|photos|photography|pics|studio|de|fr|it|es|nl|pl|ru|uk|ca|br|jp|cn|in"
PHOTO = r"(?:photo(?:graphy|graphed|graph)?|picture|foto|shot)"
PHOTOGRAPHY = r"(?:photography|fotografie|photographer|photographie)"
NAME = r"[^\W_](?:[\w.\-]{1,38}\w)"
SITE = r"com|net|org|me|ee|tv"
PATTERNS: tuple[tuple[MarkKind, re.Pattern[str]], ...] = (
    ("address", re.compile(rf"(?:\w\s?\.\s?(?:{SITE})|\btme)\s?/\s?@?({NAME})", re.I)),
    ("handle", re.compile(rf"\b(?:{PLATFORM})\s?[:/|@]+\s?({NAME})", re.I)),
    ("address", re.compile(rf"\b([\w.\-]+@[\w\-]+\.(?:{ENDING}))\b", re.I)),
    ("handle", re.compile(rf"(?<!\w)@\s?({NAME})", re.I)),
    ("address", re.compile(rf"(?<![\w.])(?:w{{1,3}}\s?\.\s?)?([a-z][\w\-]{{3,38}})\.(?:{ENDING})\b(?![\w.])", re.I)),
    ("credit", re.compile(r"(?:©|\(c\)|\bcopyright\b)\W*(?:(?:19|20)\d\d)?\W*(?:by\s)?([^\W\d].{2,60})", re.I)),
    ("credit", re.compile(rf"\b{PHOTO}\s?(?:by|:|von)\s?([^\W\d].{{2,60}})", re.I)),
    ("credit", re.compile(rf"^(\w[\w .&'\-]{{2,40}}?)\s?{PHOTOGRAPHY}\b", re.I)),
    ("handle", re.compile(r"^((?=[\w.]{6,30}$)(?=.*[a-z]{3})[a-z0-9.]*[a-z0-9](?:_+[a-z0-9.]+)+_*)$", re.I)),
    ("handle", re.compile(r"^((?=[a-z0-9.]{7,30}$)[a-z][a-z0-9]+(?:\.[a-z][a-z0-9]+)+)$")),
)
"""The first that fits says what a line is; its group 1 is the name that is compared with the account's own."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text in a picture, fit to be shown. `score`: the recogniser's confidence, 0..1."""

    text: str
    score: float
    box: Box


class WatermarkReader:
    """Reads text with RapidOCR's bundled models; nothing is downloaded. Loads at first use; takes about 330 MB.

    `threads`: cores one reading may use. Any number of threads may call `read`; readings wait for each other.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._engine: Any = None

    def read(self, pixels: NDArray[np.uint8]) -> list[TextLine]:
        """The lines of text in (H, W, 3) uint8 RGB, as they are found from top to bottom; boxes in its pixels."""
        height, width = pixels.shape[:2]
        longest = max(height, width)
        lines: list[TextLine] = []
        if longest > LEAST_SIDE:
            strip = max(1, round(STRIP_SHARE * height))
            scale = min(1.0, STRIP_SIDE / longest)
            for top in (0, height - strip):
                lines += self._read(pixels[top : top + strip], scale, top)
        scale = float(np.clip(1.0, LEAST_SIDE / longest, WHOLE_SIDE / longest))
        seen = self._read(pixels, scale, 0)
        lines += [line for line in seen if not any(_overlap(line.box, better.box) for better in lines)]
        return sorted(lines, key=lambda line: (line.box[1], line.box[0]))

    def _read(self, pixels: NDArray[np.uint8], scale: float, top: int) -> list[TextLine]:
        """The lines of a part of the picture that begins `top` pixels down, read at `scale`."""
        height, width = pixels.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        scaled = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        with self._lock:
            if self._engine is None:
                self._engine = _open_engine(self._threads)
            found = self._engine(cv2.cvtColor(scaled, cv2.COLOR_RGB2BGR))
        texts = getattr(found, "txts", None)
        if not texts:
            return []
        return [
            TextLine(shown(text), float(score), _box(corners / scale, width, height, top))
            for text, score, corners in zip(texts, found.scores, found.boxes, strict=True)
        ]


def foreign_handles(lines: Sequence[TextLine], handle: str | None, display_name: str | None) -> list[ForeignText]:
    """The lines that name someone other than the account, once each; ordinary words name nobody.

    An account's own mark may be misread or carry more around it ("@jane.doe_art" is jane.doe's).
    """
    own = [name for name in (handle, display_name) if name]
    found: dict[str, ForeignText] = {}
    for line in lines:
        if line.score < LEAST_SCORE:
            continue
        for why, name in _marks(line.text):
            if why != "agency" and any(_same_name(name, mine) for mine in own):
                break
            found.setdefault(line.text, ForeignText(line.text, line.box, why))
    return list(found.values())


def _marks(text: str) -> Iterator[tuple[MarkKind, str]]:
    if _names_agency(text):
        yield "agency", text
    for kind, pattern in PATTERNS:
        if match := pattern.search(text):
            yield kind, match.group(1)
            return


def _names_agency(text: str) -> bool:
    letters = skeleton(text)
    for agency in AGENCIES:
        if len(letters) >= len(agency) - 1 and fuzz.partial_ratio(agency, letters) >= AGENCY_LIKENESS:
            return True
    words = [skeleton(word) for word in text.split()]
    return any(fuzz.ratio(agency, word) >= AGENCY_LIKENESS for agency in AGENCIES_OF_ONE_WORD for word in words)


def _same_name(mark: str, own: str) -> bool:
    one, other = sorted((skeleton(mark), skeleton(own)), key=len)
    if not one:
        return False
    within = len(one) >= 4 and one in other and len(one) >= 0.5 * len(other)
    in_any_order = fuzz.token_sort_ratio(re.sub(r"[\W_]+", " ", mark.lower()), re.sub(r"[\W_]+", " ", own.lower()))
    return within or fuzz.ratio(one, other) >= SAME_NAME or in_any_order >= SAME_NAME


def _box(corners: NDArray[np.float32], width: int, height: int, top: int) -> Box:
    x, y = np.clip(corners.min(axis=0), 0, (width, height)).tolist()
    right, bottom = np.clip(corners.max(axis=0), 0, (width, height)).tolist()
    return x, y + top, right - x, bottom - y


def _overlap(one: Box, other: Box) -> bool:
    """Whether the two share more than half of the smaller."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return across > 0 and down > 0 and 2 * across * down > min(one[2] * one[3], other[2] * other[3])


def _open_engine(threads: int) -> Any:
    # its import takes a second, which only those pay who read
    import rapidocr

    models = Path(rapidocr.__file__).parent / "models"
    engine = rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",  # it warns of every picture without text
            "Global.max_side_len": STRIP_SIDE,
            "EngineConfig.onnxruntime.intra_op_num_threads": max(
                1, min(threads, os.cpu_count() or 1)
            ),  # it ignores more than there are
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Det.limit_type": "max",
            "Det.max_candidates": MOST_LINES,
            "Det.model_path": str(models / "PP-OCRv6_det_small.onnx"),
            "Cls.model_path": str(models / "ch_ppocr_mobile_v2.0_cls_mobile.onnx"),
            "Rec.model_path": str(models / "PP-OCRv6_rec_small.onnx"),
        }
    )
    log = logging.getLogger("RapidOCR")  # it comes with a handler of its own
    log.handlers.clear()
    log.propagate = True
    return engine
