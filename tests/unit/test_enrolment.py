"""Which photos may become references."""

import hashlib

import cv2
import numpy as np
import pytest

from detector.enrolment import ADVICE, REASONS, EnrolmentLimits, EnrolmentRefused, judge_photo, nearer_to_another
from detector.quality import MENDABLE
from tests.support.detectors import enrol
from tests.support.portraits import covered_up, fit, jpeg, read_rgb

LIMITS = EnrolmentLimits(min_size=64, min_sharpness=0.95, min_quality=0.5, min_score=0.7, photo_side=640)


def refusal(detector, photo, chosen=None, limits=LIMITS):
    with pytest.raises(EnrolmentRefused) as caught:
        judge_photo(detector, photo, limits, chosen)
    return caught.value


@pytest.fixture(scope="module")
def two_people(portraits):
    """Two faces side by side, his the larger."""
    left = fit(read_rgb(portraits["impostor_1.jpg"]), 500)
    right = fit(read_rgb(portraits["person_b_1.jpg"]), 400)
    picture = np.full((500, left.shape[1] + right.shape[1], 3), 128, np.uint8)
    picture[: left.shape[0], : left.shape[1]] = left
    picture[: right.shape[0], left.shape[1] :] = right
    return jpeg(picture)


def test_a_good_portrait_becomes_a_candidate_with_a_copy_for_moderators(detector, portraits):
    for path in portraits.values():
        photo = path.read_bytes()
        candidate = judge_photo(detector, photo, LIMITS)
        assert candidate.sha256 == hashlib.sha256(photo).hexdigest()
        assert candidate.embedding.shape == (128,)
        assert float(np.linalg.norm(candidate.embedding)) == pytest.approx(1.0, abs=1e-5)
        copy = cv2.imdecode(np.frombuffer(candidate.jpeg, np.uint8), cv2.IMREAD_COLOR)
        longest = max(candidate.width, candidate.height)
        assert max(copy.shape[:2]) == min(LIMITS.photo_side, longest)
        again = detector.probe(candidate.jpeg).embeddings[0]
        assert float(again @ candidate.embedding) > 0.8


def test_a_photo_without_a_face_is_refused(detector):
    assert refusal(detector, jpeg(np.full((300, 300, 3), 180, np.uint8))).reason == "no_face"


def test_a_photo_of_two_people_is_refused_unless_one_is_chosen(detector, two_people, portraits):
    refused = refusal(detector, two_people)
    assert refused.reason == "several_faces"
    assert "2 usable faces" in refused.detail and "--face N" in refused.detail
    for number, name in [(1, "impostor_1.jpg"), (2, "person_b_1.jpg")]:
        expected = detector.probe(portraits[name].read_bytes()).embeddings[0]
        assert float(judge_photo(detector, two_people, LIMITS, number).embedding @ expected) > 0.8


@pytest.mark.parametrize("number", [0, 3])
def test_a_face_that_is_not_there_cannot_be_chosen(detector, two_people, number):
    refused = refusal(detector, two_people, number)
    assert refused.reason == "no_such_face"
    assert "the photo has 2" in refused.detail


def test_bystanders_too_small_to_use_do_not_stand_in_the_way(detector, portraits):
    picture = read_rgb(portraits["person_b_1.jpg"]).copy()
    bystander = fit(read_rgb(portraits["impostor_1.jpg"]), 120)
    picture[: bystander.shape[0], : bystander.shape[1]] = bystander
    photo = jpeg(picture)
    assert len(detector.probe(photo).faces) == 2
    expected = detector.probe(portraits["person_b_1.jpg"].read_bytes()).embeddings[0]
    assert float(judge_photo(detector, photo, LIMITS).embedding @ expected) > 0.8
    assert refusal(detector, photo, chosen=2).reason == "face_too_small"


def test_a_small_face_is_refused_with_both_sizes(detector, portraits):
    refused = refusal(detector, jpeg(fit(read_rgb(portraits["person_b_1.jpg"]), 140)))
    assert refused.reason == "face_too_small"
    assert "at least 64" in refused.detail


def test_a_blurred_face_is_refused(detector, portraits):
    blurred = cv2.GaussianBlur(read_rgb(portraits["person_b_1.jpg"]), (0, 0), 14)
    assert refusal(detector, jpeg(blurred)).reason == "face_too_blurred"


@pytest.mark.parametrize("where", ["eyes", "mouth"])
def test_a_covered_face_is_refused_with_advice(detector, portraits, where):
    picture = read_rgb(portraits["person_b_1.jpg"])
    refused = refusal(detector, jpeg(covered_up(picture, detector.engine.detect(picture).landmarks[0], where)))
    assert refused.reason == "quality_too_low"
    assert "Uncover eyes, nose and mouth." in refused.detail


def test_a_face_that_is_poor_as_a_whole_is_refused_with_advice(detector, portraits):
    strict = EnrolmentLimits(min_size=64, min_sharpness=0.95, min_quality=0.98, min_score=0.7, photo_side=640)
    refused = refusal(detector, portraits["person_b_1.jpg"].read_bytes(), limits=strict)
    assert refused.reason == "quality_too_low"
    assert "at least 0.98" in refused.detail
    assert any(advice in refused.detail for advice in ADVICE.values())
    assert set(ADVICE) == set(MENDABLE)


def test_a_face_that_the_detector_doubts_is_refused(detector, portraits):
    strict = EnrolmentLimits(min_size=64, min_sharpness=0.95, min_quality=0.5, min_score=0.99, photo_side=640)
    refused = refusal(detector, portraits["person_b_1.jpg"].read_bytes(), limits=strict)
    assert refused.reason == "face_uncertain"
    assert "99%" in refused.detail


def test_a_broken_photo_is_refused_with_the_decoders_reason(detector, portraits):
    refused = refusal(detector, portraits["person_b_1.jpg"].read_bytes()[:9000])
    assert refused.reason == "truncated_or_damaged"
    assert refused.reason not in REASONS and refused.detail


@pytest.fixture
def gallery(detector, portraits):
    """A detector that knows two people by one photo each, and the embeddings of all portraits."""
    enrol(detector, "macron", [portraits["person_a_1.jpg"].read_bytes()], sequence=1)
    enrol(detector, "ardern", [portraits["person_b_1.jpg"].read_bytes()], sequence=2)
    return detector, {name: detector.probe(path.read_bytes()).embeddings[0] for name, path in portraits.items()}


def test_a_second_photo_of_the_same_identity_is_nearest_to_its_own(gallery):
    detector, embeddings = gallery
    own = [embeddings["person_a_1.jpg"]]
    assert (
        nearer_to_another(embeddings["person_a_2.jpg"], own, "macron", detector.index, detector.thresholds.review)
        is None
    )


def test_a_photo_put_into_the_wrong_identity_is_found_out(gallery):
    detector, embeddings = gallery
    own = [embeddings["person_a_1.jpg"]]
    match = nearer_to_another(embeddings["person_b_2.jpg"], own, "macron", detector.index, detector.thresholds.review)
    assert match.identity.id == "ardern"
    assert match.similarity > float(embeddings["person_b_2.jpg"] @ own[0])


def test_a_first_photo_is_found_out_when_it_matches_somebody_known_and_passes_otherwise(gallery):
    detector, embeddings = gallery
    threshold = detector.thresholds.review
    assert nearer_to_another(embeddings["person_b_2.jpg"], [], None, detector.index, threshold).identity.id == "ardern"
    assert nearer_to_another(embeddings["impostor_1.jpg"], [], None, detector.index, threshold) is None
