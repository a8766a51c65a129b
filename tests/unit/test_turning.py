"""What Milvus is given compares as the faces and pictures do, and is nothing like them."""

import numpy as np

from consumers.milvus.turning import Turning, likeness_of

TURNING = Turning(bytes(range(32)))
FIRST = (0.1226857, 0.0060813, 0.1405982)
NAME = [2691323884583756050]


def unit_vectors(count, seed=1):
    drawn = np.random.default_rng(seed).normal(size=(count, 128)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_turned_faces_are_as_alike_as_the_faces():
    faces = unit_vectors(200)
    turned = TURNING.vectors(faces)
    assert turned.dtype == np.float32
    assert np.abs(turned @ turned.T - faces @ faces.T).max() < 2e-6


def test_a_turned_face_says_nothing_of_the_face_and_another_key_turns_otherwise():
    faces = unit_vectors(2000)
    for other in (faces, Turning(bytes(32)).vectors(faces)):
        alike = np.sum(TURNING.vectors(faces) * other, axis=1)
        assert abs(alike.mean()) < 0.25 and np.abs(alike).max() < 0.6


def test_the_bits_by_which_two_pictures_differ_can_be_told_from_their_likeness():
    random = np.random.default_rng(2)
    one = np.frombuffer(random.bytes(32 * 300), "<u8").reshape(300, 4).astype(np.uint64)
    other = one.copy()
    bits = np.arange(300) % 256
    for row, count in enumerate(bits):
        for bit in random.choice(256, count, replace=False):
            other[row, bit // 64] ^= np.uint64(1 << int(bit % 64))
    likeness = np.sum(TURNING.pictures(one) * TURNING.pictures(other), axis=1)
    assert np.abs(likeness - [likeness_of(int(count)) for count in bits]).max() < 1e-5


def test_names_are_known_by_numbers_that_follow_from_the_key():
    assert TURNING.names(["emanuelmacron", "x"]) == TURNING.names(["emanuelmacron", "x"])
    assert TURNING.names(["emanuelmacron"]) != Turning(bytes(32)).names(["emanuelmacron"])


def test_the_matrix_is_the_same_in_every_version_or_all_that_lies_in_milvus_would_be_lost():
    first = TURNING.vectors(np.eye(128, dtype=np.float32)[:1])[0, :3]
    assert np.allclose(first, FIRST, atol=1e-6)
    assert TURNING.names(["emanuelmacron"]) == NAME
    assert TURNING.id == "630dcd29"
