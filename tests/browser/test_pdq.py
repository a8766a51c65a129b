"""The script that hashes photos in the browser, in real Chromium: its hashes are the server's."""

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from detector.fingerprint import LONGEST_SIDE, hamming, hash_from, pdq
from detector.identity import PICTURE_LIMIT
from detector.orientation import TURNS
from detector.picture import decode_picture
from tests.support.detectors import PICTURES
from tests.support.portraits import fit, jpeg, read_rgb

SCRIPT = Path(__file__).parents[2] / "web" / "static" / "pdq.js"
HASH_ALL = """async (count) => {
  const { pdqOfFile } = await import("./pdq.js");
  const found = [];
  for (let number = 0; number < count; number++) {
    const file = await (await fetch(`picture/${number}`)).blob();
    found.push(await pdqOfFile(file).catch((error) => ({ error: String(error) })));
  }
  return found;
}"""

SHAPES = [(1, 1), (1, 2000), (2000, 1), (3, 700), (700, 5), (513, 512), (1023, 1025), (90, 1500)]
"""Height, width."""


@pytest.fixture(scope="module")
def in_browser(chromium):
    """Hashes files, all on one page: of each what pdqOfFile gives, or {"error": ...}."""
    page = chromium.browser.new_page()
    files: list[bytes] = []

    def answer(route):
        name = route.request.url.rsplit("/", 1)[1]
        if name == "pdq.js":
            route.fulfill(body=SCRIPT.read_bytes(), content_type="text/javascript")
        elif name.isdigit():
            route.fulfill(body=files[int(name)], content_type="application/octet-stream")
        else:
            route.fulfill(body="<!doctype html><title>PDQ</title>", content_type="text/html")

    page.route("**/*", answer)
    page.goto("https://report.test/")

    def hashed(pictures: Sequence[bytes]):
        files[:] = pictures
        return page.evaluate(HASH_ALL, len(files))

    hashed.page = page
    yield hashed
    page.close()


INVERSE = {
    Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
    Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
}


def scene(number):
    """A picture like nothing in particular: soft colours, shapes, a text, sometimes grain; (H, W, 3) uint8 RGB."""
    chance = np.random.default_rng(number)
    long = 2600 if number % 100 == 7 else int(np.exp(chance.uniform(np.log(64), np.log(1000))))
    short = max(48, int(long * chance.uniform(0.4, 1)))
    width, height = (long, short) if number % 2 else (short, long)
    coarse = chance.integers(0, 256, (*chance.integers(3, 9, 2), 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        colour = tuple(map(int, chance.integers(0, 256, 3)))
        middle = tuple(map(int, chance.integers(0, (width, height))))
        axes = tuple(map(int, chance.integers(long // 30 + 1, long // 5 + 2, 2)))
        cv2.ellipse(pixels, middle, axes, float(chance.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    cv2.putText(
        pixels, f"photo {number}", (width // 9, height // 2), 0, long / 400, (255, 255, 255), max(1, long // 200)
    )
    if number % 3 == 0:
        pixels = np.clip(pixels + chance.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels)


def png(pixels):
    return bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def servers(pixels):
    hash_, quality = pdq(pixels)
    return {"pdq": hash_.tobytes().hex(), "quality": quality, "width": pixels.shape[1], "height": pixels.shape[0]}


def bits_apart(found, pixels):
    return hamming(hash_from(bytes.fromhex(found["pdq"])), pdq(pixels)[0])


def test_of_200_pictures_the_script_makes_the_hashes_that_the_server_makes(in_browser):
    pictures = [scene(number) for number in range(200)]
    assert sum(max(one.shape) > LONGEST_SIDE for one in pictures) > 40, "many are shrunk by whole blocks first"
    assert in_browser([png(one) for one in pictures]) == [servers(one) for one in pictures]


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_of_odd_shapes_are_hashed_as_on_the_server(in_browser, shape):
    pixels = cv2.resize(scene(1), shape[::-1], interpolation=cv2.INTER_AREA)
    (found,) = in_browser([png(pixels)])
    assert (found["quality"], found["height"], found["width"]) == (servers(pixels)["quality"], *shape)
    if min(shape) >= 64:  # else rows repeat, coefficients cancel, and bits are made of rounding errors
        assert bits_apart(found, pixels) == 0


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_averages_of_whole_blocks_are_rounded_as_on_the_server(in_browser, factor):
    """Where all is 100 or 101, what becomes of 100.5 decides."""
    side = factor * LONGEST_SIDE
    pixels = np.repeat(np.random.default_rng(factor).integers(100, 102, (side, side, 1), dtype=np.uint8), 3, axis=2)
    assert in_browser([png(pixels)]) == [servers(pixels)]


def test_a_photo_is_turned_upright_as_on_the_server(in_browser):
    upright = Image.fromarray(cv2.resize(scene(5), (240, 300), interpolation=cv2.INTER_AREA))
    files = []
    for orientation, turn in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = io.BytesIO()
        upright.transpose(INVERSE.get(turn, turn)).save(file, "JPEG", quality=98, exif=exif)
        files.append(file.getvalue())
    for file, found in zip(files, in_browser(files), strict=True):
        assert (found["width"], found["height"]) == (240, 300)
        assert bits_apart(found, decode_picture(file, PICTURES).pixels) <= 2


def test_a_colour_profile_is_not_applied_as_it_is_not_on_the_server(in_browser):
    pixels = scene(3)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red_is_blue = profile.replace(b"rXYZ", b"swap").replace(b"bXYZ", b"rXYZ").replace(b"swap", b"bXYZ")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", icc_profile=red_is_blue)
    assert in_browser([file.getvalue()]) == [servers(pixels)]


def test_what_is_transparent_counts_as_white(in_browser):
    pixels = scene(5)
    squares = np.random.default_rng(5).choice(np.array([0, 255], np.uint8), (6, 6))
    opaque = cv2.resize(squares, pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    file = io.BytesIO()
    Image.fromarray(np.dstack([pixels, opaque])).save(file, "PNG")
    white = decode_picture(file.getvalue(), PICTURES).pixels
    assert (white[opaque == 0] == 255).all()
    assert in_browser([file.getvalue()]) == [servers(white)]


def test_pixels_that_are_there_already_are_hashed_the_same(in_browser):
    pixels = scene(11)
    height, width = pixels.shape[:2]
    rgba = np.dstack([pixels, np.full((height, width), 255, np.uint8)]).tobytes()
    ask = "async ([bytes, w, h]) => (await import('./pdq.js')).pdqOfPixels(Uint8Array.from(bytes), w, h)"
    assert in_browser.page.evaluate(ask, [list(rgba), width, height]) == servers(pixels)


def test_what_is_no_picture_has_no_hash(in_browser):
    (found,) = in_browser([b"no picture at all"])
    assert "InvalidStateError" in found["error"]


def test_a_browser_that_hides_pixels_from_pages_gives_no_hash(in_browser):
    page, photo = in_browser.page, png(scene(2))
    page.evaluate(
        """() => {
          window.honest = CanvasRenderingContext2D.prototype.getImageData;
          CanvasRenderingContext2D.prototype.getImageData = function (...where) {
            const read = window.honest.apply(this, where);
            read.data.fill(255);
            return read;
          };
        }"""
    )
    try:
        (found,) = in_browser([photo])
    finally:
        page.evaluate("() => { CanvasRenderingContext2D.prototype.getImageData = window.honest; }")
    assert "hides the pixels" in found["error"]
    assert in_browser([photo]) == [servers(scene(2))]


def test_a_photo_as_the_browser_decodes_it_is_the_same_picture_to_the_server(in_browser, portraits):
    files = [path.read_bytes() for path in portraits.values()]
    files += [jpeg(read_rgb(path), quality) for path in portraits.values() for quality in (60, 90)]
    files += [jpeg(fit(read_rgb(portraits[name]), 3200)) for name in ("person_a_1.jpg", "person_b_2.jpg")]
    apart = bits_of(in_browser, files)
    assert max(apart) <= PICTURE_LIMIT / 2


def test_real_photographs_are_the_same_picture_to_browser_and_server(in_browser, real_faces, capsys):
    files = [path.read_bytes() for path in sorted(real_faces.glob("lfw_dev/*/*.jpg"))[::40][:200]]
    apart = bits_of(in_browser, files)
    with capsys.disabled():
        print(f"\n  {len(files)} photographs: bits apart {np.bincount(apart).tolist()}", end=" ")
    assert max(apart) <= PICTURE_LIMIT / 2


def bits_of(in_browser, files):
    """By how many bits the browser's hash of each file differs from the one that the server makes of it."""
    found = in_browser(files)
    return [bits_apart(one, decode_picture(file, PICTURES).pixels) for one, file in zip(found, files, strict=True)]
