"""Text that is read in pictures, and which of it marks them as another's."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from detector.watermark import MOST_LINES, TextLine, WatermarkReader, foreign_handles
from tests.support.portraits import fit, read_rgb

BOX = (10.0, 20.0, 100.0, 16.0)


@pytest.fixture(scope="module")
def reader():
    return WatermarkReader(threads=1)


@pytest.fixture(scope="module")
def photo(portraits):
    return read_rgb(portraits["person_b_1.jpg"])


def captioned(pixels, text, size, opacity=1.0):
    """The picture with `text` in white on a dark shadow at its lower left, letters `size` pixels high."""
    picture = Image.fromarray(pixels).convert("RGBA")
    layer = Image.new("RGBA", picture.size)
    place = (12, picture.height - 2 * size)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(layer).text(
        place, text, font=font, fill=(255, 255, 255, round(255 * opacity)), stroke_width=1, stroke_fill=(0, 0, 0, 90)
    )
    return np.array(Image.alpha_composite(picture, layer).convert("RGB"))


def marks(text, handle="markus77", display_name="Markus W."):
    return [mark.looks_like for mark in foreign_handles([TextLine(text, 0.98, BOX)], handle, display_name)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("@jane_doe", "handle"),
        ("jane_doe", "handle"),
        ("jane.doe.art", "handle"),
        ("tiktok @lila_rose", "handle"),
        ("IG: lilarose99", "handle"),
        ("instagram.com/janedoe", "address"),
        ("agram.com/janedoe", "address"),
        ("t.me/lilasecret", "address"),
        ("onlyfans.com/misslila", "address"),
        ("www.janedoephoto.com", "address"),
        ("jane@doe.com", "address"),
        ("© Jane Doe 2023", "credit"),
        ("(c) 2021 Jane Doe", "credit"),
        ("Photo by Jane Doe", "credit"),
        ("Jane Doe Photography", "credit"),
        ("gettyimages®", "agency"),
        ("shutterst0ck", "agency"),
        ("Getty", "agency"),
    ],
)
def test_handles_addresses_credits_and_agency_marks_are_foreign(text, kind):
    assert marks(text) == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "JUST DO IT",
        "adidas",
        "New York Yankees",
        "STOP",
        "12.10.2003",
        "U.S.A.",
        "Dr. Smith",
        "No. 1",
        "10:30 p.m.",
        "Coca-Cola",
        "WORLD CUP 2002",
        "Instagram",
        "TikTok",
        "© 2003",
        "I @ NY",
        "imagine",
        "Main St.",
        "",
    ],
)
def test_ordinary_words_mark_nothing(text):
    assert marks(text) == []


@pytest.mark.parametrize(
    "text",
    ["@markus77", "@rnarkus_77", "@markus", "instagram.com/markus77.art", "© Markus W", "markus_77", "@w.markus"],
)
def test_the_accounts_own_mark_is_not_foreign_even_misread(text):
    assert marks(text) == []


def test_without_a_handle_every_mark_is_foreign():
    assert marks("@markus77", None, None) == ["handle"]


def test_a_line_the_reader_hardly_believes_is_left_out():
    assert foreign_handles([TextLine("@jane_doe", 0.4, BOX)], None, None) == []


def test_a_mark_seen_twice_is_named_once():
    assert len(foreign_handles([TextLine("@jane_doe", 0.9, BOX)] * 2, None, None)) == 1


@pytest.mark.parametrize("text", ["@" * 80, "a." * 40, "a_" * 40, "w" * 80, "photo by " * 9, ".com/" * 16])
def test_hostile_lines_are_judged_at_once(text):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(marks, text).result(timeout=5)


@pytest.mark.parametrize(
    ("side", "size", "opacity"), [(300, 16, 1.0), (640, 24, 0.7), (1200, 24, 0.8), (1600, 40, 0.6)]
)
def test_a_handle_in_the_corner_of_a_photo_is_found_where_it_stands(reader, photo, side, size, opacity):
    pixels = captioned(fit(photo, side), "@jane.doe_92", size, opacity)
    (mark,) = foreign_handles(reader.read(pixels), "markus77", "Markus")
    assert "jane.doe" in mark.text.lower()
    x, y, width, height = mark.box
    assert abs(x - 12) < 2 * size
    assert pixels.shape[0] - 3 * size < y
    assert y + height <= pixels.shape[0] + 1
    assert 3 * size < width < 12 * size


def test_a_plain_photo_carries_no_foreign_mark(reader, portraits):
    for name in ("person_a_1.jpg", "person_b_2.jpg", "impostor_1.jpg"):
        assert foreign_handles(reader.read(fit(read_rgb(portraits[name]), 500)), "markus77", None) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 900, 3), (900, 3, 3), (2000, 20, 3)])
def test_pictures_of_any_shape_are_read(reader, shape):
    assert reader.read(np.full(shape, 128, np.uint8)) == []


def test_readings_from_several_threads_agree(reader, photo):
    pixels = captioned(fit(photo, 300), "@jane.doe_92", 20)
    with ThreadPoolExecutor(3) as pool:
        readings = list(pool.map(reader.read, [pixels] * 3))
    assert readings[0] and readings == [readings[0]] * 3


def test_reading_touches_no_network_and_leaves_the_root_log_alone():
    program = """
import logging, socket, sys
import numpy as np
def refuse(*a, **k): raise OSError("network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from detector.watermark import WatermarkReader
assert WatermarkReader(1).read(np.zeros((64, 64, 3), np.uint8)) == []
assert logging.getLogger().handlers == []
assert logging.getLogger("RapidOCR").handlers == []
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path.cwd(), timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_of_a_page_of_text_no_more_lines_are_read_than_a_picture_may_cost(reader):
    page = Image.new("RGB", (900, 1400), "white")
    for number in range(60):
        text = f"line {number} of a page that nobody has to read"
        ImageDraw.Draw(page).text((20, 10 + 23 * number), text, font=ImageFont.load_default(18), fill="black")
    # Unbounded all 60 are; the whole, its upper and its lower part are read, and what is read twice counts once.
    assert MOST_LINES <= len(reader.read(np.array(page))) <= 2 * MOST_LINES
