"""What a challenge photo shows: a face, and beside it a code that was written by hand.

A code is read fuzzily: people write 5 as S, and front cameras mirror. So what is read is compared with what was asked
for after letters that hands and readers confuse are made one. What comes of it is a hint for a moderator, who looks at
the photo and decides. How often it is read: docs/reports.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from detector.enrolment import Candidate, EnrolmentLimits, choose, judge_faces
from detector.identity import Embedding
from detector.probing import Prober
from detector.verdict import Box
from detector.watermark import TextLine, WatermarkReader

COPY_SIDE = 1280
"""Pixels of the longest side of the copy: a moderator must be able to read the code in it."""
ALIKE = ("0OQDC", "1IL", "2Z", "5S", "6G", "7T", "4A", "UV")
"""What hands and readers confuse, by benchmarks/challenge.py."""
FOLD = str.maketrans({letter: letters[0] for letters in ALIKE for letter in letters})
NEAR = 80.0
"""Likeness, 0..100, from which a text is the code: of five characters one may be wrong. So 92 of 100 codes are read, 82
of them letter by letter, and of 10,000 other codes two are taken for the code."""

CodeReading = Literal["same", "other", "nothing"]
"""The code that was asked for was read; something else was; nothing was."""


@dataclass(frozen=True, slots=True, eq=False)
class ChallengeSeen:
    """jpeg: a copy; face_box: in its pixels; read: the text in the photo that is most like the code, None where there
    is none."""

    jpeg: bytes
    face_box: Box
    embedding: Embedding
    read: str | None


def look_at_challenge(
    prober: Prober, reader: WatermarkReader, photo: bytes, code: str, limits: EnrolmentLimits
) -> ChallengeSeen:
    """The largest usable face in `photo`'s bytes, and the code. Raises EnrolmentRefused for a photo without one."""
    faces = judge_faces(prober, photo, replace(limits, photo_side=COPY_SIDE))
    usable = next((number for number, face in enumerate(faces, start=1) if isinstance(face, Candidate)), None)
    found = choose(faces, usable)
    scale = min(1.0, COPY_SIDE / max(found.width, found.height))
    x, y, width, height = (scale * value for value in found.face.box)
    read = read_code(reader, prober.decode(photo).pixels, code)
    return ChallengeSeen(found.jpeg, (x, y, width, height), found.embedding, read)


def read_code(reader: WatermarkReader, pixels: NDArray[np.uint8], code: str) -> str | None:
    """The text in (H, W, 3) uint8 RGB that is most like the code, as it is there or in the mirror; None without any."""
    read = nearest_text(reader.read(pixels), code)
    if judge_reading(read, code) == "same":
        return read
    mirrored = nearest_text(reader.read(np.ascontiguousarray(pixels[:, ::-1])), code)
    return max((one for one in (read, mirrored) if one), key=lambda one: likeness(one, code), default=None)


def nearest_text(lines: Sequence[TextLine], code: str) -> str | None:
    """Of the lines, and of all of them in a row, what is most like the code: a code may be written with gaps."""
    texts = [line.text for line in lines if line.text]
    if len(texts) > 1:
        texts.append(" ".join(line.text for line in sorted(lines, key=lambda line: line.box[0])))
    return max(texts, key=lambda text: likeness(text, code), default=None)


def judge_reading(read: str | None, code: str) -> CodeReading:
    """What a text that was read says about the code."""
    if not read:
        return "nothing"
    return "same" if likeness(read, code) >= NEAR else "other"


def likeness(read: str, code: str) -> float:
    """0..100: how much of the code stands in the text, letters that are confused counting as one."""
    wanted, said = _folded(code), _folded(read)
    if len(said) < len(wanted) - 1:
        return fuzz.ratio(wanted, said)
    return fuzz.partial_ratio(wanted, said)


def _folded(text: str) -> str:
    return "".join(letter for letter in text.upper() if letter.isalnum()).translate(FOLD)
