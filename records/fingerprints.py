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
    _check(fingerprint)
    picture, size = (fingerprint.picture, fingerprint.picture_quality), (fingerprint.width, fingerprint.height)
    try:
        if fingerprint.face is None or fingerprint.face_box is None:
            return HASH_LAYOUT.pack(HASH_VERSION, *picture, *size)
        return LAYOUT.pack(VERSION, *picture, fingerprint.face, *size, *fingerprint.face_box)
    except struct.error as error:
        raise ValueError(f"The fingerprint is none: {error}.") from error


def fingerprint_from(data: bytes) -> Fingerprint:
    """The fingerprint of `fingerprint_bytes`. Raises ValueError for bytes that it does not make."""
    if len(data) == HASH_LAYOUT.size and data[0] == HASH_VERSION:
        _, picture, picture_quality, width, height = HASH_LAYOUT.unpack(data)
        fingerprint = Fingerprint(picture, picture_quality, None, width, height, None)
    elif len(data) == LAYOUT.size and data[0] == VERSION:
        _, picture, picture_quality, face, width, height, *box = LAYOUT.unpack(data)
        fingerprint = Fingerprint(picture, picture_quality, face, width, height, (box[0], box[1], box[2], box[3]))
    else:
        raise ValueError("a fingerprint is of another layout")
    _check(fingerprint)
    return fingerprint


def _check(fingerprint: Fingerprint) -> None:
    face, box = fingerprint.face, fingerprint.face_box
    if (face is None) != (box is None):
        raise ValueError("The fingerprint is none: a face and its box come together.")
    if len(fingerprint.picture) != 32 or not (face is None or len(face) == 32):
        raise ValueError("The fingerprint is none: a hash has 32 bytes.")
    if not 0 <= fingerprint.picture_quality <= 100:
        raise ValueError(f"The fingerprint is none: quality {fingerprint.picture_quality}.")
    sizes = fingerprint.width > 0 and fingerprint.height > 0
    if not sizes or not (box is None or (box[2] > 0 and box[3] > 0 and all(map(math.isfinite, box)))):
        raise ValueError(
            f"The fingerprint is none: a face box {fingerprint.face_box} in {fingerprint.width}x{fingerprint.height}."
        )
