import itertools
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from benchmarks.hostile_pictures import encoded, jpeg_of_many_scans, with_declared_size
from detector.picture import REASONS, PictureLimits, PictureRejected, decode_picture
from tests.unit.picture_samples import (
    CORNERS,
    corners,
    orientation_exif,
    png,
    png_of,
    quarters,
    stored_turned,
    tiff,
)

LIMITS = PictureLimits(max_bytes=20_000_000, max_pixels=40_000_000, decode_seconds=5.0, working_side=1600)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")  # pytest resets our own filter
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "BMP", "TIFF")
GREY_RAMP = (np.arange(256, dtype=np.uint16) * 256 + 128)[None].repeat(16, 0)


def assert_quarters(pixels, tolerance=12):
    for corner, colour in corners(pixels).items():
        assert np.abs(colour.astype(int) - CORNERS[corner]).max() <= tolerance, (corner, colour)


def rejection(data, limits=LIMITS, **arguments):
    with pytest.raises(PictureRejected) as caught:
        decode_picture(data, limits, **arguments)
    assert caught.value.reason in REASONS
    assert caught.value.detail.endswith(".")
    return caught.value.reason


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_accepted_format_decodes_to_its_colours(file_format):
    options = {"quality": 95} if file_format in ("JPEG", "WEBP", "AVIF", "HEIF") else {}
    picture = decode_picture(encoded(quarters(), file_format, **options), LIMITS)
    assert (picture.format, picture.width, picture.height, picture.scale) == (file_format, 96, 64, 1.0)
    assert picture.pixels.dtype == np.uint8 and picture.pixels.flags.c_contiguous
    assert picture.pixels.shape == (64, 96, 3)
    assert_quarters(picture.pixels)


@pytest.mark.parametrize(
    ("file_format", "orientation"),
    [("JPEG", n) for n in range(1, 9)]
    + [(f, n) for f in ("PNG", "WEBP", "TIFF", "AVIF", "HEIF") for n in (3, 5, 6, 8)],
)
def test_a_picture_stored_turned_comes_out_upright(file_format, orientation):
    picture = decode_picture(stored_turned(file_format, orientation, quarters()), LIMITS)
    assert (picture.width, picture.height) == (96, 64)
    assert picture.pixels.shape == (64, 96, 3)
    assert_quarters(picture.pixels, tolerance=40)


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "HEIF"])
@pytest.mark.parametrize(
    ("good", "broken"),
    [
        (b"II*\0\x08\0\0\0", b"??*\0\x08\0\0\0"),
        (b"II*\0\x08\0\0\0", b"II*\0\xff\xff\xff\x7f"),
        (b"\x01\0\x12\x01\x03\0", b"\xff\xff\x13\x01\x63\0"),
    ],
)
def test_broken_exif_does_not_reject_a_good_picture(file_format, good, broken):
    data = encoded(quarters(), file_format, exif=orientation_exif(1))
    assert good in data
    assert_quarters(decode_picture(data.replace(good, broken), LIMITS).pixels, tolerance=40)


def test_broken_exif_does_not_reject_a_good_avif():
    exif = Image.Exif()
    exif[0x013B] = "somebody"
    data = encoded(quarters(), "AVIF", exif=exif.tobytes())
    at = data.index(b"somebody")
    start = max(data.rfind(b"II*\0", 0, at), data.rfind(b"MM\0*", 0, at))
    broken = data[:start] + b"????" + data[start + 4 :]
    assert_quarters(decode_picture(broken, LIMITS).pixels, tolerance=40)


def test_an_avif_sequence_gives_its_still_picture():
    data = encoded(quarters(), "AVIF", save_all=True, append_images=[Image.new("RGB", (96, 64))])
    assert_quarters(decode_picture(data, LIMITS).pixels, tolerance=40)


def test_an_animated_gif_gives_its_first_frame():
    data = encoded(quarters(), "GIF", save_all=True, append_images=[Image.new("RGB", (96, 64))])
    assert_quarters(decode_picture(data, LIMITS).pixels)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_cmyk_jpeg_comes_out_in_its_colours(progressive):
    data = encoded(quarters().convert("CMYK"), "JPEG", quality=95, progressive=progressive)
    assert_quarters(decode_picture(data, LIMITS).pixels)


@pytest.mark.parametrize(
    "data",
    [png_of(GREY_RAMP, 16, 0), encoded(Image.fromarray(GREY_RAMP), "TIFF"), png_of(np.dstack([GREY_RAMP] * 3), 16, 2)],
    ids=["grey PNG", "grey TIFF", "colour PNG"],
)
def test_sixteen_bits_are_scaled_to_eight_and_not_clipped(data):
    pixels = decode_picture(data, LIMITS).pixels
    assert np.abs(pixels[8].astype(int) - np.arange(256)[:, None]).max() <= 1


@pytest.mark.parametrize("top", [1.0, 255.0, 5000.0])
def test_a_float_tiff_runs_from_black_to_white_whatever_its_unit(top):
    ramp = np.linspace(0, top, 256, dtype=np.float32)[None].repeat(16, 0)
    pixels = decode_picture(encoded(Image.fromarray(ramp), "TIFF"), LIMITS).pixels
    assert np.abs(pixels[8].astype(int) - np.arange(256)[:, None]).max() <= 1


def test_a_float_tiff_with_values_that_are_no_numbers_is_decoded():
    values = np.full((16, 16), 0.5, np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    pixels = decode_picture(encoded(Image.fromarray(values), "TIFF"), LIMITS).pixels
    assert [int(v) for v in pixels[0, :4, 0]] == [0, 255, 0, 128]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(mode):
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 20, 40))
    image.paste((0, 0, 0, 128), (0, 0, 20, 20))
    pixels = decode_picture(encoded(image.convert(mode), "PNG"), LIMITS).pixels
    assert (pixels[30, 30] == 255).all() and (pixels[30, 10] == 0).all() and np.abs(pixels[10, 10] - 127.0).max() <= 1


def test_a_transparent_palette_colour_is_laid_over_white():
    image = Image.new("P", (20, 20), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(0, (0, 0, 10, 20))
    for data in (encoded(image, "GIF", transparency=1), encoded(image, "PNG", transparency=b"\xff\0")):
        pixels = decode_picture(data, LIMITS).pixels
        assert (pixels[5, 15] == 255).all() and tuple(pixels[5, 5]) == (10, 20, 30)


def test_the_hidden_edge_colour_of_transparent_pixels_does_not_bleed_when_scaled_down():
    image = Image.new("RGBA", (400, 400), (255, 0, 255, 0))
    image.paste((0, 200, 0, 255), (0, 0, 203, 400))
    pixels = decode_picture(encoded(image, "PNG"), PictureLimits(10**7, 10**7, 5.0, 40)).pixels.astype(int)
    assert (pixels[..., 1] >= pixels[..., 0] - 1).all()


def test_one_bit_pixels_are_black_and_white():
    image = Image.new("1", (16, 16), 1)
    image.paste(0, (0, 0, 8, 16))
    pixels = decode_picture(encoded(image, "PNG"), LIMITS).pixels
    assert (pixels[8, 2] == 0).all() and (pixels[8, 12] == 255).all()


def test_fine_detail_of_a_palette_picture_is_averaged_when_scaled_down():
    checks = Image.fromarray((np.indices((400, 400)).sum(0) % 2 * 255).astype(np.uint8)).convert("P")
    pixels = decode_picture(encoded(checks, "PNG"), PictureLimits(10**7, 10**7, 5.0, 100)).pixels
    assert np.abs(pixels - 127.5).max() < 16


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_picture_of_one_pixel_decodes(file_format):
    picture = decode_picture(encoded(Image.new("RGB", (1, 1), "white"), file_format), LIMITS)
    assert picture.pixels.shape == (1, 1, 3) and picture.pixels.min() > 240


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("size", [(1000, 600), (600, 1000), (3000, 2)])
def test_a_large_picture_is_scaled_down_to_the_working_side(file_format, size):
    picture = decode_picture(encoded(quarters(*size), file_format), PictureLimits(10**7, 10**7, 10.0, 200))
    assert (picture.width, picture.height, picture.scale) == (*size, 200 / max(size))
    assert max(picture.pixels.shape) == 200
    if min(size) > 2:
        assert_quarters(picture.pixels, tolerance=40)


def test_an_empty_file_is_rejected():
    assert rejection(b"") == "empty"


def test_a_file_over_the_limit_on_bytes_is_rejected_and_one_at_the_limit_is_not():
    data = encoded(quarters(), "PNG")
    decode_picture(data, PictureLimits(len(data), 10**6, 5.0, 100))
    assert rejection(data, PictureLimits(len(data) - 1, 10**6, 5.0, 100)) == "too_many_bytes"


@pytest.mark.parametrize(
    "data", [b"hello", b"\0" * 5000, b"BM but not a bitmap, only a letter that begins so", b"\xff"]
)
def test_bytes_that_are_no_picture_are_rejected(data):
    assert rejection(data) == "not_a_picture"


@pytest.mark.parametrize("file_format", ["PPM", "PCX", "ICO", "JPEG2000", "DDS", "PDF", "EPS", "SGI"])
def test_a_known_format_that_is_not_wanted_is_rejected_before_its_decoder_runs(file_format):
    assert rejection(encoded(quarters(), file_format)) == "unsupported_format"


@pytest.mark.parametrize("data", [b"<svg xmlns='x'/>", b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", b"8BPS\0\1"])
def test_a_drawing_and_a_video_are_rejected_as_such(data):
    assert rejection(data) == "unsupported_format"


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_cut_short_is_rejected_wherever_it_is_cut(file_format):
    noise = Image.effect_noise((300, 200), 80).convert("RGB")
    data = encoded(noise, file_format)
    for share in (0.05, 0.3, 0.6, 0.9):
        assert rejection(data[: int(len(data) * share)]) == "truncated_or_damaged"


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_limit_on_pixels_holds_in_every_format(file_format):
    data = encoded(quarters(200, 100), file_format)
    decode_picture(data, PictureLimits(10**6, 40_000, 5.0, 100))
    assert rejection(data, PictureLimits(10**6, 19_999, 5.0, 100)) == "too_many_pixels"


def test_the_limit_on_pixels_does_not_hang_on_pillows_own():
    body = zlib.compress(bytes(9500 * 9501), 9)
    data = png(9500, 9500, 8, 0, (b"IDAT", body))
    assert rejection(data) == "too_many_pixels"
    assert decode_picture(data, PictureLimits(10**7, 100_000_000, 20.0, 100)).width == 9500


@pytest.mark.parametrize(
    "data",
    [
        png(100_000, 100_000, 8, 2, (b"IDAT", zlib.compress(bytes(1000)))),
        png(20_000, 20_000, 8, 6, (b"IDAT", zlib.compress(bytes(50_000_000), 9))),
        bytes.fromhex("474946383961ffffffff80000000000000000000 2c00000000ffffffff00 02024401003b"),
        bytes.fromhex("474946383961100010008000000000000000 0000 2c00000000ffffffff00 02024401003b"),
        b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\x00\xff\x3f\x00",
        tiff(90_000, 90_000, b"", {258: (3, 8), 259: (3, 1), 262: (3, 1), 277: (3, 1)}),
        with_declared_size(encoded(quarters(), "HEIF"), 30_000, 30_000),
        with_declared_size(encoded(quarters(), "AVIF"), 15_000, 15_000),
    ],
    ids=["PNG header", "deep PNG", "GIF screen", "GIF frame beyond its screen", "WebP", "TIFF", "HEIF", "AVIF"],
)
def test_a_bomb_is_rejected_before_it_goes_off(data):
    started = time.perf_counter()
    assert rejection(data) in ("too_many_pixels", "truncated_or_damaged")
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
def test_a_container_that_understates_its_frame_is_rejected(file_format):
    data = with_declared_size(encoded(quarters(3000, 2000), file_format), 64, 64)
    assert rejection(data, PictureLimits(10**7, 2_000_000, 5.0, 100)) in ("too_many_pixels", "truncated_or_damaged")


def test_a_tiff_tile_far_larger_than_its_picture_is_rejected():
    tile = zlib.compress(bytes(100_000_000), 9)
    tags = {258: (3, 8), 259: (3, 8), 262: (3, 1), 277: (3, 1), 322: (4, 60_000), 323: (4, 60_000)}
    assert rejection(tiff(100, 100, tile, tags)) == "too_many_pixels"


@pytest.mark.parametrize("file_format", FORMATS)
def test_decoding_is_given_up_at_the_deadline_by_the_clock_it_is_given(file_format):
    ticks = itertools.count()
    data = encoded(quarters(), file_format)
    assert rejection(data, PictureLimits(10**6, 10**6, 1.0, 100), clock=lambda: float(next(ticks))) == "decode_timeout"


def test_a_jpeg_of_endless_scans_ends_soon_after_the_deadline():
    data = jpeg_of_many_scans(4096, 100_000)
    started = time.perf_counter()
    assert rejection(data, PictureLimits(10**8, 40_000_000, 0.5, 1600)) == "decode_timeout"
    assert time.perf_counter() - started < 2


def test_many_threads_decode_at_once_and_each_gets_its_own_picture():
    files = [encoded(Image.new("RGB", (300 + i, 200), (i * 10, 100, 50)), FORMATS[i % len(FORMATS)]) for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(lambda data: decode_picture(data, LIMITS), files * 4))
    for i, picture in enumerate(pictures):
        assert picture.width == 300 + i % 24
        assert abs(int(picture.pixels[100, 100, 0]) - i % 24 * 10) <= 6


@pytest.mark.parametrize(
    "data",
    [
        tiff(8, 8, bytes(64), {258: (3, 8), 259: (3, 1), 262: (3, 1), 277: (3, 1), 700: (12, 2**31)}),
        tiff(8, 8, b"not deflate", {258: (3, 8), 259: (3, 8), 262: (3, 1), 277: (3, 1)}),
        tiff(8, 8, b"not a fax", {258: (3, 1), 259: (3, 4), 262: (3, 1), 277: (3, 1)}),
        tiff(8, 8, bytes(64), {258: (3, 8), 259: (3, 1), 262: (3, 1), 277: (4, 99)}),
    ],
    ids=["tag out of the file", "damaged deflate", "damaged fax", "absurd samples per pixel"],
)
def test_a_bad_tiff_says_nothing_on_stderr(data):
    program = (
        "import sys; from detector.picture import *\n"
        f"limits = {LIMITS!r}\n"
        "try: print(decode_picture(sys.stdin.buffer.read(), limits).format)\n"
        "except PictureRejected as error: print(error.reason)"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", program], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stdout.split()[0] in (b"TIFF", b"truncated_or_damaged")
    assert done.stderr == b""
