"""Of each format the pictures that cost most and are still within every limit: as many pixels, as little packed, as the
defaults of [pictures] allow. Good pictures all, though none shows anything."""

import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.hostile_pictures import bmp, encoded, grey_tags, jpeg_of_many_scans, png, tiff

SIDE, HALF = 6324, 4472
"""The sides of squares of 40 and of 20 million pixels."""


def costly_pictures() -> Mapping[str, Callable[[], bytes]]:
    """What makes each, by what it is; a format may have several, for the most time and the most memory."""
    return {
        "JPEG, progressive, full colour": lambda: encoded(
            _noise(SIDE, "RGB"), "JPEG", quality=28, progressive=True, subsampling=0
        ),
        "JPEG, progressive, CMYK": lambda: encoded(_noise(SIDE, "CMYK"), "JPEG", quality=6, progressive=True),
        "PNG, 16 bits, interlaced": _interlaced_png,
        "PNG with a transparent colour": lambda: png(
            SIDE, SIDE, (b"tRNS", bytes(6)), (b"IDAT", _rows(SIDE * 3, SIDE)), kind=2
        ),
        "WebP, lossless": lambda: encoded(_noise(HALF, "RGBA", 5, 2), "WEBP", lossless=True, quality=0, method=0),
        "WebP, lossy, transparent": lambda: encoded(
            _noise(HALF, "RGBA"), "WEBP", quality=35, method=0, alpha_quality=0
        ),
        "GIF, noise": lambda: encoded(_palette(9), "GIF", transparency=3),
        "AVIF, full colour, transparent": lambda: encoded(
            _noise(HALF, "RGBA"), "AVIF", quality=48, speed=10, subsampling="4:4:4"
        ),
        "HEIF": lambda: encoded(_noise(SIDE, "RGB"), "HEIF", quality=20, enc_params={"preset": "ultrafast"}),
        "HEIF, full colour": lambda: encoded(
            _noise(HALF, "RGB"), "HEIF", quality=25, chroma=444, enc_params={"preset": "ultrafast"}
        ),
        "HEIF, transparent": lambda: encoded(
            Image.new("RGBA", (SIDE, SIDE), (9, 9, 9, 9)), "HEIF", quality=10, enc_params={"preset": "ultrafast"}
        ),
        "BMP, one bit": lambda: bmp(SIDE, SIDE, 1, bytes((SIDE + 31) // 32 * 4 * SIDE)),
        "BMP, run lengths": lambda: bmp(SIDE, SIDE, 8, (b"\x18\x05" * (SIDE // 24) + b"\0\0") * SIDE, compression=1),
        "TIFF, deflate, floating point": lambda: encoded(
            Image.fromarray(np.tile(np.arange(HALF, dtype=np.float32), (HALF, 1))), "TIFF", compression="tiff_deflate"
        ),
        "TIFF, deflate, transparent": lambda: encoded(
            Image.new("RGBA", (HALF, HALF)), "TIFF", compression="tiff_adobe_deflate"
        ),
        "TIFF, JPEG of 99 scans": _tiff_of_scans,
    }


def _noise(side: int, mode: str, colours: int = 256, alpha: int = 256) -> Image.Image:
    """Random pixels of so many levels."""
    channels = len(mode)
    pixels: NDArray[np.uint8] = np.random.default_rng(1).integers(0, colours, (side, side, channels), dtype=np.uint8)
    if alpha < 256:
        pixels[..., 3] %= alpha
    return Image.frombytes(mode, (side, side), pixels.tobytes())


def _palette(colours: int) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, colours, (SIDE, SIDE), dtype=np.uint8)
    image = Image.fromarray(pixels, "P")
    image.putpalette([value for value in range(256) for _ in range(3)])
    return image


def _rows(width: int, rows: int) -> bytes:
    """Deflated rows of `width` zero bytes with PNG's dearest filter."""
    return zlib.compress((b"\4" + bytes(width)) * rows, 1)


def _interlaced_png() -> bytes:
    passes = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))
    body = zlib.compressobj(1)
    packed = b"".join(
        body.compress((b"\4" + bytes(8 * -(-(SIDE - left) // right))) * -(-(SIDE - top) // down))
        for left, right, top, down in passes
    )
    return png(SIDE, SIDE, (b"IDAT", packed + body.flush()), depth=16, kind=6, laced=1)


def _tiff_of_scans() -> bytes:
    data = jpeg_of_many_scans(HALF // 8 * 8, 99)
    return tiff(grey_tags(HALF // 8 * 8, HALF // 8 * 8, compression=7) | {273: (4, [8]), 279: (4, [len(data)])}, data)


def stripes(pixels: int = 40_000_000) -> Mapping[str, Callable[[], bytes]]:
    """One row, and one column, of as many pixels as a picture may have."""
    return {
        "PNG, one row": lambda: png(pixels, 1, (b"IDAT", zlib.compress(bytes(1 + pixels * 3), 1))),
        "PNG, one column, 16 bits": lambda: png(
            1, pixels, (b"IDAT", zlib.compress(bytes(9 * pixels), 1)), depth=16, kind=6
        ),
        "BMP, one column": lambda: bmp(1, pixels, 8, struct.pack("<I", 7) * 4_000_000),
    }
