"""Makes small pictures in every format, and files made to do harm."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

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

pillow_heif.register_heif_opener()


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


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


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


def with_declared_size(data: bytes, width: int, height: int) -> bytes:
    """An AVIF or HEIF file whose container says another size than its coded frames have."""
    before, *rest = data.split(b"ispe")
    return before + b"".join(b"ispe" + part[:4] + struct.pack(">II", width, height) + part[12:] for part in rest)


def jpeg_of_many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose scans each pass over the whole picture and consist of next to nothing."""
    blocks = (side // 8) ** 2
    symbols = "0" + "1" * 14
    bits = symbols * -(-blocks // 32767)
    bits += "1" * (-len(bits) % 8)
    scan = bytes.fromhex("ffda0008010100013f0d") + int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    return b"".join(
        (
            b"\xff\xd8\xff\xdb\0\x43\0" + bytes([16] * 64),
            b"\xff\xc2\0\x0b\x08" + struct.pack(">HH", side, side) + b"\x01\x01\x11\0",
            b"\xff\xc4\0\x14\x10" + bytes([1] + [0] * 15) + b"\xe0",
            scan * scans,
            b"\xff\xd9",
        )
    )
