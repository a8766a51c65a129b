"""The items of an AVIF or HEIF file, read as in ISO/IEC 14496-12 (`meta`, `iloc`, `iref`) and 23008-12 (`iprp`).

Read before a decoder sees the file: a few kilobytes can name pictures inside that would cost it gigabytes or minutes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAX_BOXES = 10_000
_REUSED_BYTES = 65_536


class Bits:
    """Big-endian bit fields of bytes, in order; ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("the data end too early")
        return (self._value >> self._left) & ((1 << count) - 1)


@dataclass(frozen=True, slots=True)
class Item:
    """`data`: its bytes. `size`: width and height as the container declares them or, if more, as a grid itself does;
    (0, 0) where nothing does. `parts`: numbers of the items that it is put together from, once for each use."""

    data: bytes
    size: tuple[int, int]
    parts: tuple[int, ...]


def read_items(data: bytes) -> dict[int, Item]:
    """The items by number. Raises ValueError if the boxes cannot be followed, or if bytes are used so often that
    decoding could take far longer than the size of the file tells."""
    meta = next((box for box in _boxes(data, 0, len(data)) if box[0] == b"meta"), None)
    if meta is None:
        raise ValueError("no meta box")
    inside = {kind: (start, stop) for kind, start, stop in _boxes(data, meta[1] + 4, meta[2])}
    if b"iloc" not in inside:
        raise ValueError("no iloc box")
    stored = dict(_stored(data, *inside[b"iloc"], idat=inside.get(b"idat", (0, 0))[0]))
    sizes = _sizes(data, *inside[b"iprp"]) if b"iprp" in inside else {}
    parts = _parts(data, *inside[b"iref"]) if b"iref" in inside else {}
    kinds = _kinds(data, *inside[b"iinf"]) if b"iinf" in inside else {}
    if b"iovl" in kinds.values():  # its canvas may have any size, and no camera writes one
        raise ValueError("an overlay, which is not decoded here")
    used = sum(len(stored.get(number, b"")) for chosen in parts.values() for number in chosen)
    if used > len(data) + _REUSED_BYTES:
        raise ValueError("a part is used again and again")
    items = {}
    for number, found in stored.items():
        declared = [sizes.get(number, (0, 0)), _canvas(found) if kinds.get(number) == b"grid" else (0, 0)]
        items[number] = Item(found, max(declared, key=_area), tuple(parts.get(number, ())))
    return items


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, start of the payload, end) of each box."""
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        size, payload = int.from_bytes(data[at : at + 4]), at + 8
        if size == 1:
            size, payload = int.from_bytes(data[at + 8 : at + 16]), at + 16
        stop = min(end, at + size) if size else end
        if stop < payload:
            raise ValueError("a box is smaller than its header")
        yield data[at + 4 : at + 8], payload, stop
        at = stop
    raise ValueError("too many boxes")


def _stored(data: bytes, start: int, stop: int, *, idat: int) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every item."""
    bits = Bits(data[start : min(stop, start + 32_000)])
    version, _ = bits.take(8), bits.take(24)
    offset_bits, length_bits, base_bits, index_bits = (bits.take(4) * 8 for _ in range(4))
    allowed = 2 * len(data)
    for _ in range(bits.take(16 if version < 2 else 32)):
        number = bits.take(16 if version < 2 else 32)
        method = bits.take(16) & 15 if version else 0
        bits.take(16)
        base = bits.take(base_bits) + (idat if method == 1 else 0)
        extents = []
        for _ in range(bits.take(16)):
            if version:
                bits.take(index_bits)
            at, length = base + bits.take(offset_bits), bits.take(length_bits)
            extents.append(data[at : at + length] if length else data[at:])
            allowed -= len(extents[-1])
            if allowed < 0:
                raise ValueError("items overlap")
        yield number, b"".join(extents)


def _kinds(data: bytes, start: int, stop: int) -> dict[int, bytes]:
    """The type of every item."""
    kinds = {}
    for kind, first, _ in _boxes(data, start + (8 if any(data[start : start + 1]) else 6), stop):
        if kind == b"infe":
            wide = 4 if data[first : first + 1] > b"\2" else 2
            kinds[int.from_bytes(data[first + 4 : first + 4 + wide])] = data[first + 6 + wide : first + 10 + wide]
    return kinds


def _canvas(grid: bytes) -> tuple[int, int]:
    """The size that the data of a grid item say."""
    wide = 4 if grid[1:2] and grid[1] & 1 else 2
    return int.from_bytes(grid[4 : 4 + wide]), int.from_bytes(grid[4 + wide : 4 + 2 * wide])


def _sizes(data: bytes, start: int, stop: int) -> dict[int, tuple[int, int]]:
    """The declared size by item; of several the largest."""
    inside = list(_boxes(data, start, stop))
    properties = [
        struct.unpack_from(">II", data[begin:end].ljust(12, b"\0"), 4) if kind == b"ispe" else (0, 0)
        for ipco, first, last in inside
        if ipco == b"ipco"
        for kind, begin, end in _boxes(data, first, last)
    ]
    sizes: dict[int, tuple[int, int]] = {}
    for kind, first, last in inside:
        if kind != b"ipma":
            continue
        bits = Bits(data[first : min(last, first + 32_000)])
        version, flags = bits.take(8), bits.take(24)
        for _ in range(bits.take(32)):
            number = bits.take(32 if version else 16)
            for _ in range(bits.take(8)):
                place = bits.take(16) & 0x7FFF if flags & 1 else bits.take(8) & 0x7F
                if 0 < place <= len(properties):
                    one = properties[place - 1]
                    sizes[number] = max(sizes.get(number, one), one, key=_area)
    return sizes


def _parts(data: bytes, start: int, stop: int) -> dict[int, list[int]]:
    """The items that each item is put together from."""
    parts: dict[int, list[int]] = {}
    wide = 4 if any(data[start : start + 1]) else 2
    for kind, first, last in _boxes(data, start + 4, stop):
        if kind == b"dimg":
            number, listed = int.from_bytes(data[first : first + wide]), range(first + wide + 2, last, wide)
            parts.setdefault(number, []).extend(int.from_bytes(data[at : at + wide]) for at in listed)
    return parts
