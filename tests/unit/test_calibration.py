"""A model pack's calibration: made from faces, kept in TOML."""

import re

import numpy as np
import pytest

from detector.calibration import CalibrationUnfit, Faces, calibrate, read_calibration, write_calibration
from detector.impostor_tail import TooFewPairs

DIMENSION = 64


def faces(people, photos_each=2, seed=0, likeness=0.0, noise=0.08):
    """Synthetic faces; `likeness` pulls all of them towards one direction, as within a cohort that looks alike."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, DIMENSION)) + likeness * np.eye(DIMENSION)[0] * 8
    embeddings = np.repeat(centres, photos_each, axis=0)
    embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    embeddings = embeddings + random.normal(size=embeddings.shape) * noise
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings.astype(np.float32), np.repeat(np.arange(people), photos_each)


@pytest.fixture(scope="module")
def made():
    return calibrate("pack@1", "synthetic", Faces(*faces(600)))


def test_a_calibration_says_what_it_was_made_of(made):
    assert (made.pack, made.data, made.people, made.photos) == ("pack@1", "synthetic", 600, 1200)
    assert made.mislabelled_pairs < 3


def test_every_pair_is_counted_once_however_the_faces_are_cut_into_blocks(made):
    embeddings, people = faces(600)
    order = np.random.default_rng(1).permutation(len(people))
    shuffled = calibrate("pack@1", "synthetic", Faces(embeddings[order], people[order]))
    assert shuffled.tail.cosine(1e-4) == pytest.approx(made.tail.cosine(1e-4), abs=1e-3)
    assert shuffled.genuine == pytest.approx(made.genuine, abs=1e-3)


def test_the_expected_detection_rate_is_that_of_the_genuine_pairs(made):
    embeddings, _ = faces(600)
    genuine = (embeddings[::2] * embeddings[1::2]).sum(axis=1)
    for cosine in (0.5, 0.6, 0.7, 0.8):
        assert made.detection_rate(cosine) == pytest.approx((genuine >= cosine).mean(), abs=0.03)


def test_single_photos_give_a_tail_but_no_detection_rate():
    embeddings, people = faces(600, photos_each=1)
    made = calibrate("pack@1", "singles", Faces(embeddings, people))
    assert made.genuine == () and made.detection_rate(0.5) is None
    assert 0.2 < made.tail.cosine(1e-3) < 0.6


def test_a_cohort_that_looks_alike_has_a_tail_of_its_own():
    alike, some = faces(400, seed=1, likeness=0.4)
    others, more = faces(400, seed=2)
    labels = ["alike"] * len(some) + ["others"] * len(more)
    made = calibrate("p@1", "two", Faces(np.concatenate([alike, others]), np.concatenate([some, more + 400]), labels))
    assert set(made.cohorts) == {"alike", "others"}
    assert made.cohorts["alike"].cosine(1e-4) > made.cohorts["others"].cosine(1e-4) + 0.03


def test_a_cohort_of_a_few_people_has_no_tail():
    embeddings, people = faces(600)
    labels = ["few"] * 20 + ["many"] * (len(people) - 20)
    assert set(calibrate("p@1", "x", Faces(embeddings, people, labels)).cohorts) == {"many"}


def test_faces_among_which_one_photo_bears_many_names_are_refused():
    embeddings, people = faces(300, photos_each=1)
    embeddings[:60] = embeddings[0]
    with pytest.raises(TooFewPairs, match="one photo is there under many names"):
        calibrate("p@1", "x", Faces(embeddings, people))


def test_too_few_people_are_refused():
    with pytest.raises(TooFewPairs):
        calibrate("p@1", "x", Faces(*faces(30)))


def test_a_file_gives_back_what_was_written(made, tmp_path):
    write_calibration(made, tmp_path / "c.toml")
    assert read_calibration(tmp_path / "c.toml") == made


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("slope", "slopes"),
        lambda text: text.replace('pack = "pack@1"', ""),
        lambda text: text.replace("rate = ", "rate = -"),
        lambda text: text + "\n= broken",
        lambda text: text.replace("1.0,", "0.1,", 1),
        lambda text: text.replace("1.0,", "nan,", 1),
        lambda text: re.sub("slope = .*", "slope = inf", text),
        lambda text: re.sub("curvature = .*", "curvature = inf", text),
        lambda text: re.sub("slope = .*", "slope = 1e-9", re.sub("curvature = .*", "curvature = 0.0", text)),
        lambda text: "tail = 5\n" + text.partition("[tail]")[0],
        lambda text: text.replace("people = 600", 'people = "many"'),
    ],
)
def test_a_file_that_was_tampered_with_is_refused_in_one_sentence(made, tmp_path, spoil):
    path = tmp_path / "c.toml"
    write_calibration(made, path)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(CalibrationUnfit, match="likeness calibrate"):
        read_calibration(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CalibrationUnfit, match="No such file"):
        read_calibration(tmp_path / "none.toml")


def test_the_default_pack_is_calibrated(packs):
    calibration = packs["opencv-zoo"].calibration
    assert calibration.pack == packs["opencv-zoo"].id
    assert calibration.tail.cosine(1e-4) == pytest.approx(0.414, abs=0.002)
    assert calibration.detection_rate(0.47) == pytest.approx(0.935, abs=0.01)
