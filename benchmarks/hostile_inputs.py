"""Every hostile input of the table, by family: what it is called, and what makes it."""

import gzip
import io
import struct
import zipfile
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks import hostile_containers as containers
from benchmarks import hostile_pictures as pictures
from benchmarks.costly_pictures import costly_pictures, stripes
from benchmarks.hostile_boxes import box

Make = Callable[[], bytes | Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Family:
    """`inputs`: what makes each, by name; several files are screened one after the other. `patiently`: decoding gets
    all the time that it takes, which is then held against the limit."""

    name: str
    inputs: Mapping[str, Make]
    patiently: bool = False


def families(portraits: Mapping[str, Path]) -> Iterator[Family]:
    """All but the files of LIKENESS_FACES. `portraits`: the demo's, by name."""
    portrait = portraits["person_b_1.jpg"].read_bytes()
    yield Family("says it is huge", _each(pictures.declared_huge()))
    yield Family("is huge, says it is not", _each(containers.coded_huge()))
    yield Family("a length says 1 GB", _each(pictures.gigabyte_lengths()))
    yield Family("costliest that is allowed", costly_pictures(), patiently=True)
    yield Family("odd shape", {**stripes(), "PNG of one pixel": lambda: pictures.encoded(pictures.plain(1, 1), "PNG")})
    yield Family("unpacks, repeats, overlaps", _bombs())
    yield Family("10,000 frames", _animations())
    yield Family("many faces", _crowds(portrait))
    yield Family("also something else", _polyglots(portrait))
    yield Family("no picture", _no_pictures(portrait))


def bad_input(faces: str | None) -> Iterator[Family]:
    """The files of bad_input/ by the ends of their names; none without the folder."""
    if not faces or not (folder := Path(faces) / "bad_input").is_dir():
        return
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        kinds[path.suffix.lower() or "no ending"].append(path)
    several = {kind: files for kind, files in kinds.items() if len(files) > 5}
    rest = [path for kind, files in kinds.items() if kind not in several for path in files]
    yield Family(
        "bad files met elsewhere", {name: _read(files) for name, files in (*several.items(), ("others", rest))}
    )


def _read(files: Sequence[Path]) -> Make:
    return lambda: [path.read_bytes() for path in files]


def _each(files: Mapping[str, bytes]) -> Mapping[str, Make]:
    return {name: partial(bytes, data) for name, data in files.items()}


def _bombs() -> Mapping[str, Make]:
    return {
        "PNG, colour profile of 500 MB": lambda: pictures.zlib_bomb(b"iCCP"),
        "PNG, packed texts of 500 MB": lambda: pictures.zlib_bomb(b"zTXt"),
        "PNG, packed Unicode texts of 500 MB": lambda: pictures.zlib_bomb(b"iTXt"),
        "PNG, 1,600,000 chunks": lambda: pictures.small_png(*[(b"prVt", b"")] * 1_600_000),
        "JPEG, 3,500 empty scans of 40 megapixels": lambda: pictures.jpeg_of_many_scans(6320, 3500),
        "JPEG, 4,900,000 markers": pictures.jpeg_of_many_markers,
        "JPEG, EXIF that says 5,000 times all of it": pictures.jpeg_of_overlapping_exif,
        "GIF, 2,000,000 extensions": pictures.gif_of_many_extensions,
        "BMP, jumps over 255 rows": pictures.bmp_of_wide_jumps,
        "TIFF, 4,900,000 strips": pictures.tiff_of_many_strips,
        "TIFF, 400 strips that are the same 15 MB": pictures.tiff_of_shared_strips,
        "TIFF, a tile of 1,200 megapixels": pictures.tiff_of_a_huge_tile,
        "TIFF, 65,535 tags of 15 MB": pictures.tiff_of_many_tags,
        "TIFF, directories in a loop": pictures.tiff_of_looping_directories,
        "HEIF, one tile 144 times": containers.heif_of_one_tile_again_and_again,
        "HEIF, tiles of 36 megapixels in a small grid": containers.heif_of_tiles_beyond_the_picture,
        "HEIF, 900 times the same 15 MB of EXIF": containers.heif_of_shared_metadata,
        "HEIF, a grid's own size is huge": lambda: containers.heif_of_a_huge_canvas(b"grid"),
        "HEIF, an overlay's own size is huge": lambda: containers.heif_of_a_huge_canvas(b"iovl"),
        "AVIF, 5,000 frames of 19 megapixels": containers.avif_of_many_frames,
        "AVIF, cells of 19 megapixels that say 64 x 64": containers.avif_of_cells_beyond_the_picture,
    }


def _animations() -> Mapping[str, Make]:
    return {
        "GIF": lambda: pictures.animation("GIF", 10_000),
        "WebP": lambda: pictures.animation("WEBP", 10_000),
        "AVIF": lambda: pictures.animation("AVIF", 10_000, speed=10),
        "PNG": lambda: pictures.animation("PNG", 10_000),
        "TIFF": lambda: pictures.animation("TIFF", 10_000),
    }


def _crowds(portrait: bytes) -> Mapping[str, Make]:
    return {
        f"{count:,} portraits of {side} pixels": partial(crowd, portrait, count, side)
        for count, side in ((10_000, 63), (2_500, 126), (900, 210), (400, 300))
    }


def crowd(portrait: bytes, count: int, side: int) -> bytes:
    """A square of `count` times the same portrait, each `side` pixels wide and high."""
    one = cv2.imdecode(np.frombuffer(portrait, np.uint8), cv2.IMREAD_COLOR)
    assert one is not None
    height, width = one.shape[:2]
    small = cv2.resize(one[: min(height, width)], (side, side), interpolation=cv2.INTER_AREA)
    across = round(count**0.5)
    return bytes(cv2.imencode(".jpg", np.tile(small, (across, across, 1)), [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def _zip(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def _polyglots(portrait: bytes) -> Mapping[str, Make]:
    script = b"<html><script>alert(1)</script></html>"
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(script)) + script
    gif = pictures.encoded(Image.open(io.BytesIO(portrait)).convert("P"), "GIF")
    nonsense = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(range(256)) * 40
    exif = b"\xff\xe1" + struct.pack(">H", 2 + len(nonsense)) + nonsense
    return {
        "JPEG with a ZIP behind it": lambda: portrait + _zip("a.txt", bytes(1000)),
        "JPEG with a ZIP bomb behind it": lambda: portrait + _zip("a.txt", bytes(200_000_000)),
        "GIF with a JAR behind it": lambda: gif + _zip("META-INF/MANIFEST.MF", b"Main-Class: A\n"),
        "JPEG with HTML in a comment": lambda: portrait[:2] + comment + portrait[2:],
        "PNG with HTML in a text": lambda: pictures.small_png((b"tEXt", b"x\0" + script)),
        "GIF that is a script": lambda: gif[:6] + b"/*" + gif[8:] + b"*/=1;alert(1)",
        "JPEG with EXIF of nonsense": lambda: portrait[:2] + exif + portrait[2:],
        "PDF with a JPEG in it": lambda: b"%PDF-1.7\n" + portrait,
        "HTML with a JPEG in it": lambda: script + portrait,
        "ZIP with a JPEG in it": lambda: _zip("a.jpg", portrait),
    }


def _no_pictures(portrait: bytes) -> Mapping[str, Make]:
    head, tail = b'<svg xmlns="http://www.w3.org/2000/svg">', b"</svg>"
    entity = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + head + b"&x;" + tail
    laughs = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    billion = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a0 "ha">' + laughs + b"]>" + head + b"&a9;" + tail
    embedded = head + b'<image href="data:image/jpeg;base64,' + b64encode(portrait) + b'"/>' + tail
    film = box(b"moov", box(b"mvhd", bytes(100))) + box(b"mdat", bytes(5_000_000))
    return {
        "SVG": lambda: head + b'<rect width="1e9" height="1e9"/>' + tail,
        "SVG, gzipped": lambda: gzip.compress(head + b" " * 10_000_000 + tail),
        "SVG with an external entity": lambda: entity,
        "SVG with a billion laughs": lambda: billion,
        "SVG with a JPEG in it": lambda: embedded,
        "19 MB of spaces": lambda: b" " * 19_000_000,
        "MP4": lambda: box(b"ftyp", b"isom", bytes(4), b"isommp42") + film,
        "MP4 that says it is HEIF": lambda: box(b"ftyp", b"heic", bytes(4), b"mif1heic") + film,
        "MP4 that says it is AVIF": lambda: box(b"ftyp", b"avif", bytes(4), b"mif1avif") + film,
        "empty": lambda: b"",
        "one byte more than allowed": lambda: bytes(20_000_001),
    }
