"""Writes AVIF and HEIF files box by box (ISO/IEC 14496-12, 23008-12), so that a file can say what no encoder would."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the file. `kind`: hvc1, av01, grid, iovl, iden, Exif; `data`: its bytes; `properties`: whole boxes;
    `parts`: numbers (from 1) of the items that it is made of; `of`: the item that it describes, 0 = none;
    `stored_with`: the number of the item whose bytes it shares, 0 = its own."""

    kind: bytes
    data: bytes = b""
    properties: Sequence[bytes] = ()
    parts: Sequence[int] = ()
    of: int = 0
    stored_with: int = 0


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, version: int, flags: int, *bodies: bytes) -> bytes:
    return box(kind, bytes([version]) + flags.to_bytes(3), *bodies)


def size_property(width: int, height: int) -> bytes:
    return full(b"ispe", 0, 0, struct.pack(">II", width, height))


def property_of(data: bytes, kind: bytes) -> bytes:
    """The first box of this kind, whole, that stands in the file `data`."""
    at = data.index(kind) - 4
    return data[at : at + int.from_bytes(data[at : at + 4])]


def payload_of(data: bytes) -> bytes:
    """What the last mdat of the file `data` holds."""
    return data[data.rindex(b"mdat") + 4 :]


def grid(rows: int, columns: int, width: int, height: int) -> bytes:
    """The data of a grid item."""
    return struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)


def overlay(width: int, height: int, parts: int) -> bytes:
    """The data of an overlay item that lays all its parts over the upper left corner."""
    return struct.pack(">BB4HII", 0, 1, 0, 0, 0, 65535, width, height) + bytes(8 * parts)


def container(brand: bytes, items: Sequence[Item], *, primary: int = 1) -> bytes:
    """A file of these items; the first has number 1."""
    ftyp = box(b"ftyp", brand, bytes(4), b"mif1", brand, b"miaf")
    start = len(ftyp) + 8
    places: list[tuple[int, int]] = []
    payload = bytearray()
    for item in items:
        if item.stored_with:
            places.append(places[item.stored_with - 1])
        else:
            places.append((start + len(payload), len(item.data)))
            payload += item.data
    boxes, numbers, associations = [], {}, []
    for item in items:
        chosen = []
        for one in item.properties:
            if one not in numbers:
                boxes.append(one)
                numbers[one] = len(boxes)
            chosen.append(numbers[one])
        associations.append(chosen)
    infe = [
        full(b"infe", 2, 0, struct.pack(">HH", number, 0), item.kind, b"\0") for number, item in enumerate(items, 1)
    ]
    iloc = b"".join(struct.pack(">HHHHII", number, 0, 0, 1, *place) for number, place in enumerate(places, 1))
    ipma = b"".join(
        struct.pack(">HB", number, len(chosen)) + b"".join(struct.pack(">H", one) for one in chosen)
        for number, chosen in enumerate(associations, 1)
    )
    references = [
        box(b"dimg", struct.pack(f">HH{len(item.parts)}H", number, len(item.parts), *item.parts))
        for number, item in enumerate(items, 1)
        if item.parts
    ] + [box(b"cdsc", struct.pack(">HHH", number, 1, item.of)) for number, item in enumerate(items, 1) if item.of]
    meta = full(
        b"meta",
        0,
        0,
        full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
        full(b"pitm", 0, 0, struct.pack(">H", primary)),
        full(b"iloc", 1, 0, b"\x44\0", struct.pack(">H", len(items)), iloc),
        full(b"iinf", 0, 0, struct.pack(">H", len(items)), *infe),
        *([full(b"iref", 0, 0, *references)] if references else []),
        box(b"iprp", box(b"ipco", *boxes), full(b"ipma", 0, 1, struct.pack(">I", len(items)), ipma)),
    )
    return ftyp + box(b"mdat", bytes(payload)) + meta
