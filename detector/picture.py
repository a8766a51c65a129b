"""Step one of screening: hostile bytes become upright RGB pixels, or a `PictureRejected` with a reason.

Nothing is believed before it is checked: the size in bytes before the file is opened, the size in pixels as the header
declares it before pixels are decoded, the time at every read of the decoder and once more at its end.
"""

import contextlib
import ctypes
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageFile, _imaging
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from detector.avif_frames import frame_sizes, still_picture
from detector.box_items import read_items
from detector.orientation import TURNS, exif_orientation
from detector.picture_format import other_format, picture_format
from detector.tiff_parts import tile_size

REASONS = MappingProxyType(
    {
        "empty": "There are no bytes.",
        "too_many_bytes": "The file is larger than the limit on bytes.",
        "not_a_picture": "The bytes do not begin like any known picture.",
        "unsupported_format": "A format that is known but not decoded here.",
        "too_many_pixels": "Width times height is over the limit, or a side over 65,535; see PictureLimits.",
        "truncated_or_damaged": "The file begins like a picture but cannot be decoded: cut, broken, or a rare variant.",
        "decode_timeout": "Decoding took longer than the limit on time.",
        "out_of_memory": "The decoder asked for more memory than it may have.",
        "screening_failed": "The picture was decoded, but looking for its faces failed; the log tells where.",
        "screening_timeout": "Looking at the picture took so long that the process doing it was ended.",
        "worker_crashed": "The process that looked at the picture ended, and so did the one that tried again.",
    }
)
"""Every reason of a `PictureRejected` and what it means."""

# Complaints about bad files would reach stderr; catch_warnings, the usual way, is not safe between threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
with contextlib.suppress(
    AttributeError, OSError
):  # libtiff is linked in a way that cannot be reached: it will complain
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)

# An embedded thumbnail may show another picture than people see; the other extras are not needed.
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False

# Pillow keeps two 16 MB blocks; else the heap is given back and faulted in anew for every picture (10 ms against 4).
_imaging.set_blocks_max(2)

# The plugins themselves, not Image.open: no other format, no process-wide pixel limit, no thumbnails of MPO files.
_DECODERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "GIF": GifImageFile,
    "AVIF": AvifImageFile,
    "HEIF": pillow_heif.HeifImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
}
# Their decoders hold up to 20 bytes a pixel, twice as much as the others; so does HEIF's with full chroma.
_COSTLY = frozenset({"WEBP", "AVIF", "TIFF"})

# Small enough that a scan made of almost nothing, of which a hostile file has thousands, meets the clock in time.
_JPEG_BLOCK = 1024

# The most that JPEG and GIF can say; elsewhere a picture of few columns and millions of rows takes twice its memory.
_MAX_SIDE = 65_535

# A container's own thumbnails, alpha and grid cells: all together as many times the pixels that one picture may have.
_INSIDE = 2

# The TIFF and HEIF plugins turn by themselves; the AVIF plugin hands on the container's rotation as EXIF.
_TURNED_BY_EXIF = frozenset({"JPEG", "PNG", "WEBP", "AVIF"})


class PictureRejected(ValueError):
    """Bytes that cannot be screened. `reason`: a key of REASONS; `detail`: one sentence for an operator."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return PictureRejected, (self.reason, self.detail)


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What one picture may cost.

    `max_bytes` of the file. `max_pixels`, width x height; WebP, AVIF, TIFF and HEIF with full chroma get half of it:
    decoding them takes twice the memory. No side may be over 65,535 pixels. With 40 million every format stays below
    512 MB. `decode_seconds`, checked whenever the decoder reads and at its end. `working_side`: longest side of the
    pixels handed on.
    """

    max_bytes: int
    max_pixels: int
    decode_seconds: float
    working_side: int


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An upright picture at working scale.

    `pixels`: uint8, (H, W, 3), RGB, C-contiguous, read-only; (H, W) where only `luma` was kept. `width`, `height`: the
    upright size as uploaded.
    `scale`: working pixels per uploaded pixel, <= 1. `format`: JPEG, PNG, WEBP, GIF, AVIF, HEIF, BMP or TIFF.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    scale: float
    format: str

    @property
    def luma(self) -> NDArray[np.uint8]:
        """(H, W) uint8."""
        return (
            self.pixels
            if self.pixels.ndim == 2
            else np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), np.uint8)
        )

    def without_colours(self) -> Self:
        """The same picture with its luma alone, a third of the bytes."""
        return replace(self, pixels=self.luma)


def decode_picture(data: bytes, limits: PictureLimits, *, clock: Callable[[], float] = time.thread_time) -> Picture:
    """The picture in `data`: JPEG, PNG, WebP, GIF, AVIF, HEIC/HEIF, BMP or TIFF; of several frames the first.

    Upright as EXIF, the TIFF tag or the container says. 16-bit channels keep their whole range. Transparency is laid
    over white, as most pages show it. Colour profiles are not applied. `clock` gives seconds, by
    default those that this thread has had of a processor: a picture is not to blame for a busy machine.
    Safe to call from many threads. Whatever the bytes are, nothing but PictureRejected is raised.
    """
    if not data:
        raise PictureRejected("empty", "The file has no bytes.")
    if len(data) > limits.max_bytes:
        raise PictureRejected("too_many_bytes", f"The file has more than {limits.max_bytes} bytes, which is the limit.")
    name = _format_of(data)
    if name == "AVIF":
        data = still_picture(data)
    file = _TimedFile(data, clock() + limits.decode_seconds, clock)
    with _decoding(name, file):
        _check_inside(name, data, limits.max_pixels)
        image = _DECODERS[name](file)
        if name == "HEIF" and not image.info.get("primary"):
            raise ValueError("it has no main picture that can be decoded")  # another one would be shown in its place
        width, height = image.size
        costly = name in _COSTLY or (name == "HEIF" and image.info.get("chroma") in (422, 444))
        _check_pixels(name, image.size, limits.max_pixels // 2 if costly else limits.max_pixels)
        scale = min(1.0, limits.working_side / max(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if isinstance(image, JpegImageFile):
            image.draft(None, size)
            image.decodermaxblock = _JPEG_BLOCK
        image.load()
        file.check()
        orientation = exif_orientation(image.info.get("exif")) if name in _TURNED_BY_EXIF else 1
        upright = _rgb(image, size)
        if orientation in TURNS:
            upright = upright.transpose(TURNS[orientation])
        pixels = np.asarray(upright)
        file.check()
    if orientation >= 5:
        width, height = height, width
    return Picture(pixels, width, height, scale, name)


def _format_of(data: bytes) -> str:
    if (name := picture_format(data)) is not None:
        return name
    if (what := other_format(data)) is not None:
        raise PictureRejected("unsupported_format", f"The file looks like {what}, which is not decoded here.")
    raise PictureRejected("not_a_picture", "The file does not begin like any known picture.")


def _check_pixels(name: str, size: tuple[int, int], limit: int) -> None:
    if size[0] * size[1] > limit:
        raise PictureRejected("too_many_pixels", f"The {name} has {size[0]} x {size[1]} pixels; the limit is {limit}.")
    if max(size) > _MAX_SIDE:
        raise PictureRejected(
            "too_many_pixels", f"A side of the {name} has {max(size)} pixels; {_MAX_SIDE} is the most."
        )


def _check_inside(name: str, data: bytes, limit: int) -> None:
    """What the file holds beside or below the size that its header declares."""
    if name == "TIFF":
        _check_pixels(name, tile_size(data), limit // 2)
    if name not in ("AVIF", "HEIF"):
        return
    items = read_items(data)
    if name == "AVIF":
        limit //= 2
        decoded = frame_sizes(items.values())
    else:
        decoded = [items[part].size for item in items.values() for part in item.parts if part in items]
    for size in (*decoded, *(item.size for item in items.values())):
        _check_pixels(name, size, limit)
    if sum(width * height for width, height in decoded) > _INSIDE * limit:
        raise PictureRejected("too_many_pixels", f"The {name} is put together from far more pixels than it has.")


class _TimeUpError(Exception):
    """Not a subclass of anything that decoders catch (OSError, ValueError, SyntaxError, RuntimeError, IndexError)."""


class _TimedFile(io.BytesIO):
    """The bytes of a picture; reading them after `deadline` raises _TimeUpError."""

    def __init__(self, data: bytes, deadline: float, clock: Callable[[], float]) -> None:
        super().__init__(data)
        self._deadline = deadline
        self._clock = clock

    @property
    def late(self) -> bool:
        return self._clock() > self._deadline

    def check(self) -> None:
        if self.late:
            raise _TimeUpError

    def read(self, size: int | None = -1, /) -> bytes:
        self.check()
        return super().read(size)


@contextlib.contextmanager
def _decoding(name: str, file: _TimedFile) -> Iterator[None]:
    """Turns all that a decoder raises into PictureRejected.

    Broad on purpose: on hostile bytes the decoders raise OSError, SyntaxError, ValueError, KeyError, struct.error,
    zlib.error and more, none of which may stop a worker.
    """
    try:
        yield
    except PictureRejected:
        raise
    except MemoryError as error:
        raise PictureRejected("out_of_memory", f"Decoding the {name} takes too much memory.") from error
    except Image.DecompressionBombError as error:
        raise PictureRejected("too_many_pixels", f"The {name} has far too many pixels.") from error
    except Exception as error:
        if isinstance(error, _TimeUpError) or file.late:
            raise PictureRejected("decode_timeout", f"Decoding the {name} took longer than the limit.") from error
        said = " ".join(f"{type(error).__name__} {error}".split())[:120]
        raise PictureRejected("truncated_or_damaged", f"The {name} cannot be decoded: {said}.") from error


def _rgb(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`image` as 8-bit RGB at `size`; converted before it is scaled only where scaling needs it."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode != "RGBA" and image.has_transparency_data:
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    elif image.mode in ("1", "P"):
        image = image.convert("RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if image.mode in ("I", "F"):
        image = _stretched(image)
    if image.mode in ("LA", "RGBA"):
        white = Image.new("RGB", size, "white")
        white.paste(image.convert("RGB"), mask=image.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """8-bit grey of integer and float pixels, which do not say what white is: black is 0 or the darkest value below it,
    white is 1 or the brightest value above it."""
    values = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=1.0, neginf=0.0)
    black, white = min(0.0, values.min()), max(1.0, values.max())
    return Image.fromarray(np.rint((values - black) * (255 / (white - black))).astype(np.uint8))
