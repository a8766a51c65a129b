"""Bringing a face to the pose that recognisers know."""

import cv2
import numpy as np
import pytest

from detector.alignment import CROP_SIDE, TEMPLATE, align, similarity_transform


def turned(points, degrees, scale, shift):
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (scale * points @ rotation.T + shift).astype(np.float32)


@pytest.mark.filterwarnings("ignore")
def test_the_transform_is_that_of_insightface():
    from insightface.utils.face_align import estimate_norm

    random = np.random.default_rng(4)
    for _ in range(50):
        face = turned(TEMPLATE, random.uniform(-80, 80), random.uniform(0.3, 8), random.uniform(0, 900, 2))
        face += random.normal(0, 3, face.shape).astype(np.float32)
        np.testing.assert_allclose(similarity_transform(face), estimate_norm(face), atol=1e-3)


@pytest.mark.parametrize("degrees", [0, 17, -90, 179])
def test_a_turned_scaled_and_shifted_template_comes_back_exactly(degrees):
    face = turned(TEMPLATE, degrees, scale=2.5, shift=(300, -40))
    matrix = similarity_transform(face)
    np.testing.assert_allclose(face @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-3)


def test_a_mirrored_face_is_not_mirrored_back():
    matrix = similarity_transform(TEMPLATE * np.float32([-1, 1]))
    assert np.linalg.det(matrix[:, :2]) > 0


def test_the_crop_has_the_landmarks_where_the_template_has_them():
    face = turned(TEMPLATE, 25, scale=3, shift=(150, 80))
    picture = np.zeros((600, 600, 3), np.uint8)
    for x, y in face:
        cv2.circle(picture, (round(float(x)), round(float(y))), 7, (0, 255, 0), -1)
    crop = align(picture, face)
    assert crop.shape == (CROP_SIDE, CROP_SIDE, 3) and crop.dtype == np.uint8
    for x, y in TEMPLATE.round().astype(int):
        assert crop[y, x, 1] > 200 and crop[y, x, 0] == 0
    assert crop[:, :, 1].mean() < 30


@pytest.mark.parametrize(
    "landmarks",
    [np.zeros((5, 2)), np.full((5, 2), 50.0), np.full((5, 2), 1e7), [[0, 0], [100, 0], [50, 0], [25, 0], [75, 0]]],
    ids=["all at the corner", "all at one place", "far outside", "on a line"],
)
def test_impossible_landmarks_still_give_a_crop(landmarks):
    crop = align(np.full((100, 100, 3), 128, np.uint8), np.asarray(landmarks, np.float32))
    assert crop.shape == (CROP_SIDE, CROP_SIDE, 3)
