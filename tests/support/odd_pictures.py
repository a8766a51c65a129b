"""Pictures that are made, not taken: without a face, with several, and one that claims to be huge."""

import struct
import zlib

import cv2
import numpy as np


def landscape():
    """A picture without a face."""
    down = np.linspace(40, 220, 240, dtype=np.uint8)[:, None, None]
    return encoded(np.broadcast_to(down, (240, 320, 3)))


def encoded(pixels):
    return cv2.imencode(".jpg", np.ascontiguousarray(pixels))[1].tobytes()


def group(portraits, *names):
    """Several portraits side by side."""
    return encoded(np.hstack([cv2.resize(cv2.imread(str(portraits[name])), (300, 390)) for name in names]))


def huge_png():
    """A few bytes that claim to be a picture of 3,600 megapixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
