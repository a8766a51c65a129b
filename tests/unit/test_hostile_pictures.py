"""Files made to do harm end soon and cheaply, whatever they claim. They are decoded in a process of their own, so that
a crash and the memory can be seen from outside. The whole table, faces included, is docs/hostile.md's."""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks import hostile_containers as containers
from benchmarks import hostile_pictures as pictures
from benchmarks.costly_pictures import costly_pictures, stripes
from benchmarks.hostile_boxes import Item, container, payload_of, property_of, size_property
from benchmarks.peak_memory import forget_peaks, peak
from detector.picture import PictureLimits, PictureRejected, decode_picture

LIMITS = PictureLimits(max_bytes=20_000_000, max_pixels=40_000_000, decode_seconds=1.5, working_side=1600)
CPU_SECONDS = LIMITS.decode_seconds + 1
REJECTED = {"too_many_pixels", "truncated_or_damaged"}
DEAREST = ("PNG with a transparent colour", "BMP, one bit", "TIFF, deflate, transparent", "TIFF, JPEG of 99 scans")


def family(name):
    """Files by name; the time it takes to make them is nobody's."""
    if name == "says it is huge":
        return pictures.declared_huge() | {f"coded {one}": data for one, data in containers.coded_huge().items()}
    if name == "a length says 1 GB":
        return pictures.gigabyte_lengths()
    if name == "dearest":
        return {one: costly_pictures()[one]() for one in DEAREST}
    if name == "stripes":
        return {one: make() for one, make in stripes(4_000_000).items()}
    if name == "animations":
        return {one: pictures.animation(one, 1000) for one in ("GIF", "WEBP", "AVIF", "PNG", "TIFF")}
    makers = {
        "texts and profiles": [partial(pictures.zlib_bomb, kind, 100) for kind in (b"iCCP", b"zTXt", b"iTXt")],
        "endless reading": [
            partial(pictures.jpeg_of_many_scans, 6320, 3500),
            pictures.jpeg_of_many_markers,
            pictures.gif_of_many_extensions,
        ],
        "TIFF": [
            pictures.tiff_of_many_strips,
            pictures.tiff_of_shared_strips,
            pictures.tiff_of_a_huge_tile,
            pictures.tiff_of_many_tags,
        ],
        "containers": [
            containers.heif_of_one_tile_again_and_again,
            containers.heif_of_tiles_beyond_the_picture,
            containers.heif_of_shared_metadata,
            partial(containers.heif_of_a_huge_canvas, b"grid"),
            partial(containers.heif_of_a_huge_canvas, b"iovl"),
            containers.avif_of_many_frames,
            containers.avif_of_cells_beyond_the_picture,
        ],
        "odd but good": [pictures.tiff_of_looping_directories, partial(pictures.jpeg_of_overlapping_exif, 3)],
    }[name]
    return {str(make): make() for make in makers}


@pytest.mark.parametrize(
    ("name", "outcomes", "megabytes"),
    [
        ("says it is huge", REJECTED, 20),
        ("a length says 1 GB", {*REJECTED, "decoded"}, 20),
        ("texts and profiles", REJECTED, 40),
        ("endless reading", {"decode_timeout"}, 150),
        ("TIFF", REJECTED, 60),
        ("containers", REJECTED, 60),
        ("stripes", {"too_many_pixels"}, 20),
        ("animations", {"decoded"}, 20),
        ("odd but good", {"decoded"}, 60),
        ("dearest", {"decoded", "decode_timeout"}, 600),
    ],
)
def test_a_hostile_file_ends_soon_and_cheaply(name, outcomes, megabytes):
    child = subprocess.run(
        [sys.executable, "-m", "tests.unit.test_hostile_pictures", name],
        capture_output=True,
        text=True,
        timeout=250,
        cwd=Path(__file__).parents[2],
    )
    assert child.returncode == 0, child.stderr[-2000:]
    found = json.loads(child.stdout)
    assert found
    for file, (outcome, seconds, grown) in found.items():
        assert outcome in outcomes, (file, outcome)
        assert seconds < CPU_SECONDS, (file, seconds)
        assert grown < megabytes, (file, grown)


def test_what_hangs_on_behind_a_picture_or_within_it_changes_nothing():
    plain = pictures.encoded(pictures.plain(), "JPEG")
    tail = b"PK\3\4" + bytes(1000) + b"<script>alert(1)</script>"
    with_comment = plain[:2] + b"\xff\xfe\0\x08<html>" + plain[2:]
    for data in (plain + tail, with_comment):
        assert (decode_picture(data, LIMITS).pixels == decode_picture(plain, LIMITS).pixels).all()


def test_no_other_picture_of_a_container_stands_in_for_a_main_one_that_cannot_be_decoded():
    good = pictures.encoded(pictures.plain(), "HEIF")
    size, own = size_property(64, 64), property_of(good, b"hvcC")
    shown, other = Item(b"tmap", b"?", (size,)), Item(b"hvc1", payload_of(good), (size, own))
    assert decode_picture(container(b"heic", [shown, other], primary=2), LIMITS).width == 64
    with pytest.raises(PictureRejected, match="truncated_or_damaged"):
        decode_picture(container(b"heic", [shown, other], primary=1), LIMITS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7\n" + pictures.encoded(pictures.plain(), "JPEG"), "unsupported_format"),
        (b"<html>" + pictures.encoded(pictures.plain(), "JPEG"), "not_a_picture"),
        (b"PK\3\4" + pictures.encoded(pictures.plain(), "PNG"), "not_a_picture"),
        (b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM '/etc/passwd'>]><svg>&x;</svg>", "unsupported_format"),
        (b"\x1f\x8b\x08" + bytes(100), "not_a_picture"),
    ],
    ids=["PDF", "HTML", "ZIP", "SVG", "gzip"],
)
def test_a_picture_inside_of_something_else_is_not_looked_for(data, reason):
    with pytest.raises(PictureRejected) as rejected:
        decode_picture(data, LIMITS)
    assert rejected.value.reason == reason


def decode_all(files):
    """For each file what came of it, its seconds of computing, and the megabytes that it took at most."""
    decode_picture(pictures.encoded(pictures.plain(), "HEIF"), LIMITS)
    found = {}
    for name, data in files.items():
        idle, started = forget_peaks(), time.process_time()
        try:
            decode_picture(data, LIMITS)
            outcome = "decoded"
        except PictureRejected as rejected:
            outcome = rejected.reason
        found[name] = (outcome, time.process_time() - started, peak() - idle)
    return found


if __name__ == "__main__":
    print(json.dumps(decode_all(family(sys.argv[1]))))
