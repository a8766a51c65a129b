"""A photo that stayed with the person: its fingerprint alone finds the same picture again, and never the face."""

import json

import numpy as np
import pytest

from detector.fingerprint import LEAST_QUALITY, TRANSFORMS, hashes_to_search, pdq
from detector.identity import Fingerprint, Identity, Reference
from detector.index import GalleryIndex
from detector.searchable import Query
from records.fingerprints import fingerprint_bytes, fingerprint_from
from records.gallery_changes import read_change, write_change
from records.keys.keyring import DataKey
from records.references import LEAST_PDQ_QUALITY
from tests.support.detectors import enrol, make_policy
from tests.support.portraits import jpeg, read_rgb
from tests.unit.test_fingerprint import clouds, done

PACK, DIMENSION = "test@1", 8
BOX = (10.5, 20.25, 100.0, 120.0)
NO_FACES = np.empty((0, DIMENSION), np.float32)


def hash_only(reference_id, pixels, quality=None):
    """The reference that is left of a photo which its owner keeps."""
    picture, found = pdq(pixels)
    height, width = pixels.shape[:2]
    print_ = Fingerprint(picture.tobytes(), found if quality is None else quality, None, width, height, None)
    return Reference(reference_id, {}, print_)


def person(name, *references, sequence=1):
    return Identity(name, name.title(), "victim", sequence, frozenset(), references)


def with_face(reference_id, axis):
    return Reference(reference_id, {PACK: np.eye(DIMENSION, dtype=np.float32)[axis]})


def look_up(index, pixels):
    """Whose picture it is, by which reference and in which turn."""
    (found,), _, _ = index.look_up([Query(NO_FACES, hashes_to_search(pixels))], lambda _: 0.5)
    assert all(one.photo.by == "picture" for one in found.pictures)
    return [(one.identity.id, one.reference_id, one.photo.transform) for one in found.pictures]


@pytest.fixture
def index():
    """Ada is known by a hash alone, Bea by her face, Cleo by both."""
    made = GalleryIndex(PACK, DIMENSION)
    made.apply(person("ada", hash_only("ada-hash", clouds(200, 300, 1))))
    made.apply(person("bea", with_face("bea-face", 0), sequence=2))
    made.apply(person("cleo", with_face("cleo-face", 1), hash_only("cleo-hash", clouds(200, 300, 2)), sequence=3))
    return made


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_picture_is_found_however_it_is_turned(index, transform):
    assert look_up(index, done(clouds(200, 300, 1), transform)) == [("ada", "ada-hash", transform)]
    assert look_up(index, clouds(200, 300, 3)) == []


def test_what_is_found_says_that_there_is_no_photo_to_look_at(index):
    (found,), _, _ = index.look_up([Query(NO_FACES, hashes_to_search(clouds(200, 300, 2)))], lambda _: 0.5)
    assert found.pictures[0].photo.hash_only


def test_a_hash_that_reports_may_bring_is_one_that_is_compared():
    assert LEAST_PDQ_QUALITY == LEAST_QUALITY


def test_no_face_is_ever_found_by_a_hash(index):
    (matches,), _ = index.search(np.eye(DIMENSION, dtype=np.float32)[:1], -1.0)
    assert {match.identity.id for match in matches} == {"bea", "cleo"}
    assert index.embeddings("ada") == []


def test_a_hash_is_a_reference_but_no_comparison_of_faces_and_lacks_no_embedding(index):
    assert (index.identities, index.references, index.comparisons, index.without_embedding) == (3, 4, 2, 0)
    index.require_searchable()


def test_a_claimed_name_says_nothing_about_somebody_without_a_face(index):
    query = Query(np.eye(DIMENSION, dtype=np.float32)[:1], np.empty((0, 4), np.uint64), display_name="Ada")
    (found,), _, _ = index.look_up([query], lambda _: -1.0)
    assert found.claims == []


def test_a_removed_hash_is_found_no_more_and_leaves_its_room_to_others(index):
    for sequence in range(4, 24):
        index.apply(person("ada", hash_only("ada-hash", clouds(40, 60, sequence % 5)), sequence=sequence))
    assert index.references == 4
    assert len(index._hash_only.owners) == 2
    index.remove("ada", 24)
    assert look_up(index, clouds(40, 60, 23 % 5)) == []
    assert index.references == 3


def test_a_photo_that_comes_later_takes_the_place_of_the_hash(index):
    index.apply(person("ada", with_face("ada-face", 2), sequence=4))
    assert look_up(index, clouds(200, 300, 1)) == []
    assert (index.references, index.comparisons, index.without_embedding) == (4, 3, 0)


def test_the_hash_of_a_flat_picture_finds_nothing():
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(person("ada", hash_only("ada-hash", clouds(200, 300, 1), LEAST_QUALITY - 1)))
    assert look_up(index, clouds(200, 300, 1)) == []


def test_a_fingerprint_without_a_face_is_read_as_it_was_written_and_one_with_a_face_as_ever():
    without = hash_only("r", clouds(40, 60, 1)).fingerprint
    with_one = Fingerprint(bytes(range(32)), 87, bytes(range(32, 64)), 1280, 960, BOX)
    assert fingerprint_from(fingerprint_bytes(without)) == without
    assert fingerprint_from(fingerprint_bytes(with_one)) == with_one
    assert fingerprint_bytes(with_one)[0] == 1, "releases before this one read it"


@pytest.mark.parametrize(("face", "box"), [(None, BOX), (bytes(32), None)])
def test_a_face_without_a_place_or_a_place_without_a_face_is_no_fingerprint(face, box):
    with pytest.raises(ValueError, match="come together"):
        fingerprint_bytes(Fingerprint(bytes(32), 90, face, 10, 10, box))


def test_a_change_brings_hashes_over():
    key = DataKey.new("ada")
    sent = person("ada", hash_only("ada-hash", clouds(40, 60, 1)), with_face("ada-face", 0))
    read = read_change("ada", json.loads(write_change(sent, key)), key)
    assert [(one.id, one.hash_only, bool(one.embeddings)) for one in read.references] == [
        ("ada-hash", True, False),
        ("ada-face", False, True),
    ]
    assert read.references[0].fingerprint == sent.references[0].fingerprint


def test_somebody_may_be_known_by_photos_and_by_hashes(detector, portraits):
    """A face cut out of another photo is compared with those that have a face, and with those only."""
    photo, other = portraits["person_a_1.jpg"], read_rgb(portraits["person_a_2.jpg"])
    enrol(detector, "macron", [photo.read_bytes()])
    (embedding,) = detector.index.embeddings("macron")
    (match,) = detector.index.search(embedding[None], 0.9)[0][0]
    known = [one._replace(embeddings={detector.index.pack: embedding}) for one in match.identity.references]
    detector.index.apply(person("macron", hash_only("macron-hash", other), *known, sequence=2))
    assert detector.screen(jpeg(other)).findings[0].same_photo.hash_only
    height, width = other.shape[:2]
    cut = jpeg(other[height // 20 : -height // 4, width // 6 : -width // 6])
    assert [one.kind for one in detector.screen(cut).findings] == ["same_person"]


def test_hashes_leave_the_threshold_where_it_was(engine):
    policy = make_policy(engine)
    index = GalleryIndex(engine.pack, engine.dimension)
    before = policy.at(index.comparisons).review
    index.apply(person("ada", *(hash_only(f"ref-{number}", clouds(40, 60, number)) for number in range(20))))
    assert policy.at(index.comparisons).review == before
