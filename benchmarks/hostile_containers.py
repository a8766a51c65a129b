"""AVIF and HEIF files whose items repeat, outgrow or overlap each other."""

import numpy as np
from PIL import Image

from benchmarks.hostile_boxes import Item, container, grid, overlay, payload_of, property_of, size_property
from benchmarks.hostile_pictures import encoded, plain, with_declared_size


def coded_huge() -> dict[str, bytes]:
    """AVIF and HEIF whose container says 64 x 64, and whose coded frame is far larger."""
    return {
        "AVIF": with_declared_size(encoded(plain(8000, 8000), "AVIF", quality=10, speed=10), 64, 64),
        "HEIF": with_declared_size(
            encoded(plain(8000, 8000), "HEIF", quality=10, enc_params={"preset": "ultrafast"}), 64, 64
        ),
    }


def _tile(side: int = 512) -> tuple[bytes, bytes]:
    """Costly HEVC data of a square of noise, and their configuration."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8))
    heif = encoded(noise, "HEIF", quality=95, enc_params={"preset": "ultrafast"})
    return payload_of(heif), property_of(heif, b"hvcC")


def heif_of_one_tile_again_and_again(rows: int = 12) -> bytes:
    """A grid in which every tile is the same bytes, which are decoded anew each time."""
    data, own = _tile()
    side = 512 * rows
    whole = Item(b"grid", grid(rows, rows, side, side), (size_property(side, side),), (2,) * rows**2)
    return container(b"heic", [whole, Item(b"hvc1", data, (size_property(512, 512), own))])


def heif_of_tiles_beyond_the_picture(tiles: int = 40) -> bytes:
    """A grid of 512 x 512 whose tiles are 36 million pixels each."""
    heif = encoded(plain(6000, 6000), "HEIF", quality=10, enc_params={"preset": "ultrafast"})
    tile = Item(b"hvc1", payload_of(heif), (size_property(6000, 6000), property_of(heif, b"hvcC")))
    whole = Item(b"grid", grid(1, tiles, 512, 512), (size_property(512, 512),), range(2, tiles + 2))
    return container(b"heic", [whole, *[tile] * tiles])


def heif_of_shared_metadata(items: int = 900) -> bytes:
    """Each of `items` pieces of EXIF is the same 15 MB."""
    data, own = _tile()
    exif = Item(b"Exif", b"\0\0\0\0MM\0*" + bytes(15_000_000), of=1)
    others = [Item(b"Exif", of=1, stored_with=2)] * items
    return container(b"heic", [Item(b"hvc1", data, (size_property(512, 512), own)), exif, *others])


def heif_of_a_huge_canvas(kind: bytes) -> bytes:
    """A grid or an overlay whose own data say another size than the container."""
    data, own = _tile()
    canvas = grid(100, 100, 60_000, 20_000) if kind == b"grid" else overlay(60_000, 20_000, 1)
    whole = Item(kind, canvas, (size_property(64, 64),), (2,))
    return container(b"heic", [whole, Item(b"hvc1", data, (size_property(512, 512), own))])


def _avif_cell(side: int) -> tuple[bytes, bytes, bytes]:
    avif = encoded(plain(side, side), "AVIF", quality=10, speed=10)
    return payload_of(avif), property_of(avif, b"av1C"), property_of(avif, b"pixi")


def avif_of_many_frames(frames: int = 5000, side: int = 4400) -> bytes:
    """One item with frame after frame."""
    data, *own = _avif_cell(side)
    return container(b"avif", [Item(b"av01", data * frames, (size_property(side, side), *own))])


def avif_of_cells_beyond_the_picture(cells: int = 40) -> bytes:
    """A grid whose cells say 64 x 64 and are coded as 4400 x 4400."""
    data, own, depth = _avif_cell(4400)
    cell = Item(b"av01", data, (size_property(64, 64), depth, own))
    sizes = 64 * cells, 64
    whole = Item(b"grid", grid(1, cells, *sizes), (size_property(*sizes), depth), range(2, cells + 2))
    return container(b"avif", [whole, *[cell] * cells])
