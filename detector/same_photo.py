"""Whether an avatar is a gallery photo once more, whatever was done to it.

The whole picture tells where little was cut off or added: PDQ, mirrored and rotated by right angles too. Else the face
tells: the avatar's face is moved about until its PDQ is nearest to that of the photo's aligned face. A detector places
eyes and mouth a little differently once a picture is cropped, padded or turned, and PDQ of a face changes by a third of
its bits with that alone; found again, the very same pixels come to within a few bits, and other photos do not.
"""

import math
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.alignment import CROP_SIDE, similarity_transform
from detector.fingerprint import LEAST_QUALITY, TRANSFORMS, Hash, hash_from, pdq_of_squares
from detector.identity import PICTURE_LIMIT, Fingerprint
from detector.picture import Picture
from detector.verdict import Face, SamePhoto

FACE_LIMIT = 36
"""Bits of 256. Of the 5,810 of the pairs of one person (see PICTURE_LIMIT) whose cosine is above 0.4, 3 are within it
(6 at 40): the duplicate and two pairs taken moments apart. Of the 400 most alike pairs of different people, cosine
from 0.42 up, the nearest differ by 58 bits. Of 37 photos, 32 of them of LFW with faces of some 57 pixels, at cosine
0.45 all were found when turned by up to 10 degrees, padded by 30 % on each side, captioned or in a screenshot, 97 to
100 % when cropped by 20 to 50 %, 97 % when turned by 15 degrees, and 86 % with a sticker over an eye (those by the
picture alone)."""

NEAR_FACE_LIMIT = 60
"""Bits of 256 for a face whose embedding is nearer than those of different photos come: a tight crop cuts off some of
the aligned face. Of the 14 LFW pairs of one person at cosine 0.90 or more (of 5,911) 3 are within it."""

CROPPED_BELOW = 0.88
"""`visible` below which a picture counts as cropped: so do all photos that lost 30 % of their area, 97 % of those that
lost 20 %, 37 % at 10 % and none at 5 %; of whole ones none that were padded or captioned, 3 % turned by 10 degrees."""

_MIRROR = np.array([[-1.0, 0, CROP_SIDE - 1], [0, 1, 0], [0, 0, 1]])
_STEP = np.array([4.0, 4.0, 0.05, math.radians(4)])
"""Right, down (pixels of the crop), growth (logarithm), turn (radians): about what detectors err by."""
_AROUND = np.array(list(product((-1, 0, 1), repeat=4))) * _STEP
_COMPASS = np.vstack([np.eye(4), -np.eye(4)]) * _STEP
_FINEST = 0.12
"""Of _STEP, where the search ends."""
_STARTS = 3


def same_photo(
    reference: Fingerprint, picture: Picture, hashes: NDArray[np.uint64], face: Face | None, *, near: bool = False
) -> SamePhoto | None:
    """The avatar `picture` as the photo of `reference`, or None if it is another photo.

    `hashes`: the avatar's, from fingerprint.hashes_to_search. `face`: the avatar's face that the embedding finds to be
    the reference's person (only then do the limits hold), or None where no face is; `near`: the embeddings are nearer
    than two photos of one person hardly ever are (Thresholds.near).
    """
    if found := _by_picture(reference, hashes):
        return found
    if face is None or reference.face is None:
        return None
    return _by_face(reference, picture, face, NEAR_FACE_LIMIT if near else FACE_LIMIT)


def visible_share(reference: Fingerprint, picture: Picture, face: Face, mirrored: bool) -> float:
    """The share of the photo's area that lies within the avatar, 0..1, if its face lies upon the avatar's.

    The boxes of a face found twice differ by some per cent, and so does this.
    """
    assert reference.face_box is not None, "of a photo that stayed with the person no face is known"
    x, y, width, height = reference.face_box
    middle_x, middle_y = x + width / 2, y + height / 2
    if mirrored:
        middle_x = reference.width - middle_x
    seen_x, seen_y, seen_width, seen_height = face.box
    scale = math.sqrt(seen_width * seen_height / (width * height))
    left = seen_x + seen_width / 2 - scale * middle_x
    top = seen_y + seen_height / 2 - scale * middle_y
    right, bottom = left + scale * reference.width, top + scale * reference.height
    across = max(0.0, min(right, picture.width) - max(left, 0.0))
    down = max(0.0, min(bottom, picture.height) - max(top, 0.0))
    return min(1.0, across * down / ((right - left) * (bottom - top)))


def _by_picture(reference: Fingerprint, hashes: NDArray[np.uint64]) -> SamePhoto | None:
    if reference.picture_quality < LEAST_QUALITY or not len(hashes):
        return None
    distances = np.bitwise_count(hashes ^ hash_from(reference.picture)).sum(axis=1)
    nearest = int(distances.argmin())
    distance = int(distances[nearest])
    return SamePhoto("picture", distance, TRANSFORMS[nearest], 1.0) if distance <= PICTURE_LIMIT else None


def _by_face(reference: Fingerprint, picture: Picture, face: Face, limit: int) -> SamePhoto | None:
    assert reference.face is not None
    luma = picture.luma
    landmarks = np.array(face.landmarks, np.float32) * np.float32(picture.scale)
    target = hash_from(reference.face)
    straight = np.vstack([similarity_transform(landmarks), [0, 0, 1]])
    ways = (straight, _MIRROR @ straight)
    distances = np.concatenate([_distances(luma, way, _AROUND, target) for way in ways])
    for start in np.argsort(distances, kind="stable")[:_STARTS].tolist():
        way, place = divmod(start, len(_AROUND))
        distance = _descend(luma, ways[way], _AROUND[place], int(distances[start]), target)
        if distance <= limit:
            return SamePhoto("face", distance, TRANSFORMS[way], visible_share(reference, picture, face, way == 1))
    return None


def _descend(
    luma: NDArray[np.uint8], base: NDArray[np.float64], at: NDArray[np.float64], distance: int, face: Hash
) -> int:
    """Compass search: the best of eight steps while one is better, then steps of half the length."""
    length = 0.5
    while length > _FINEST:
        places = at + length * _COMPASS
        distances = _distances(luma, base, places, face)
        best = int(distances.argmin())
        if distances[best] < distance:
            at, distance = places[best], int(distances[best])
        else:
            length /= 2
    return distance


def _distances(
    luma: NDArray[np.uint8], base: NDArray[np.float64], places: NDArray[np.float64], face: Hash
) -> NDArray[np.int64]:
    side = (CROP_SIDE, CROP_SIDE)
    crops = [cv2.warpAffine(luma, (_moved(place) @ base)[:2], side, flags=cv2.INTER_LINEAR) for place in places]
    bits = np.bitwise_count(pdq_of_squares(np.stack(crops).astype(np.float32)) ^ face)
    return np.asarray(bits.sum(axis=1), np.int64)


def _moved(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3): what moves, grows and turns a crop about its middle."""
    right, down, growth, turn = place
    middle = (CROP_SIDE - 1) / 2
    a, b = math.exp(growth) * math.cos(turn), math.exp(growth) * math.sin(turn)
    return np.array(
        [[a, -b, right + middle * (1 - a + b)], [b, a, down + middle * (1 - a - b)], [0.0, 0.0, 1.0]],
    )
