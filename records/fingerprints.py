"""A fingerprint as bytes, as it is sealed in the database and travels in gallery changes."""

import math
import struct

from detector.identity import Fingerprint

LAYOUT = struct.Struct("<B32sB32sII4d")
"""Version of the layout; PDQ of the picture, its quality, PDQ of the face; width, height; the face box."""

VERSION = 1


def fingerprint_bytes(fingerprint: Fingerprint) -> bytes:
    """Raises ValueError when a hash is not 32 bytes, or a number is out of its range."""
    _check(fingerprint)
    try:
        return LAYOUT.pack(
            VERSION,
            fingerprint.picture,
            fingerprint.picture_quality,
            fingerprint.face,
            fingerprint.width,
            fingerprint.height,
            *fingerprint.face_box,
        )
    except struct.error as error:
        raise ValueError(f"The fingerprint is none: {error}.") from error


def fingerprint_from(data: bytes) -> Fingerprint:
    """The fingerprint of `fingerprint_bytes`. Raises ValueError for bytes that it does not make."""
    if len(data) != LAYOUT.size or data[0] != VERSION:
        raise ValueError("a fingerprint is of another layout")
    _, picture, picture_quality, face, width, height, *box = LAYOUT.unpack(data)
    x, y, box_width, box_height = box
    fingerprint = Fingerprint(picture, picture_quality, face, width, height, (x, y, box_width, box_height))
    _check(fingerprint)
    return fingerprint


def _check(fingerprint: Fingerprint) -> None:
    if len(fingerprint.picture) != 32 or len(fingerprint.face) != 32 or not 0 <= fingerprint.picture_quality <= 100:
        raise ValueError(
            f"The fingerprint is none: hashes of {len(fingerprint.picture)} and {len(fingerprint.face)} bytes, "
            f"quality {fingerprint.picture_quality}."
        )
    sizes = (fingerprint.width, fingerprint.height, *fingerprint.face_box[2:])
    if min(sizes) <= 0 or not all(map(math.isfinite, fingerprint.face_box)):
        raise ValueError(
            f"The fingerprint is none: a face box {fingerprint.face_box} in {fingerprint.width}x{fingerprint.height}."
        )
