"""What several looks at one face make together."""

import numpy as np
import pytest

from detector.alignment import align
from detector.engine import embed
from detector.template import reference_embedding, template
from tests.support.portraits import read_rgb


@pytest.fixture(scope="module")
def crops(engine, portraits):
    """The aligned faces of two photos of one man, of one of a woman, and of another man."""
    photos = [read_rgb(portraits[f"{name}.jpg"]) for name in ("person_a_1", "person_a_2", "person_b_1", "impostor_1")]
    return np.stack([align(photo, engine.detect(photo).landmarks[0]) for photo in photos])


def unit(*values):
    vector = np.float32(values)
    return vector / np.linalg.norm(vector)


def test_a_template_lies_in_the_middle_of_its_embeddings_and_has_length_one():
    middle = template(np.stack([unit(1, 0, 0), unit(0, 1, 0)]))
    assert middle.dtype == np.float32
    assert middle == pytest.approx(unit(1, 1, 0))


def test_the_template_of_one_embedding_is_that_embedding():
    assert template(unit(1, 2, 3)[None], np.array([0.3])) == pytest.approx(unit(1, 2, 3))


def test_a_template_is_nearer_to_the_better_photos():
    both = np.stack([unit(1, 0), unit(0, 1)])
    similarities = both @ template(both, np.array([0.9, 0.3]))
    assert similarities[0] > similarities[1]
    assert template(both, np.array([0.9, 0.3])) == pytest.approx(unit(3, 1))


def test_photos_that_are_all_worthless_count_alike():
    both = np.stack([unit(1, 0), unit(0, 1)])
    assert template(both, np.zeros(2)) == pytest.approx(unit(1, 1))


def test_embeddings_that_cancel_each_other_give_no_direction_and_match_nobody():
    assert np.isfinite(template(np.stack([unit(1, 0), unit(-1, 0)]))).all()


def test_no_embeddings_make_no_template():
    with pytest.raises(ValueError, match="at least one"):
        template(np.empty((0, 128), np.float32))


def test_a_reference_is_the_same_for_a_photo_and_its_mirror_image(engine, crops):
    mirrored = np.ascontiguousarray(crops[0][:, ::-1])
    one = reference_embedding(engine, crops[0])
    assert one.dtype == np.float32 and one.shape == (engine.dimension,)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ reference_embedding(engine, mirrored) == pytest.approx(1, abs=1e-4)


def test_a_reference_recognises_its_own_photo_and_its_mirror_image_beyond_doubt(engine, crops):
    probes = embed(engine, np.stack([crops[0], crops[0][:, ::-1]]))
    assert (probes @ reference_embedding(engine, crops[0]) > 0.97).all()


def test_a_template_of_two_photos_is_nearer_to_them_than_they_are_to_each_other(engine, crops):
    first, second, *others = embed(engine, crops)
    middle = template(np.stack([first, second]))
    assert min(first @ middle, second @ middle) > first @ second
    assert all(other @ middle < 0.4 for other in others)
