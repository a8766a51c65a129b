"""A fingerprint as bytes, as it is sealed in the database and travels in gallery changes."""

import math
import struct

from detector.identity import Fingerprint

LAYOUT = struct.Struct("<B32sB32sII4d")
"""Version of the layout; PDQ of the picture, its quality, PDQ of the face; width, height; the face box."""

VERSION = 1

HASH_LAYOUT = struct.Struct("<B32sBII")
"""The same without a face, of a photo that stayed with the person. Releases before these cannot read it."""

HASH_VERSION = 2


def fingerprint_bytes(fingerprint: Fingerprint) -> bytes:
    """Raises ValueError when a hash is not 32 bytes, or a number is out of its range."""
    picture, picture_quality, face, width, height, box = fingerprint
    if (face is None) != (box is None):
        raise ValueError("The fingerprint is none: a face and its box come together.")
    if len(picture) != 32 or not (face is None or len(face) == 32):
        raise ValueError("The fingerprint is none: a hash has 32 bytes.")
    _check(fingerprint)
    try:
        if face is None or box is None:
            return HASH_LAYOUT.pack(HASH_VERSION, picture, picture_quality, width, height)
        return LAYOUT.pack(VERSION, picture, picture_quality, face, width, height, *box)
    except struct.error as error:
        raise ValueError(f"The fingerprint is none: {error}.") from error


def fingerprint_from(data: bytes) -> Fingerprint:
    """The fingerprint of `fingerprint_bytes`. Raises ValueError for bytes that it does not make."""
    if len(data) == LAYOUT.size and data[0] == VERSION:
        _, picture, quality, face, width, height, left, top, right, bottom = LAYOUT.unpack(data)
        fingerprint = Fingerprint(picture, quality, face, width, height, (left, top, right, bottom))
    elif len(data) == HASH_LAYOUT.size and data[0] == HASH_VERSION:
        _, picture, quality, width, height = HASH_LAYOUT.unpack(data)
        fingerprint = Fingerprint(picture, quality, None, width, height, None)
    else:
        raise ValueError("a fingerprint is of another layout")
    _check(fingerprint)
    return fingerprint


def _check(fingerprint: Fingerprint) -> None:
    """Raises ValueError for a number that is out of its range."""
    _, quality, _, width, height, box = fingerprint
    if not 0 <= quality <= 100:
        raise ValueError(f"The fingerprint is none: quality {quality}.")
    if not (width > 0 and height > 0 and (box is None or (box[2] > 0 and box[3] > 0 and math.isfinite(sum(box))))):
        raise ValueError(f"The fingerprint is none: a face box {box} in {width}x{height}.")
