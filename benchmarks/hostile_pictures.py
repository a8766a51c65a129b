"""Pictures made to do harm: a few bytes that claim, unpack or repeat far more than they are. No photos."""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import pillow_heif
from PIL import Image

from benchmarks.hostile_boxes import property_of

GIGABYTE = 2**30
pillow_heif.register_heif_opener()


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def plain(width: int = 64, height: int = 64) -> Image.Image:
    return Image.new("RGB", (width, height), (90, 80, 70))


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, kind: int = 2, laced: int = 0) -> bytes:
    """A PNG of any header and chunks, its checksums right."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, laced)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), *chunks, (b"IEND", b""))
    )


def small_png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A good PNG of 64 x 64 with chunks before its pixels."""
    return png(64, 64, *chunks, (b"IDAT", zlib.compress(bytes(64 * 193))))


def tiff(tags: Mapping[int, tuple[int, Sequence[int]]], data: bytes = b"", *, following: int = 0) -> bytes:
    """A little-endian TIFF; `data` begins at byte 8. `tags` by number: type (3 = 16 bits, 4 = 32 bits) and values;
    `following`: where the next directory is said to stand, -1 = here again."""
    data += bytes(len(data) % 2)
    directory = 8 + len(data)
    rest = directory + 6 + 12 * len(tags)
    entries, more = bytearray(), bytearray()
    for tag, (kind, values) in sorted(tags.items()):
        raw = np.asarray(values, "<u2" if kind == 3 else "<u4").tobytes()
        entries += struct.pack("<HHI", tag, kind, len(values))
        entries += raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", rest + len(more))
        more += raw if len(raw) > 4 else b""
    last = struct.pack("<I", directory if following < 0 else following)
    return b"II*\0" + struct.pack("<I", directory) + data + struct.pack("<H", len(tags)) + entries + last + more


def grey_tags(width: int, height: int, *, compression: int = 1) -> dict[int, tuple[int, Sequence[int]]]:
    return {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [8]),
        259: (3, [compression]),
        262: (3, [1]),
        277: (3, [1]),
        278: (4, [height]),
    }


def bmp(width: int, height: int, bits: int, body: bytes, *, compression: int = 0, declared: int = 0) -> bytes:
    colours = 1 << bits if bits <= 8 else 0
    start = 54 + 4 * colours
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, declared, 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", declared, 0, 0, start) + header + bytes(4 * colours) + body


def with_declared_size(data: bytes, width: int, height: int) -> bytes:
    """An AVIF or HEIF file whose container says another size than its coded frames have."""
    before, *rest = data.split(b"ispe")
    return before + b"".join(b"ispe" + part[:4] + struct.pack(">II", width, height) + part[12:] for part in rest)


def declared_huge() -> dict[str, bytes]:
    """By format, a small file whose header claims the largest picture that the format knows."""
    jpeg = bytearray(encoded(plain(), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = b"\xff\xdc\xff\xdc"
    return {
        "JPEG": bytes(jpeg),
        "PNG": png(2**31 - 1, 2**31 - 1, (b"IDAT", zlib.compress(bytes(1000)))),
        "WEBP": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\0",
        "GIF": b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0;",
        "AVIF": with_declared_size(encoded(plain(), "AVIF"), 65_536, 65_536),
        "HEIF": with_declared_size(encoded(plain(), "HEIF"), 65_536, 65_536),
        "BMP": bmp(2**31 - 1, 2**31 - 1, 24, bytes(100)),
        "TIFF": tiff(grey_tags(2**32 - 1, 2**32 - 1) | {273: (4, [8]), 279: (4, [100])}, bytes(100)),
    }


def gigabyte_lengths() -> dict[str, bytes]:
    """By format, a small file in which a length or an offset says 1 GB."""
    avif, heif = (encoded(plain(), name) for name in ("AVIF", "HEIF"))
    webp = bytearray(encoded(plain(), "WEBP"))
    webp[4:8] = webp[16:20] = struct.pack("<I", GIGABYTE)
    strips = tiff(grey_tags(64, 64, compression=8) | {273: (4, [8]), 279: (4, [GIGABYTE]), 700: (4, [8])}, bytes(100))
    return {
        "PNG": small_png()[:33] + struct.pack(">I", GIGABYTE) + b"IDAT" + bytes(100),
        "WEBP": bytes(webp),
        "AVIF": avif.replace(property_of(avif, b"mdat")[:4] + b"mdat", struct.pack(">I", GIGABYTE) + b"mdat"),
        "HEIF": heif.replace(property_of(heif, b"iloc")[:4] + b"iloc", struct.pack(">I", GIGABYTE) + b"iloc"),
        "BMP": bmp(64, 64, 24, bytes(100), declared=GIGABYTE),
        "TIFF": strips.replace(struct.pack("<HHI", 700, 4, 1), struct.pack("<HHI", 700, 4, GIGABYTE)),
    }


def animation(file_format: str, frames: int, **options: object) -> bytes:
    """Small frames, each another grey."""
    first, *others = (Image.new("RGB", (16, 16), (number % 251,) * 3) for number in range(frames))
    return encoded(first, file_format, save_all=True, append_images=others, **options)


def zlib_bomb(chunk: bytes, megabytes: int = 500) -> bytes:
    """A PNG with text or a colour profile that unpacks to `megabytes`; again and again, as far as 15 MB go."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()
    body = {b"iCCP": b"x\0\0", b"zTXt": b"x\0\0", b"iTXt": b"x\0\1\0\0\0"}[chunk] + packed
    return small_png(*[(chunk, body)] * (1 if chunk == b"iCCP" else max(1, 15_000_000 // len(body))))


def jpeg_of_many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose scans each pass over the whole picture and consist of next to nothing."""
    blocks = (side // 8) ** 2
    symbols = "0" + "1" * 14
    bits = symbols * -(-blocks // 32767)
    bits += "1" * (-len(bits) % 8)
    scan = bytes.fromhex("ffda0008010100013f0d") + int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    head = b"\xff\xd8\xff\xdb\0\x43\0" + bytes([16] * 64) + b"\xff\xc2\0\x0b\x08" + struct.pack(">HH", side, side)
    return head + b"\x01\x01\x11\0\xff\xc4\0\x14\x10" + bytes([1] + [0] * 15) + b"\xe0" + scan * scans + b"\xff\xd9"


def jpeg_of_overlapping_exif(megabytes: int = 19) -> bytes:
    """EXIF of which 5,000 entries each say that their value is all of it."""
    size = megabytes * 1_000_000
    entries = b"".join(struct.pack("<HHII", tag, 7, size, 8) for tag in range(5000))
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + entries + bytes(size)
    parts = [b"Exif\0\0" + exif[at : at + 65_000] for at in range(0, len(exif), 65_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    return b"\xff\xd8" + segments[:19_500_000] + encoded(plain(), "JPEG")[2:]


def tiff_of_many_strips(strips: int = 4_900_000) -> bytes:
    return tiff(grey_tags(64, 60_000) | {278: (4, [1]), 273: (4, [8] * strips)}, b"abcd")


def tiff_of_shared_strips(strips: int = 400, empty_blocks: int = 3_000_000) -> bytes:
    """Every strip is the same 15 MB of deflate, which unpack to next to nothing."""
    row = bytes(100)
    packer = zlib.compressobj(wbits=-15)
    blocks = b"\x78\x01" + b"\0\0\0\xff\xff" * empty_blocks + packer.compress(row) + packer.flush()
    blocks += struct.pack(">I", zlib.adler32(row))
    tags = grey_tags(100, strips, compression=8) | {278: (4, [1])}
    return tiff(tags | {273: (4, [8] * strips), 279: (4, [len(blocks)] * strips)}, blocks)


def tiff_of_a_huge_tile(width: int = 20_000, height: int = 60_000) -> bytes:
    data = zlib.compress(bytes(1000))
    tags = {tag: value for tag, value in grey_tags(100, 100, compression=8).items() if tag != 278}
    return tiff(tags | {322: (4, [width]), 323: (4, [height]), 324: (4, [8]), 325: (4, [len(data)])}, data)


def tiff_of_many_tags(tags: int = 65_535) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 7, 15_000_000, 8) for tag in range(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", tags) + entries + bytes(15_000_000)


def tiff_of_looping_directories() -> bytes:
    return tiff(
        grey_tags(8, 8) | {273: (4, [8]), 279: (4, [64]), 330: (4, [72]), 34665: (4, [72])}, bytes(64), following=-1
    )


def bmp_of_wide_jumps() -> bytes:
    """Run lengths that jump over 255 rows of 40 million pixels, again and again."""
    return bmp(40_000_000, 1, 8, b"\0\2\0\xff" * 4_000_000, compression=1)


def gif_of_many_extensions() -> bytes:
    head, rest = b"GIF89a\x10\0\x10\0\x80\0\0\0\0\0\xff\xff\xff", b",\0\0\0\0\x10\0\x10\0\0\x02\x02\x84\x51\0;"
    return head + b"!\xf9\4\0\0\0\0\0" * 2_000_000 + rest


def jpeg_of_many_markers() -> bytes:
    return b"\xff\xd8" + b"\xff\xe5\0\2" * 4_900_000 + encoded(plain(), "JPEG")[2:]
