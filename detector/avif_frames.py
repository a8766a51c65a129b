"""How large the AV1 frames inside an AVIF file are, which may be far more than its container says.

libavif allocates what the AV1 stream asks for and only then scales it to the size in the container, so a file of a few
kilobytes that declares 64 x 64 may cost gigabytes; and it decodes every frame up to the first that is shown. Read here
as in the AV1 bitstream specification, section 5.5 (sequence header).
"""

import re
from collections.abc import Iterable

from detector.box_items import Bits, Item

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_MAX_UNITS = 10_000
_EXIF_ITEM = re.compile(rb"(infe.{8}|infe.{10})Exif", re.DOTALL)


def frame_sizes(items: Iterable[Item]) -> list[tuple[int, int]]:
    """Width and height of every AV1 frame in `items`, as the largest sequence header of its item allows.

    Raises ValueError if the units of a bitstream cannot be followed or no item has a sequence header.
    """
    # An item that is not AV1 (EXIF, a grid) holds no sequence header and does no harm.
    sizes = [size for item in items for size in _frame_sizes(item.data)]
    if not sizes:
        raise ValueError("no AV1 sequence header")
    return sizes


def still_picture(data: bytes) -> bytes:
    """`data` without a reason for the decoder to prefer a sequence, whose frames are not measured here, and without
    EXIF, which has no say in AVIF but, when broken, keeps Pillow from opening a good picture."""
    return _EXIF_ITEM.sub(rb"\1none", data[:8] + b"avif" + data[12:])


def _frame_sizes(item: bytes) -> list[tuple[int, int]]:
    """The largest size among the open bitstream units of `item`, once for each frame."""
    at, frames = 0, 0
    sizes: list[tuple[int, int]] = []
    for _ in range(_MAX_UNITS):
        if at >= len(item) or item[at] & 0x80:
            return [max(sizes, key=lambda size: size[0] * size[1])] * max(1, frames) if sizes else []
        header = item[at]
        at += 2 if header & 4 else 1
        length = len(item) - at
        if header & 2:
            length, shift = 0, 0
            for byte in item[at : at + 8]:
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            at += shift // 7
        kind = header >> 3 & 15
        if kind == _SEQUENCE_HEADER:
            sizes.append(_sequence_size(Bits(item[at : at + min(length, 600)])))
        frames += kind in (_FRAME_HEADER, _FRAME)
        at += length
    raise ValueError("too many AV1 units")


def _sequence_size(bits: Bits) -> tuple[int, int]:
    bits.take(4)  # profile, still_picture
    if bits.take(1):
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_operating_points(bits: Bits) -> None:
    delay_bits = 0
    if bits.take(1):  # timing_info_present_flag
        bits.take(64)
        if bits.take(1):  # equal_picture_interval, then a number in Exp-Golomb code
            zeros = 0
            while not bits.take(1):
                zeros += 1
            bits.take(zeros if zeros < 32 else 0)
        if bits.take(1):  # decoder_model_info_present_flag
            delay_bits = bits.take(5) + 1
            bits.take(42)
    display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if display_delay and bits.take(1):
            bits.take(4)
