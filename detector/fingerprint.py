"""PDQ: 256 bits that stay nearly the same when a picture is scaled, recompressed or lightly edited.

Published by Facebook in "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019): luma, shrunk
to 64x64 by two box filters in a row (Jarosz), 16x16 of its cosine transform without the constant, one bit for each
coefficient above their median. Shrinking and transform are linear along each axis, so here they are one matrix to the
left and one to the right of the picture; with their mirror images beside them the same product gives all eight turns.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.identity import Fingerprint
from detector.verdict import Box

Hash = NDArray[np.uint64]
"""256 bits, (4,) uint64; `tobytes()` gives the 32 bytes that PDQ's hexadecimal form spells."""

TRANSFORMS = (
    "as_it_is",
    "mirrored",
    "rotated_90",
    "rotated_180",
    "rotated_270",
    "mirrored_rotated_90",
    "mirrored_rotated_180",
    "mirrored_rotated_270",
)
"""What may have been done to a photo: first mirrored (left to right), then rotated (degrees clockwise), if named."""

LEAST_QUALITY = 50
"""Pictures of lower quality are not compared: the hashes of nearly flat pictures say nothing, warn PDQ's authors."""

LONGEST_SIDE = 512
"""Pixels; a larger picture is shrunk below it by a whole factor first, which moves some 6 of the 256 bits."""

_SIDE = 64
_BAND = 8
"""Places of one band: few are many small products, many are large ones with zeros."""
_FREQUENCIES = np.arange(1, 17)
_COSINES = np.sqrt(2 / _SIDE) * np.cos(np.pi / (2 * _SIDE) * np.outer(_FREQUENCIES, 2 * np.arange(_SIDE) + 1))
_COSINES = _COSINES.astype(np.float32)


def pdq(pixels: NDArray[np.uint8]) -> tuple[Hash, int]:
    """The hash of a picture, (H, W, 3) uint8 RGB, and its quality, 0 (flat) to 100.

    Up to 512 pixels it equals the reference implementation's in all but a few bits that lie on the median.
    """
    small = _shrunk(_luma(pixels))[0, 0]
    return _bits((_COSINES @ small @ _COSINES.T)[None])[0], _quality(small)


def pdq_dihedral(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(8, 4) uint64: the hashes of the picture with each of TRANSFORMS undone; see `pdq` for `pixels`.

    If the picture is a photo that was, say, rotated_90, then that row is the photo's own hash. (The reference
    implementation turns the coefficients instead, and is up to 30 bits off.)
    """
    return _eight(_shrunk(_luma(pixels)))


def hashes_to_search(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(8, 4) uint64 as of `pdq_dihedral`, or (0, 4) for a picture of less than LEAST_QUALITY."""
    shrunk = _shrunk(_luma(pixels))
    return _eight(shrunk) if _quality(shrunk[0, 0]) >= LEAST_QUALITY else np.empty((0, 4), np.uint64)


def pdq_of_squares(lumas: NDArray[np.float32]) -> NDArray[np.uint64]:
    """(N, 4) uint64: the hashes of many square pictures of one size, (N, S, S) float32 luma, S at most LONGEST_SIDE."""
    shrink = _COSINES @ _shrinking(lumas.shape[1])
    return _bits(shrink @ lumas @ shrink.T)


def hamming(one: Hash, other: Hash) -> int:
    """Bits that differ, 0..256; about 128 between unrelated pictures."""
    return int(np.bitwise_count(one ^ other).sum())


def hash_from(stored: bytes) -> Hash:
    """The hash whose 32 bytes a Fingerprint keeps."""
    return np.frombuffer(stored, np.uint64)


def fingerprint_of(
    pixels: NDArray[np.uint8], crop: NDArray[np.uint8], face_box: Box, width: int, height: int
) -> Fingerprint:
    """What is kept of a photo. `pixels`: (H, W, 3) uint8 RGB, upright, at any scale; `crop`: the aligned face,
    (112, 112, 3) uint8 RGB; `face_box`, `width`, `height`: pixels of the original photo."""
    picture, quality = pdq(pixels)
    face, _ = pdq(crop)
    return Fingerprint(picture.tobytes(), quality, face.tobytes(), width, height, face_box)


def _luma(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W) float32, 0..255, no side above LONGEST_SIDE."""
    height, width = pixels.shape[:2]
    factor = -(-max(height, width) // LONGEST_SIDE)
    if factor == 1:
        return np.asarray(cv2.cvtColor(pixels.astype(np.float32), cv2.COLOR_RGB2GRAY), np.float32)
    # OpenCV averages whole blocks several times faster than fractions of pixels.
    rows, columns = max(1, height // factor), max(1, width // factor)
    top, left = height % factor // 2, width % factor // 2
    blocks = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[top : top + rows * factor, left : left + columns * factor]
    return cv2.resize(blocks, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)


def _shrunk(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2, 2, 64, 64) float32: the picture as it is and mirrored, by rows (first axis) and by columns."""
    (down, rows), (across, columns) = _bands(luma.shape[0]), _bands(luma.shape[1])
    lower = np.concatenate([weights @ luma[band] for band, weights in down])
    small = np.concatenate([lower[:, band] @ weights.T for band, weights in across], axis=1)[rows][:, columns]
    return np.ascontiguousarray(small.reshape(2, _SIDE, 2, _SIDE).swapaxes(1, 2))


def _eight(shrunk: NDArray[np.float32]) -> NDArray[np.uint64]:
    (plain, across), (down, both) = _COSINES @ shrunk @ _COSINES.T
    return _bits(np.stack([plain, across, across.T, both, down.T, both.T, down, plain.T]))


@lru_cache(maxsize=128)
def _shrinking(length: int) -> NDArray[np.float32]:
    """(64, length): two box filters along an axis, cut off at the edges, seen at 64 places."""
    window = -(-length // (2 * _SIDE))
    place = np.arange(length)
    offset = place[None] - (place + window // 2)[:, None]
    box = ((offset <= 0) & (offset > -window)).astype(np.float32)
    box /= box.sum(axis=1, keepdims=True)
    seen = ((np.arange(_SIDE) + 0.5) * length / _SIDE).astype(int)
    return np.asarray(box[seen] @ box, np.float32)


@lru_cache(maxsize=128)
def _bands(length: int) -> tuple[list[tuple[slice, NDArray[np.float32]]], NDArray[np.intp]]:
    """Shrinking along an axis, forwards and backwards, in pieces: each place sees its neighbourhood alone, so products
    with what lies there cost a fraction of one with all. Slices and their weights, and how to put 2 x 64 places in
    order afterwards."""
    both = np.concatenate([_shrinking(length), _shrinking(length)[:, ::-1]])
    bands, order = [], []
    for first in range(0, _SIDE, _BAND):
        places = np.arange(first, first + _BAND)
        places = np.concatenate([places, 2 * _SIDE - 1 - places])
        seen = np.flatnonzero(both[places].any(axis=0))
        band = slice(int(seen[0]), int(seen[-1]) + 1)
        bands.append((band, np.ascontiguousarray(both[places, band])))
        order.append(places)
    return bands, np.argsort(np.concatenate(order))


def _bits(coefficients: NDArray[np.floating]) -> NDArray[np.uint64]:
    """(N, 4) uint64 for (N, 16, 16): the last coefficient is the first bit, as PDQ's hexadecimal form writes it."""
    flat = coefficients.reshape(len(coefficients), -1)
    half = flat.shape[1] // 2 - 1
    medians = np.partition(flat, half, axis=1)[:, half, None]
    return np.packbits((flat > medians)[:, ::-1], axis=1).view(np.uint64)


def _quality(small: NDArray[np.float32]) -> int:
    """Steps between neighbours in whole hundredths of the full range, their sum scaled as the description has it."""
    steps = sum(int(np.abs((np.diff(small, axis=axis) * (100 / 255)).astype(np.int32)).sum()) for axis in (0, 1))
    return min(100, steps // 90)
