"""A challenge photo: its face is told from others, and its code is read, as hands write it and cameras mirror it."""

import numpy as np
import pytest
from PIL import Image

from detector import FaceLimits
from detector.challenge import COPY_SIDE, judge_reading, look_at_challenge, nearest_text, read_code
from detector.enrolment import EnrolmentLimits, EnrolmentRefused
from detector.probing import Prober
from detector.watermark import TextLine, WatermarkReader
from tests.support.detectors import PICTURES
from tests.support.handwriting import paper_before, with_code
from tests.support.portraits import jpeg, read_rgb

CODE = "K7M3P"
LIMITS = EnrolmentLimits(min_size=64, min_sharpness=0.9, min_quality=0.4, min_score=0.7, photo_side=640)


@pytest.fixture(scope="module")
def reader():
    return WatermarkReader(threads=1)


@pytest.fixture(scope="module")
def prober(engine):
    return Prober(engine, PICTURES, FaceLimits(min_size=24, max_faces=64))


def line(text, left=0.0):
    return TextLine(text, 0.9, (left, 0.0, 10.0, 10.0))


def test_the_face_and_the_code_are_found_in_a_portrait_with_a_paper(prober, reader, portraits):
    seen = look_at_challenge(prober, reader, with_code(portraits["person_a_2.jpg"].read_bytes(), CODE), CODE, LIMITS)
    assert judge_reading(seen.read, CODE) == "same"
    assert judge_reading(seen.read, "W4XQ9") == "other", "the code of another day"
    same, other = (
        look_at_challenge(prober, reader, portraits[name].read_bytes(), CODE, LIMITS)
        for name in ("person_a_1.jpg", "person_b_1.jpg")
    )
    assert float(seen.embedding @ same.embedding) > 0.45 > float(seen.embedding @ other.embedding)
    assert (same.read, judge_reading(same.read, CODE)) == (None, "nothing")


def test_the_copy_is_large_enough_to_read_and_the_face_lies_where_it_says(prober, reader, portraits):
    pixels = read_rgb(portraits["person_a_1.jpg"])
    large = np.asarray(Image.fromarray(pixels).resize((2000, round(2000 * pixels.shape[0] / pixels.shape[1]))))
    seen = look_at_challenge(prober, reader, jpeg(large), CODE, LIMITS)
    copy = prober.probe(seen.jpeg)
    assert max(copy.picture.width, copy.picture.height) == COPY_SIDE
    assert np.allclose(seen.face_box, copy.faces[0].box, atol=12)


@pytest.mark.parametrize("turned", ["as it is", "mirrored"])
def test_a_code_is_read_in_the_mirror_too(reader, portraits, turned):
    shown = np.asarray(paper_before(Image.open(portraits["person_b_1.jpg"]).convert("RGB"), CODE, seed=2))
    pixels = np.ascontiguousarray(shown[:, ::-1]) if turned == "mirrored" else shown
    assert judge_reading(read_code(reader, pixels, CODE), CODE) == "same"


def test_a_photo_without_a_usable_face_is_refused_with_advice(prober, reader, portraits):
    for photo, reason in ((jpeg(np.full((400, 400, 3), 128, np.uint8)), "no_face"), (b"no picture", "not_a_picture")):
        with pytest.raises(EnrolmentRefused) as refused:
            look_at_challenge(prober, reader, photo, CODE, LIMITS)
        assert refused.value.reason == reason
    small = Image.open(portraits["person_a_1.jpg"]).convert("RGB")
    small.thumbnail((120, 120))
    with pytest.raises(EnrolmentRefused) as refused:
        look_at_challenge(prober, reader, jpeg(np.asarray(small)), CODE, LIMITS)
    assert refused.value.reason == "face_too_small"


@pytest.mark.parametrize("read", ["K7M3P", "k7m3p", "K7 M3 P", "K 7 M 3 P", "KTM3P", "K7M3D", "my code K7M3P today"])
def test_a_code_is_known_in_spite_of_gaps_case_one_mistake_and_words_around_it(read):
    assert judge_reading(read, CODE) == "same"


@pytest.mark.parametrize("pair", [("0D5Z6", "OOS2G"), ("UV4TC", "VUA7O")])
def test_letters_that_hands_confuse_count_as_one(pair):
    assert judge_reading(pair[0], pair[1]) == "same"


@pytest.mark.parametrize("read", ["W4XQ9", "K7", "7", "M3", "HELLO", "KKKKK"])
def test_other_texts_are_not_the_code(read):
    assert judge_reading(read, CODE) == "other"


def test_of_several_lines_the_one_most_like_the_code_is_told_and_a_code_in_two_pieces_is_joined():
    assert nearest_text([line("NYPD"), line("K7M3F"), line("2026")], CODE) == "K7M3F"
    assert nearest_text([line("M3P", 50.0), line("K7", 10.0)], CODE) == "K7 M3P"
    assert nearest_text([], CODE) is None
