"""How far a face can be trusted to be recognised."""

import cv2
import numpy as np
import pytest

from detector.alignment import TEMPLATE, align
from detector.quality import GOOD_SIZE, frontality, quality, sharpness
from tests.support.portraits import read_rgb


@pytest.fixture(scope="module")
def crop(engine, portraits):
    pixels = read_rgb(portraits["person_b_1.jpg"])
    return align(pixels, engine.detect(pixels).landmarks[0])


def test_a_real_portrait_is_sharp_and_the_more_it_is_blurred_the_less(crop):
    blurred = [crop, *(cv2.GaussianBlur(crop, (0, 0), sigma) for sigma in (1, 2, 4))]
    values = [sharpness(each) for each in blurred]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.5
    assert values[-1] < 0.1


def test_a_face_of_one_colour_has_no_sharpness():
    assert sharpness(np.full((112, 112, 3), 90, np.uint8)) == 0.0


def test_a_face_seen_from_the_front_is_frontal_whichever_way_it_is_turned_in_the_plane():
    assert frontality(TEMPLATE) == pytest.approx(1.0)
    assert frontality(TEMPLATE[:, ::-1] * np.float32([-3, 3]) + 40) == pytest.approx(1.0)


def test_the_further_the_nose_leaves_the_middle_the_less_frontal():
    values = []
    for shift in (0, 10, 15, 40):
        landmarks = TEMPLATE.copy()
        landmarks[2, 0] += shift
        values.append(frontality(landmarks))
    assert values == sorted(values, reverse=True)
    assert values[0] == 1.0 and values[-1] == 0.0


def test_eyes_at_one_place_are_not_frontal():
    assert frontality(np.zeros((5, 2), np.float32)) == 0.0


def test_quality_is_between_zero_and_one_and_falls_with_size_and_confidence(crop):
    good = quality(GOOD_SIZE, 0.95, TEMPLATE, crop)
    assert 0 < good <= 1
    assert quality(10 * GOOD_SIZE, 0.95, TEMPLATE, crop) == pytest.approx(good)
    assert quality(GOOD_SIZE / 4, 0.95, TEMPLATE, crop) == pytest.approx(good / 4)
    assert quality(GOOD_SIZE, 0.475, TEMPLATE, crop) == pytest.approx(good / 2)
