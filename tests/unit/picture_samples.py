"""Makes small pictures in every format, and files that are wrong."""

import struct
import zlib

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from benchmarks.hostile_pictures import encoded

CORNERS = {
    "upper left": (220, 40, 40),
    "upper right": (40, 180, 60),
    "lower left": (50, 60, 210),
    "lower right": (230, 220, 60),
}
"""The colours of the four quarters of every sample."""

TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored under each EXIF orientation."""


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    left, top = width // 2, height // 2
    pixels[:top, :left], pixels[:top, left:] = CORNERS["upper left"], CORNERS["upper right"]
    pixels[top:, :left], pixels[top:, left:] = CORNERS["lower left"], CORNERS["lower right"]
    return Image.fromarray(pixels)


def corners(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """The colour in the middle of each quarter."""
    height, width = pixels.shape[:2]
    y, x = height // 4, width // 4
    return {
        "upper left": pixels[y, x],
        "upper right": pixels[y, -x - 1],
        "lower left": pixels[-y - 1, x],
        "lower right": pixels[-y - 1, -x - 1],
    }


def stored_turned(file_format: str, orientation: int, upright: Image.Image) -> bytes:
    """`upright` as a camera stores it that was held in another way."""
    turn = TURNED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    if file_format == "TIFF":
        tags = ImageFileDirectory_v2()
        tags[0x0112] = orientation
        return encoded(stored, "TIFF", tiffinfo=tags)
    return encoded(stored, file_format, exif=orientation_exif(orientation))


def orientation_exif(orientation: int) -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x0112, 3, 1, orientation) + bytes(4)


def png(width: int, height: int, depth: int, colour_type: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with any header and chunks, checksums right."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), *chunks, (b"IEND", b""))
    )


def png_of(samples: np.ndarray, depth: int, colour_type: int) -> bytes:
    """A PNG of uint8 or uint16 samples, (H, W) or (H, W, C)."""
    rows = samples.astype(">u2" if depth == 16 else np.uint8).reshape(len(samples), -1)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    return png(samples.shape[1], samples.shape[0], depth, colour_type, (b"IDAT", zlib.compress(body)))


def tiff(width: int, height: int, strip: bytes, tags: dict[int, tuple[int, int]]) -> bytes:
    """A little-endian TIFF with one strip or tile; `tags` by number: (type, value), one value each."""
    place = 324 if 322 in tags else 273
    entries = {
        256: (4, width),
        257: (4, height),
        **tags,
        place: (4, 0),
        place + (1 if place == 324 else 6): (4, len(strip)),
    }
    start = 8 + 2 + 12 * len(entries) + 4
    entries[place] = (4, start)
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(entries.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4) + strip
