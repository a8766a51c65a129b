"""How far a face can be trusted to be recognised."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from benchmarks.quality import COSINE, error_versus_reject, plot, template_study
from detector.alignment import TEMPLATE, align
from detector.quality import ENOUGH_SIZE, LENGTH, SCORE, Quality, covered, frontality, quality, sharpness, visibility
from tests.support.portraits import read_rgb

GOOD = Quality(size=1.0, sharpness=1.0, frontality=1.0, visibility=1.0, score=1.0)
GOOD_SCORE = SCORE[0][-1]
EYE, OTHER_EYE, NOSE = (tuple(int(value) for value in point) for point in TEMPLATE[:3])
MOUTH = tuple(int(value) for value in TEMPLATE[3:].mean(axis=0))


@pytest.fixture(scope="module")
def crop(engine, portraits):
    pixels = read_rgb(portraits["person_b_1.jpg"])
    return align(pixels, engine.detect(pixels).landmarks[0])


def test_a_real_portrait_is_sharp_and_the_more_it_is_blurred_the_less(crop):
    blurred = [crop, *(cv2.GaussianBlur(crop, (0, 0), sigma) for sigma in (1, 2, 4, 8))]
    values = [sharpness(each) for each in blurred]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.95
    assert values[-1] < 0.3


def test_a_face_of_one_colour_has_no_sharpness():
    assert sharpness(np.full((112, 112, 3), 90, np.uint8)) == 0.0


def test_a_face_seen_from_the_front_is_frontal_whichever_way_it_is_turned_in_the_plane():
    assert frontality(TEMPLATE) == pytest.approx(0.99, abs=0.011)
    turned = TEMPLATE[:, ::-1] * np.float32([-3, 3]) + 40
    assert frontality(turned) == pytest.approx(frontality(TEMPLATE))


@pytest.mark.parametrize(("axis", "shifts"), [(0, (0, 10, 15, 25)), (1, (4, 0, -2, -4))])
def test_the_further_the_nose_leaves_its_place_the_less_frontal(axis, shifts):
    values = []
    for shift in shifts:
        landmarks = TEMPLATE.copy()
        landmarks[2, axis] += shift
        values.append(frontality(landmarks))
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.98 and values[-1] < values[0] - 0.02


def test_eyes_at_one_place_are_not_frontal():
    assert frontality(np.zeros((5, 2), np.float32)) == 0.0


def test_a_sticker_over_an_eye_and_a_bar_over_both_cost_visibility(crop):
    sticker = cv2.circle(crop.copy(), EYE, 14, (240, 200, 40), -1)
    bar = cv2.rectangle(crop.copy(), (EYE[0] - 16, EYE[1] - 9), (OTHER_EYE[0] + 16, EYE[1] + 9), (20, 20, 20), -1)
    assert visibility(crop) > 0.9
    assert visibility(sticker) < visibility(crop) - 0.05
    assert visibility(bar) < visibility(crop) - 0.05


def test_dark_glasses_and_a_mask_cover_a_face_and_neither_dim_light_nor_a_mirror_does(crop):
    glasses, mask = crop.copy(), crop.copy()
    for eye in (EYE, OTHER_EYE):
        cv2.ellipse(glasses, eye, (17, 12), 0, 0, 360, (25, 25, 28), -1)
    cv2.ellipse(mask, MOUTH, (34, 24), 0, 0, 360, (170, 195, 215), -1)
    assert covered(glasses) and covered(mask)
    assert not covered(crop)
    assert not covered((crop * 0.3).astype(np.uint8))
    assert not covered(np.ascontiguousarray(crop[:, ::-1]))


def test_a_darker_picture_of_the_same_face_is_as_visible(crop):
    assert visibility((crop * 0.5).astype(np.uint8)) == pytest.approx(visibility(crop), abs=0.03)


def test_quality_is_between_zero_and_one_and_falls_with_size_and_confidence(crop):
    good = quality(ENOUGH_SIZE, GOOD_SCORE, TEMPLATE, crop)
    assert 0.85 < good.value <= 1
    assert quality(10 * ENOUGH_SIZE, GOOD_SCORE, TEMPLATE, crop) == good
    assert quality(ENOUGH_SIZE / 4, GOOD_SCORE, TEMPLATE, crop).value == pytest.approx(good.value / 4)
    assert quality(ENOUGH_SIZE, 0.8, TEMPLATE, crop).value < 0.7 * good.value


def test_nothing_at_all_has_no_quality():
    assert quality(0, 0, np.zeros((5, 2), np.float32), np.zeros((112, 112, 3), np.uint8)).value == 0.0


def test_quality_says_which_factor_is_low(crop):
    blurred = cv2.GaussianBlur(crop, (0, 0), 6)
    assert quality(ENOUGH_SIZE, GOOD_SCORE, TEMPLATE, blurred).weakest == "sharpness"
    assert quality(ENOUGH_SIZE / 2, GOOD_SCORE, TEMPLATE, crop).weakest == "size"
    assert replace(GOOD, visibility=0.9).weakest == "visibility"


def test_a_recogniser_that_makes_little_of_a_face_lowers_its_quality(crop):
    short, usual, long = (quality(ENOUGH_SIZE, GOOD_SCORE, TEMPLATE, crop, length) for length in (0.7, 1.0, 1.2))
    assert short.value < usual.value < long.value <= 1
    assert short.distinctness == LENGTH[1][0]
    assert short.weakest != "distinctness"


def test_rejecting_by_what_tells_good_pairs_from_bad_lowers_the_error_and_by_what_does_not_leaves_it():
    angles = np.deg2rad([0, 20, 90, 110, 0, 88, 90, 178])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    identities = np.array(["a", "a", "b", "b", "c", "c", "d", "d"])
    tells = error_versus_reject(embeddings, identities, np.array([1, 1, 1, 1, 1, 0, 1, 0.1]), COSINE)
    blind = error_versus_reject(embeddings, identities, np.ones(8), COSINE)
    assert tells.fnmr[0] == blind.fnmr[0] == 0.5
    assert tells.fnmr[-1] == pytest.approx(1 / 3)
    assert tells.area < 1


def test_the_curves_are_drawn(tmp_path):
    embeddings = np.eye(2, dtype=np.float32).repeat(2, axis=0)
    curve = error_versus_reject(embeddings, np.array(["a", "a", "b", "b"]), np.ones(4))
    plot({"photos": {"quality": curve, "score": curve}}, tmp_path / "new" / "curve.svg")
    assert "pairs rejected" in (tmp_path / "new" / "curve.svg").read_text()


def test_averaging_noisy_references_finds_more_than_the_nearest_of_them():
    random = np.random.default_rng(5)
    people = random.normal(size=(60, 64)).repeat(5, axis=0)
    faces = np.concatenate([people + 1.4 * random.normal(size=people.shape), random.normal(size=(400, 64))])
    faces = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)
    names = np.array([f"p{number // 5}" if number < 300 else f"stranger{number}" for number in range(700)])
    found = template_study(faces, names, np.ones(700), references=3)
    gain, low, _ = found["template"].gain[0]
    assert gain > low > 0
    assert found["nearest reference"].gain[0] == (0, 0, 0)


def test_on_real_faces_poor_pairs_are_the_ones_that_are_missed(real_faces, detector):
    """Two photos of each of the first people of the folder; the second is blurred from one person to the next more."""
    people = sorted(folder for folder in (real_faces / "lfw_dev").iterdir() if len(list(folder.glob("*.jpg"))) > 1)[:60]
    embeddings, identities, values = [], [], []
    for turn, person in enumerate(people):
        for number, path in enumerate(sorted(person.glob("*.jpg"))[:2]):
            photo = cv2.GaussianBlur(cv2.imread(str(path)), (0, 0), 0.3 + number * (turn % 5))
            probes = detector.probe(cv2.imencode(".png", photo)[1].tobytes())
            if not probes.faces:
                continue
            face = probes.faces[0]
            embeddings.append(probes.embeddings[0])
            identities.append(person.name)
            values.append(quality(min(face.box[2:]), face.score, np.float32(face.landmarks), probes.crops[0]).value)
    curve = error_versus_reject(np.stack(embeddings), np.array(identities), np.array(values), cosine=0.5)
    assert curve.fnmr[-1] < 0.85 * curve.fnmr[0]
