"""What a worker process sends of a picture it has looked at: all that a verdict needs, and little more."""

import pickle

import numpy as np
import pytest

from detector.fingerprint import fingerprint_of
from detector.picture import PictureLimits
from detector.probing import FaceLimits, Prober
from detector.same_photo import same_photo
from tests.support.portraits import fit, jpeg, read_rgb

LIMITS = PictureLimits(20_000_000, 40_000_000, 3.0, 1600)
FACES = FaceLimits(24, 64)
NO_HASHES = np.empty((0, 4), np.uint64)


@pytest.fixture(scope="module")
def photo(portraits):
    return jpeg(fit(read_rgb(portraits["person_b_1.jpg"]), 480))


def test_the_same_photo_is_known_by_its_face_from_what_is_sent(engine, photo):
    seen = Prober(engine, LIMITS, FACES).look(photo)
    probes, sent = seen.probes, seen.for_verdict().probes
    picture, face = probes.picture, probes.faces[0]
    reference = fingerprint_of(picture.pixels, probes.crops[0], face.box, picture.width, picture.height)
    here = same_photo(reference, picture, NO_HASHES, face)
    assert here is not None and here.by == "face"
    assert same_photo(reference, sent.picture, NO_HASHES, sent.faces[0]) == here
    assert np.array_equal(sent.embeddings, probes.embeddings) and np.array_equal(sent.hashes, probes.hashes)


def test_what_is_sent_is_a_third_of_the_pixels_and_none_without_a_face(engine, photo):
    prober = Prober(engine, LIMITS, FACES)
    pixels = prober.decode(photo).pixels
    assert len(pickle.dumps(prober.look(photo).for_verdict())) < 0.4 * pixels.nbytes
    nobody = jpeg(np.random.default_rng(1).integers(0, 255, (300, 300, 3), dtype=np.uint8))
    empty = prober.look(nobody).for_verdict()
    assert not empty.probes.faces and len(pickle.dumps(empty)) < 5_000
    assert (empty.probes.picture.width, empty.probes.picture.height) == (300, 300)


def test_two_packs_send_the_pixels_once(engine, photo):
    sent = Prober(engine, LIMITS, FACES, engine).look(photo).for_verdict()
    assert sent.beside.faces and sent.beside.picture is sent.probes.picture


def test_a_picture_that_is_rejected_is_sent_as_it_is(engine):
    sent = Prober(engine, LIMITS, FACES).look(b"no picture").for_verdict()
    assert sent.probes.reason == "not_a_picture" and sent.beside is None
