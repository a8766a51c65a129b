"""Valid pictures of every accepted format, and what a fuzzer makes of them: by bytes, by fields, by structure."""

import random
import struct
import zlib

import numpy as np
from PIL import Image

from benchmarks.hostile_boxes import Item, container, grid, overlay, payload_of, property_of, size_property
from benchmarks.hostile_pictures import encoded, jpeg_of_many_scans
from tests.unit.picture_samples import orientation_exif, png_of, quarters, tiff

NUMBERS = (
    0,
    1,
    2,
    3,
    8,
    127,
    128,
    255,
    256,
    4096,
    32767,
    32768,
    65535,
    65536,
    2**24,
    2**30,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
WIDE = (*NUMBERS, 2**32, 2**48, 2**63 - 1, 2**63, 2**64 - 1)


def samples() -> dict[str, list[bytes]]:
    """Small valid files by format."""
    picture, exif = quarters(), orientation_exif(6)
    other = [Image.new("RGB", picture.size, (number * 40, 9, 9)) for number in range(4)]
    several = {"save_all": True, "append_images": other}
    alpha, grey, deep = picture.convert("RGBA"), picture.convert("L"), np.arange(4096, dtype=np.uint16).reshape(64, 64)
    heif, avif = encoded(picture, "HEIF"), encoded(picture, "AVIF", speed=10)
    size = size_property(*picture.size)
    cells = size_property(2 * picture.width, picture.height), grid(1, 2, 2 * picture.width, picture.height)

    def tiled(brand: bytes, kind: bytes, data: bytes, config: bytes, *more: bytes) -> bytes:
        own = property_of(data, config)
        one = Item(kind, payload_of(data), (size, *more, own))
        return container(brand, [Item(b"grid", cells[1], (cells[0], *more), (2, 3)), one, one])

    return {
        "JPEG": [
            encoded(picture, "JPEG", exif=exif, icc_profile=bytes(300), comment=b"hello"),
            encoded(picture, "JPEG", progressive=True, subsampling=0),
            encoded(picture.convert("CMYK"), "JPEG"),
            encoded(grey, "JPEG", restart_marker_rows=1),
            jpeg_of_many_scans(64, 20),
        ],
        "PNG": [
            encoded(alpha, "PNG", exif=exif, icc_profile=bytes(300)),
            encoded(picture.convert("P"), "PNG", transparency=3),
            encoded(picture, "PNG", **several),
            png_of(deep, 16, 0),
        ],
        "WEBP": [
            encoded(alpha, "WEBP", lossless=True, exif=exif),
            encoded(picture, "WEBP", quality=50),
            encoded(picture, "WEBP", **several),
        ],
        "GIF": [encoded(picture, "GIF", comment=b"hello"), encoded(picture, "GIF", **several)],
        "AVIF": [
            avif,
            encoded(alpha, "AVIF", speed=10, exif=exif),
            encoded(picture, "AVIF", speed=10, **several),
            tiled(b"avif", b"av01", avif, b"av1C", property_of(avif, b"pixi")),
        ],
        "HEIF": [
            encoded(alpha, "HEIF", exif=exif),
            encoded(picture, "HEIF", chroma=444),
            tiled(b"heic", b"hvc1", heif, b"hvcC"),
        ],
        "BMP": [encoded(one, "BMP") for one in (picture, alpha, grey, picture.convert("P"), picture.convert("1"))]
        + [_run_length_bmp()],
        "TIFF": [
            encoded(picture, "TIFF", compression=name) for name in ("raw", "tiff_lzw", "jpeg", "tiff_adobe_deflate")
        ]
        + [
            encoded(picture.convert("1"), "TIFF", compression="group4"),
            encoded(Image.fromarray(deep), "TIFF"),
            encoded(picture, "TIFF", big_tiff=True, **several),
            tiff(
                16,
                16,
                zlib.compress(bytes(768)),
                {258: (3, 8), 259: (3, 8), 262: (3, 2), 277: (3, 3), 322: (4, 16), 323: (4, 16)},
            ),
        ],
    }


def _run_length_bmp() -> bytes:
    header = struct.pack("<IHHI", 0, 0, 0, 1078) + struct.pack("<IiiHHIIiiII", 40, 64, 16, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + header + bytes(range(256)) * 4 + (b"\x20\x05\0\x04abcd\0\2\5\1\x10\x07\0\0") * 16 + b"\0\1"


def mutated(random: random.Random, files: dict[str, list[bytes]]) -> bytes:
    """A file of `files` with one to six things wrong."""
    name = random.choice(list(files))
    data = bytearray(random.choice(files[name]))
    if name in ("AVIF", "HEIF") and random.random() < 0.2:
        data = bytearray(_odd_container(random, files))
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        data = bytearray(random.choice(_CHANGES)(random, data, files))
    if name == "PNG" and random.random() < 0.7:
        data = _png_with_right_sums(data)
    return bytes(data[:400_000])


def _at(random: random.Random, data: bytearray) -> int:
    """A place in `data`; half the time in its head, where the structure is."""
    return random.randrange(max(1, min(len(data), 600) if random.random() < 0.5 else len(data)))


def _flip(random: random.Random, data: bytearray, files: dict[str, list[bytes]]) -> bytearray:
    for _ in range(random.choice((1, 2, 8, 40))):
        if data:
            data[_at(random, data)] ^= 1 << random.randrange(8)
    return data


def _number(random: random.Random, data: bytearray, files: dict[str, list[bytes]]) -> bytearray:
    at, width = _at(random, data), random.choice((1, 2, 4, 8))
    value = random.choice((*WIDE, len(data), random.getrandbits(64))) & (256**width - 1)
    data[at : at + width] = value.to_bytes(width, random.choice(("big", "little")))
    return data


def _cut(random: random.Random, data: bytearray, files: dict[str, list[bytes]]) -> bytearray:
    at = _at(random, data)
    return data[:at] if random.random() < 0.5 else data[:at] + data[at + random.choice((1, 4, 12, 100)) :]


def _again(random: random.Random, data: bytearray, files: dict[str, list[bytes]]) -> bytearray:
    at, width = _at(random, data), random.choice((1, 4, 12, 100, 2000))
    return data[:at] + data[at : at + width] * random.choice((2, 3, 50)) + data[at + width :]


def _splice(random: random.Random, data: bytearray, files: dict[str, list[bytes]]) -> bytearray:
    other = random.choice(random.choice(list(files.values())))
    return data[: _at(random, data)] + other[random.randrange(len(other)) :]


def _random_bytes(random: random.Random, data: bytearray, files: dict[str, list[bytes]]) -> bytearray:
    at, width = _at(random, data), random.choice((1, 4, 16, 64))
    data[at : at + width] = random.randbytes(width)
    return data


def _deflated(random: random.Random, data: bytearray, files: dict[str, list[bytes]]) -> bytearray:
    """Something changed inside a stream of deflate, packed again; a bomb now and then."""
    starts = [at for at in range(len(data) - 2) if data[at] == 0x78 and data[at + 1] in (0x01, 0x5E, 0x9C, 0xDA)]
    if not starts:
        return data
    at = random.choice(starts)
    stream = zlib.decompressobj()
    try:
        plain = bytearray(stream.decompress(bytes(data[at:]), 1_000_000))
    except zlib.error:
        return data
    plain = _flip(random, plain, files) if random.random() < 0.8 else bytearray(20_000_000)
    packed = zlib.compress(bytes(plain), random.choice((0, 1, 9)))
    end = len(data) - len(stream.unused_data)
    if data[:4] == b"\x89PNG":
        data[at - 8 : at - 4] = struct.pack(">I", len(packed))
    return data[:at] + packed + data[end:]


def _tag(random: random.Random, data: bytearray, files: dict[str, list[bytes]]) -> bytearray:
    """An entry of a TIFF directory, in a TIFF or in EXIF, says something else."""
    start = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    if start < 0 or len(data) < start + 10:
        return data
    order = "<" if data[start : start + 2] == b"II" else ">"
    directory = start + struct.unpack_from(f"{order}I", data, start + 4)[0]
    entry = directory + 2 + 12 * random.randrange(20)
    if entry + 12 > len(data):
        return data
    struct.pack_into(f"{order}H", data, entry + 2, random.choice((1, 2, 3, 4, 5, 7, 12, 13, 16, 99)))
    struct.pack_into(f"{order}I", data, entry + 4, random.choice(NUMBERS))
    if random.random() < 0.5:
        struct.pack_into(
            f"{order}I", data, entry + 8, random.choice((*NUMBERS, directory - start, len(data))) & 0xFFFFFFFF
        )
    return data


def _box(random: random.Random, data: bytearray, files: dict[str, list[bytes]]) -> bytearray:
    """A box of an ISO container, or whatever stands beside such a name, says another size or kind."""
    kinds = b"ftyp meta iloc iinf infe iref iprp ipco ipma ispe hvcC av1C mdat pitm dimg moov".split()
    kind = random.choice(kinds)
    at = data.find(kind)
    if at < 4:
        return data
    if random.random() < 0.2:
        data[at : at + 4] = random.choice(kinds)
        return data
    place = at - 4 if random.random() < 0.4 else at + 4 + 2 * random.randrange(12)
    width = random.choice((2, 4))
    data[place : place + width] = (random.choice(NUMBERS) & (256**width - 1)).to_bytes(width)
    return data


_CHANGES = (
    _flip,
    _flip,
    _number,
    _number,
    _number,
    _cut,
    _again,
    _splice,
    _random_bytes,
    _deflated,
    _tag,
    _tag,
    _box,
    _box,
)


def _odd_container(random: random.Random, files: dict[str, list[bytes]]) -> bytes:
    """Items of any kind, made of any others."""
    avif = random.random() < 0.5
    good = files["AVIF" if avif else "HEIF"][1]
    own, data = property_of(good, b"av1C" if avif else b"hvcC"), payload_of(good)
    sides = (1, 64, 96, 97, 1000, 5000, 65535)
    count = random.randrange(1, 12)

    def item() -> Item:
        kind = random.choice((b"av01", b"hvc1", b"grid", b"iovl", b"iden", b"Exif", b"mime", b"tmap"))
        size = size_property(random.choice(sides), random.choice(sides))
        parts = [random.randrange(0, count + 2) for _ in range(random.choice((0, 1, 4, 200)))]
        if kind == b"grid":
            data_of = grid(random.randrange(1, 17), random.randrange(1, 17), random.choice(sides), random.choice(sides))
        elif kind == b"iovl":
            data_of = overlay(random.choice(sides), random.choice(sides), len(parts))
        else:
            data_of = data
        made_of = parts if kind in (b"grid", b"iovl", b"iden", b"tmap") else ()
        return Item(kind, data_of, (size, own), made_of, of=random.choice((0, 0, 1)))

    return container(
        b"avif" if avif else b"heic", [item() for _ in range(count)], primary=random.randrange(1, count + 1)
    )


def _png_with_right_sums(data: bytearray) -> bytearray:
    """Else the decoder stops at the first changed chunk."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        if at + 12 + length > len(data):
            break
        data[at + 8 + length : at + 12 + length] = struct.pack(">I", zlib.crc32(data[at + 4 : at + 8 + length]))
        at += 12 + length
    return data
