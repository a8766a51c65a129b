"""The demo's uploads: what a platform meets in a day, made from six portraits, each with the outcome that is right."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Way = Literal["inline", "http", "file"]
MACRON, ARDERN = "Emmanuel Macron", "Jacinda Ardern"
ARDERN_ACCOUNT = "acct-jacinda-official"


@dataclass(frozen=True, slots=True)
class DemoEvent:
    """One upload. `expected`: the most urgent finding, else the verdict or the reason of a dead letter; `identity`: who
    must be found, if anyone; `marked`: whether another's mark must be read in it."""

    title: str
    account_id: str
    picture: bytes
    expected: str
    identity: str | None = None
    way: Way = "inline"
    cloud_event: bool = False
    handle: str | None = None
    marked: bool = False


def make_events(portraits: dict[str, Path]) -> list[DemoEvent]:
    """The uploads, in the order of the table."""
    read = {name: _read(path) for name, path in portraits.items()}
    macron, ardern = read["person_a_1.jpg"], read["person_b_1.jpg"]

    def file(name: str) -> bytes:
        return portraits[name].read_bytes()

    return [
        DemoEvent(
            "another photo, 11 years later",
            "acct-1001",
            file("person_a_2.jpg"),
            "same_person",
            MACRON,
            handle="weekend.sailor",
        ),
        DemoEvent(
            "another photo, fetched by URL",
            "acct-1002",
            file("person_b_2.jpg"),
            "same_person",
            ARDERN,
            way="http",
            handle="travel_kate",
        ),
        DemoEvent(
            "same photo, re-encoded small",
            "acct-1003",
            _jpeg(_fit(ardern, 240), 35),
            "same_picture",
            ARDERN,
            handle="coffee.and.cats",
        ),
        DemoEvent(
            "same photo, mirrored",
            "acct-1004",
            _jpeg(macron[:, ::-1]),
            "same_picture",
            MACRON,
            cloud_event=True,
            handle="just_tom_84",
        ),
        DemoEvent(
            "same photo, cropped to the face",
            "acct-1005",
            _jpeg(_crop(ardern)),
            "cropped_picture",
            ARDERN,
            handle="sunny.oslo",
        ),
        DemoEvent(
            "same photo, caption over it",
            "acct-1006",
            _jpeg(_caption(ardern)),
            "same_picture",
            ARDERN,
            way="file",
            handle="lily_online",
        ),
        DemoEvent(
            "same photo, another's handle in it",
            "acct-1007",
            _jpeg(_marked(macron)),
            "same_picture",
            MACRON,
            handle="em.1977",
            marked=True,
        ),
        DemoEvent(
            "a profile that claims the name",
            "acct-1008",
            file("person_b_2.jpg"),
            "name_claim",
            ARDERN,
            handle="the_real.jacindaardern",
        ),
        DemoEvent(
            "group photo, one of three", "acct-1009", _jpeg(_group(read)), "same_person", ARDERN, handle="friday_crew"
        ),
        DemoEvent("her own account", ARDERN_ACCOUNT, file("person_b_2.jpg"), "clear"),
        DemoEvent("somebody else", "acct-1010", file("impostor_1.jpg"), "clear"),
        DemoEvent("somebody else, 100 pixels", "acct-1011", _jpeg(_fit(read["impostor_2.jpg"], 100)), "clear"),
        DemoEvent("a sunset, no face", "acct-1012", _jpeg(_sunset()), "no_face"),
        DemoEvent("a broken file", "acct-1013", file("person_b_1.jpg")[:9000], "truncated_or_damaged"),
        DemoEvent("60,000 x 60,000 pixels", "acct-1014", _huge_png(), "too_many_pixels"),
        DemoEvent("a URL in the private network", "acct-1015", b"", "private_address", way="http"),
    ]


def _read(path: Path) -> Pixels:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError(f"{path} is not a picture")
    return np.asarray(pixels, np.uint8)


def _jpeg(pixels: Pixels, quality: int = 88) -> bytes:
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _fit(pixels: Pixels, side: int) -> Pixels:
    scale = side / max(pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _crop(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    return pixels[int(0.14 * height) : int(0.62 * height), int(0.26 * width) : int(0.74 * width)]


def _caption(pixels: Pixels) -> Pixels:
    written = pixels.copy()
    height, width = written.shape[:2]
    cv2.rectangle(written, (0, int(0.66 * height)), (width, int(0.78 * height)), (30, 30, 30), -1)
    where, scale = (int(0.06 * width), int(0.74 * height)), width / 560
    cv2.putText(written, "message me on chat-app", where, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 2)
    return written


def _marked(pixels: Pixels) -> Pixels:
    """With the handle of somebody else in a corner, as an app puts it there."""
    written = pixels.copy()
    height, width = written.shape[:2]
    where, scale = (int(0.05 * width), int(0.95 * height)), width / 640
    cv2.putText(written, "@claire.dubois_photo", where, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 5, cv2.LINE_AA)
    cv2.putText(
        written, "@claire.dubois_photo", where, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 2, cv2.LINE_AA
    )
    return written


def _group(read: dict[str, Pixels]) -> Pixels:
    names = ("impostor_1.jpg", "person_b_2.jpg", "impostor_2.jpg")
    return np.hstack([np.asarray(cv2.resize(read[name], (300, 390)), np.uint8) for name in names])


def _sunset() -> Pixels:
    down = np.linspace(0, 1, 300)[:, None, None]
    sky = (1 - down) * np.array([130, 60, 40]) + down * np.array([60, 140, 250])
    picture = np.broadcast_to(sky, (300, 400, 3)).astype(np.uint8).copy()
    cv2.circle(picture, (200, 230), 45, (120, 220, 255), -1)
    picture[240:] = (picture[240:] * 0.35).astype(np.uint8)
    return picture


def _huge_png() -> bytes:
    """A few bytes that claim to be a picture of 3,600 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
