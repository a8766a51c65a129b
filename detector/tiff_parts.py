"""The strips or tiles of a TIFF's first picture, checked before a decoder sees them (TIFF 6.0; BigTIFF).

Their number costs Pillow time and memory even where the picture is tiny, libtiff allocates a tile whatever the size of
the picture, and strips that share the same bytes make it decompress these bytes again and again.
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAX_PARTS = 100_000
_MAX_TAGS = 65_535
_COMPRESSION, _OFFSETS, _BYTE_COUNTS, _TILE = 259, (273, 324), (279, 325), (322, 323)
_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 16: "u8", 17: "i8"}
_NONE = np.empty(0)


def tile_size(data: bytes) -> tuple[int, int]:
    """Width and length of the tiles, in pixels, (0, 0) if there are strips. Raises ValueError for a TIFF with too many
    strips or tiles, or with compressed ones that share their bytes."""
    order = "<" if data[:2] == b"II" else ">"
    found: dict[int, NDArray[np.float64]] = {}
    parts = 0
    for tag, kind, count, at in _entries(data, order):
        parts += count if tag in _OFFSETS else 0
        if tag in (*_BYTE_COUNTS, *_TILE, _COMPRESSION) and kind in _NUMBERS:
            found.setdefault(tag, _numbers(data, at, count, np.dtype(order + _NUMBERS[kind])))
    if parts > _MAX_PARTS:
        raise ValueError("it has too many strips or tiles")
    lengths = np.concatenate([found.get(tag, _NONE) for tag in _BYTE_COUNTS])
    raw = found.get(_COMPRESSION, _NONE)[:1].tolist() in ([], [1.0])
    if not raw and parts > 1 and _stored(lengths, parts, len(data)) > 2 * len(data):
        raise ValueError("its strips or tiles share their bytes")
    width, length = (int(max(found.get(tag, _NONE)[:1], default=0)) for tag in _TILE)
    return width, length


def _stored(lengths: NDArray[np.float64], parts: int, size: int) -> float:
    """Bytes of all parts; libtiff lets one whose length is not given reach to the end of the file."""
    given = np.where(lengths <= 0, size, np.minimum(lengths, size))[:parts]
    return float(given.sum()) + (parts - len(given)) * size


def _numbers(data: bytes, at: int, count: int, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    there = min(count, max(0, len(data) - at) // dtype.itemsize)
    return np.frombuffer(data, dtype, there, at).astype(np.float64) if there else _NONE


def _entries(data: bytes, order: str) -> Iterator[tuple[int, int, int, int]]:
    """(tag, type, number of values, place of the values) of every entry in the first directory."""
    big = data[2:4] in (b"+\0", b"\0+")
    head, entry, room = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    place = "Q" if big else "I"
    try:
        (start,) = struct.unpack_from(order + place, data, 8 if big else 4)
        (entries,) = struct.unpack_from(order + head, data, start)
        first = start + struct.calcsize(order + head)
        width = struct.calcsize(order + entry) + room
        for at in range(first, first + width * min(entries, _MAX_TAGS), width):
            tag, kind, count = struct.unpack_from(order + entry, data, at)
            inline = at + width - room
            if count * int(_NUMBERS.get(kind, "u1")[1]) <= room:
                yield tag, kind, count, inline
            else:
                yield tag, kind, count, struct.unpack_from(order + place, data, inline)[0]
    except (struct.error, OverflowError):  # a directory that lies beyond the end is for the decoder to judge
        return
