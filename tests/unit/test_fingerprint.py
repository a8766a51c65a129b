"""PDQ of pictures, against hashes of the reference implementation and as it must behave under edits."""

import threading

import cv2
import numpy as np
import pytest

from detector.fingerprint import (
    LEAST_QUALITY,
    TRANSFORMS,
    fingerprint_of,
    hamming,
    hash_from,
    hashes_to_search,
    pdq,
    pdq_dihedral,
    pdq_of_squares,
)
from tests.support.portraits import fit, jpeg, read_rgb

REFERENCE = {
    (112, 112, 1): ("2e0fbeb1e28faeb1aa8faeb1020faab5d752003b021f554b06abe3c3ffd0021e", 99),
    (150, 150, 2): ("02b003f80ab25ff8aab03fe8aab0fff8aab0fff8001bffcd001d555775680037", 86),
    (300, 200, 3): ("e98efb56a98edb56a98e0206a986eb53a1da54b9000f0026554f54dbfe70ff25", 100),
    (333, 511, 4): ("ff91002bff91002bff91002bbf810023ff94553c007faacd0047ffc4ffe85579", 71),
    (64, 64, 5): ("e89ff41eba9f501ec89fc01e809d0019001e002ffd65001fffcdffe2555af569", 96),
    (900, 1200, 6): ("55d60aa35556aa8355d602a77fd400235554003e5576ffccff9eaa39aac9554c", 82),
    (40, 60, 7): ("2ab1157c2ab1154cb2b1555ebab15d5cf7f5e7e4aabf101955448b8045caaabc", 100),
}
"""By height, width and seed of `clouds`: hash and quality that PyPI's pdqhash 0.2.8, Facebook's own code, gave."""
LIMIT = 31


def clouds(height, width, seed):
    """A picture of soft coloured waves, the same on every machine, (height, width, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    total = np.zeros((height, width, 3))
    for _ in range(40):
        frequencies, phase = rng.normal(scale=12, size=2), rng.uniform(0, 2 * np.pi)
        total += np.cos(frequencies[0] * down + frequencies[1] * across + phase)[..., None] * rng.normal(size=3)
    low, high = total.min(), total.max()
    return np.round(255 * (total - low) / (high - low)).astype(np.uint8)


def decoded(picture):
    """(H, W, 3) uint8 RGB of a JPEG's bytes."""
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def done(pixels, transform):
    """The picture with one of TRANSFORMS done to it."""
    if transform.startswith("mirrored"):
        pixels = pixels[:, ::-1]
    degrees = int(transform.rsplit("_", 1)[1]) if "rotated" in transform else 0
    return np.ascontiguousarray(np.rot90(pixels, -degrees // 90))


@pytest.mark.parametrize("shape_and_seed", REFERENCE)
def test_the_hash_is_the_reference_implementations(shape_and_seed):
    expected = hash_from(bytes.fromhex(REFERENCE[shape_and_seed][0]))
    found, quality = pdq(clouds(*shape_and_seed))
    large = max(shape_and_seed[:2]) > 512
    assert hamming(found, expected) <= (16 if large else 4)
    assert quality == pytest.approx(REFERENCE[shape_and_seed][1], abs=2)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("shape", [(150, 150), (256, 320), (301, 200)])
def test_a_turned_picture_undone_has_the_hash_of_the_original(shape, transform):
    original = clouds(*shape, 9)
    turned = pdq_dihedral(done(original, transform))
    distances = [hamming(each, pdq(original)[0]) for each in turned]
    assert distances[TRANSFORMS.index(transform)] <= 4
    assert min(d for name, d in zip(TRANSFORMS, distances, strict=True) if name != transform) > 60


def test_a_portrait_keeps_its_hash_when_scaled_compressed_grey_or_darker(portraits):
    photo = read_rgb(portraits["person_a_1.jpg"])
    own, quality = pdq(photo)
    grey = np.repeat(photo.mean(axis=2).astype(np.uint8)[..., None], 3, axis=2)
    for edited in (fit(photo, 100), fit(photo, 300), decoded(jpeg(photo, 20)), grey, photo // 2):
        assert hamming(pdq(edited)[0], own) <= LIMIT
    assert quality > LEAST_QUALITY


def test_other_portraits_have_far_hashes_in_every_turn(portraits):
    pictures = [read_rgb(path) for path in portraits.values()]
    for number, picture in enumerate(pictures):
        for other in pictures[number + 1 :]:
            assert min(hamming(each, pdq(other)[0]) for each in pdq_dihedral(picture)) > 2 * LIMIT


def test_a_flat_picture_has_no_quality_and_nothing_to_search_with():
    flat = np.full((200, 300, 3), 117, np.uint8)
    assert pdq(flat)[1] == 0
    assert hashes_to_search(flat).shape == (0, 4)


def test_a_picture_with_something_on_it_is_searched_in_all_turns():
    picture = clouds(120, 160, 3)
    assert (hashes_to_search(picture) == pdq_dihedral(picture)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (3, 700), (513, 512)])
def test_pictures_of_odd_shapes_are_hashed(shape):
    hash_, quality = pdq(clouds(*shape, 1))
    assert hash_.shape == (4,) and hash_.dtype == np.uint64
    assert 0 <= quality <= 100
    assert pdq_dihedral(clouds(*shape, 1)).shape == (8, 4)


def test_many_squares_at_once_have_the_hashes_that_each_has_alone():
    squares = [clouds(112, 112, seed) for seed in range(3)]
    lumas = np.stack([square @ np.array([0.299, 0.587, 0.114]) for square in squares]).astype(np.float32)
    for together, square in zip(pdq_of_squares(lumas), squares, strict=True):
        assert hamming(together, pdq(square)[0]) <= 4


def test_threads_that_hash_at_the_same_time_agree():
    pictures = [clouds(100 + 7 * number, 90 + 5 * number, number) for number in range(20)]
    expected = [pdq_dihedral(picture) for picture in pictures]
    wrong = []

    def hashing():
        for picture, hashes in zip(pictures, expected, strict=True):
            if not (pdq_dihedral(picture) == hashes).all():
                wrong.append(picture.shape)

    threads = [threading.Thread(target=hashing) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_fingerprint_keeps_both_hashes_as_bytes_and_the_size_of_the_original():
    pixels, crop = clouds(150, 200, 1), clouds(112, 112, 2)
    made = fingerprint_of(pixels, crop, (40.0, 60.0, 100.0, 120.0), 400, 300)
    assert (hash_from(made.picture) == pdq(pixels)[0]).all()
    assert (hash_from(made.face) == pdq(crop)[0]).all()
    assert made.picture_quality == pdq(pixels)[1]
    assert (made.width, made.height, made.face_box) == (400, 300, (40.0, 60.0, 100.0, 120.0))
    assert len(made.picture) == len(made.face) == 32
