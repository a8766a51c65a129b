"""How large the AV1 frames inside an AVIF file are, which may be far more than its container says.

libavif allocates what the AV1 stream asks for and only then scales it to the size in the container, so a file of a few
kilobytes that declares 64 x 64 may cost gigabytes. Read here as in ISO/IEC 14496-12 (`meta`, `iloc`) and the AV1
bitstream specification, section 5.5 (sequence header).
"""

import re
from collections.abc import Iterator

_SEQUENCE_HEADER = 1
_MAX_UNITS = 10_000
_EXIF_ITEM = re.compile(rb"(infe.{8}|infe.{10})Exif", re.DOTALL)


class _Bits:
    """Big-endian bit fields of bytes, in order; ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("AV1 or container data end too early")
        return (self._value >> self._left) & ((1 << count) - 1)


def largest_frame(data: bytes) -> tuple[int, int]:
    """Width and height of the largest frame that any AV1 sequence header in the items of `data` allows.

    Raises ValueError if the boxes cannot be followed or no sequence header is found.
    """
    sizes = [size for item in _items(data) for size in _frame_sizes(item)]
    if not sizes:
        raise ValueError("no AV1 sequence header")
    return max(sizes, key=lambda size: size[0] * size[1])


def still_picture(data: bytes) -> bytes:
    """`data` without a reason for the decoder to prefer a sequence, whose frames are not measured here, and without
    EXIF, which has no say in AVIF but, when broken, keeps Pillow from opening a good picture."""
    return _EXIF_ITEM.sub(rb"\1none", data[:8] + b"avif" + data[12:])


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, start of the payload, end) of each box."""
    while at + 8 <= end:
        size, payload = int.from_bytes(data[at : at + 4]), at + 8
        if size == 1:
            size, payload = int.from_bytes(data[at + 8 : at + 16]), at + 16
        stop = min(end, at + size) if size else end
        if stop < payload:
            raise ValueError("a box is smaller than its header")
        yield data[at + 4 : at + 8], payload, stop
        at = stop


def _items(data: bytes) -> Iterator[bytes]:
    """The bytes of every item; an item that is not AV1 (EXIF, a grid) holds no sequence header and does no harm."""
    meta = next((box for box in _boxes(data, 0, len(data)) if box[0] == b"meta"), None)
    if meta is None:
        raise ValueError("no meta box")
    inside = {kind: (start, stop) for kind, start, stop in _boxes(data, meta[1] + 4, meta[2])}
    if b"iloc" not in inside:
        raise ValueError("no iloc box")
    idat = inside.get(b"idat", (0, 0))[0]
    start, stop = inside[b"iloc"]
    bits = _Bits(data[start : min(stop, start + 32_000)])
    version, _ = bits.take(8), bits.take(24)
    offset_bits, length_bits, base_bits, index_bits = (bits.take(4) * 8 for _ in range(4))
    allowed = 2 * len(data)
    for _ in range(bits.take(16 if version < 2 else 32)):
        bits.take(16 if version < 2 else 32)
        method = bits.take(16) & 15 if version else 0
        bits.take(16)
        base = bits.take(base_bits) + (idat if method == 1 else 0)
        parts = []
        for _ in range(bits.take(16)):
            if version:
                bits.take(index_bits)
            at, length = base + bits.take(offset_bits), bits.take(length_bits)
            parts.append(data[at : at + length] if length else data[at:])
            allowed -= len(parts[-1])
            if allowed < 0:
                raise ValueError("items overlap")
        yield b"".join(parts)


def _frame_sizes(item: bytes) -> Iterator[tuple[int, int]]:
    """The size in every sequence header among the open bitstream units of `item`."""
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(item):
            return
        header = item[at]
        if header & 0x80:
            return
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
        if header >> 3 & 15 == _SEQUENCE_HEADER:
            yield _sequence_size(_Bits(item[at : at + min(length, 600)]))
        at += length
    raise ValueError("too many AV1 units")


def _sequence_size(bits: _Bits) -> tuple[int, int]:
    bits.take(4)  # profile, still_picture
    if bits.take(1):
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_operating_points(bits: _Bits) -> None:
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
