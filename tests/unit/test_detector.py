"""A picture in, a verdict out, on real portraits."""

import random
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from detector import PictureRejected, Upload
from detector.identity import Identity, Reference
from tests.support.detectors import PICTURES, enrol, make_detector, reference
from tests.support.portraits import close_up, fit, jpeg, read_rgb

PEOPLE = ["person_a_1.jpg", "person_b_1.jpg", "impostor_1.jpg", "impostor_2.jpg"]
STAGES = {"decode", "hash", "detect", "align", "embed", "quality", "match", "judge"}
SAME = 0.473
"""Cosine that a stranger reaches once in 150,000 comparisons."""


@pytest.fixture
def photo(portraits):
    """The bytes of a portrait by name."""
    return lambda name: portraits[name].read_bytes()


@pytest.fixture
def guarded(detector, photo):
    """A detector whose gallery holds one photo each of the two people of whom there are two."""
    enrol(detector, "macron", [photo("person_a_1.jpg")], own_accounts=["acct-macron"], sequence=1)
    enrol(detector, "ardern", [photo("person_b_1.jpg")], sequence=2)
    return detector


def group_picture(portraits, sides):
    """Portraits side by side on grey, each scaled to its own longest side."""
    parts = []
    for name, side in sides.items():
        part = np.full((max(sides.values()), side, 3), 128, np.uint8)
        scaled = fit(read_rgb(portraits[name]), side)
        part[: scaled.shape[0], : scaled.shape[1]] = scaled
        parts.append(part)
    return np.hstack(parts)


@pytest.mark.parametrize(
    ("name", "identity"), [("person_a_2.jpg", "macron"), ("person_b_2.jpg", "ardern")], ids=["he", "she"]
)
def test_another_photo_of_a_gallery_person_years_later_goes_to_review(guarded, photo, name, identity):
    verdict = guarded.screen(photo(name), "acct-1")
    (finding,) = verdict.findings
    assert verdict.outcome == "review"
    assert (finding.identity_id, finding.reference_id, finding.kind) == (identity, f"{identity}-1", "same_person")
    assert finding.similarity >= finding.threshold == guarded.thresholds.review
    assert (verdict.pack, verdict.gallery_version) == (guarded.engine.pack, 2)


@pytest.mark.parametrize("name", ["impostor_1.jpg", "impostor_2.jpg"])
def test_other_people_are_clear(guarded, photo, name):
    verdict = guarded.screen(photo(name), "acct-1")
    assert (verdict.outcome, verdict.findings, len(verdict.faces)) == ("clear", (), 1)


def test_different_people_stay_below_the_threshold_and_the_same_person_above(detector, photo):
    embeddings = {
        name: detector.probe(photo(name)).embeddings[0] for name in [*PEOPLE, "person_a_2.jpg", "person_b_2.jpg"]
    }
    for one in embeddings:
        for other in embeddings:
            same = one[:8] == other[:8] and one.startswith("person")
            if one != other:
                similarity = float(embeddings[one] @ embeddings[other])
                assert (similarity >= SAME) == same, (one, other, similarity)


def test_a_mirrored_or_recompressed_copy_of_the_reference_goes_to_review(guarded, portraits):
    pixels = read_rgb(portraits["person_b_1.jpg"])
    copies = {"mirrored": jpeg(pixels[:, ::-1]), "as_it_is": jpeg(fit(pixels, 240), quality=35)}
    for transform, copy in copies.items():
        (finding,) = guarded.screen(copy).findings
        assert (finding.identity_id, finding.kind, finding.same_photo.transform) == (
            "ardern",
            "same_picture",
            transform,
        )


def test_a_reference_turned_on_its_side_is_the_same_picture_though_no_face_is_compared(guarded, portraits):
    turned = np.rot90(read_rgb(portraits["person_b_1.jpg"]), -1)
    (finding,) = guarded.screen(jpeg(np.ascontiguousarray(turned))).findings
    assert (finding.kind, finding.identity_id, finding.same_photo.transform) == (
        "same_picture",
        "ardern",
        "rotated_90",
    )


def test_part_of_a_reference_photo_is_a_cropped_picture_that_says_how_much_is_left(guarded, portraits):
    pixels = read_rgb(portraits["person_b_1.jpg"])
    height, width = pixels.shape[:2]
    box = guarded.probe(jpeg(pixels)).faces[0].box
    top, left = int(max(0, box[1] - 0.3 * box[3])), int(max(0, box[0] - 0.3 * box[2]))
    bottom, right = int(box[1] + 1.4 * box[3]), int(box[0] + 1.3 * box[2])
    part = pixels[top:bottom, left:right]
    (finding,) = guarded.screen(jpeg(part)).findings
    assert (finding.kind, finding.same_photo.by) == ("cropped_picture", "face")
    assert finding.same_photo.visible == pytest.approx(part.shape[0] * part.shape[1] / (height * width), abs=0.15)


def test_the_nearest_reference_is_known_as_the_photo_it_is_however_many_there_are(detector, portraits):
    others = [reference(detector, f"other-{number}", portraits["person_b_2.jpg"].read_bytes()) for number in range(20)]
    mine = reference(detector, "mine", portraits["person_b_1.jpg"].read_bytes())
    identity = Identity("ardern", "Ardern", "victim", 1, frozenset(), (*others, mine))
    detector.index.apply(identity)
    pixels = read_rgb(portraits["person_b_1.jpg"])
    padded = np.pad(pixels, ((250, 250), (250, 250), (0, 0)), constant_values=255)
    (finding,) = detector.screen(jpeg(padded)).findings
    assert (finding.kind, finding.reference_id) == ("same_picture", "mine")


def test_evidence_that_cannot_be_judged_makes_one_picture_unscreenable_and_no_other(detector, photo):
    sound = reference(detector, "macron-1", photo("person_a_1.jpg"))
    one = sound._replace(fingerprint=sound.fingerprint._replace(width=0, height=0))
    detector.index.apply(Identity("macron", "Macron", "celebrity", 9, frozenset(), (one,)))
    copy = jpeg(np.pad(read_rgb_of(photo("person_a_1.jpg")), ((90, 90), (90, 90), (0, 0)), constant_values=255))
    hit, other = detector.screen_batch([Upload(copy), Upload(photo("impostor_1.jpg"))])
    assert (hit.outcome, hit.reason) == ("unscreenable", "screening_failed")
    assert other.outcome == "clear"


def read_rgb_of(data):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_a_profile_that_claims_the_name_is_found_with_the_face_that_agrees(guarded, photo):
    verdict = guarded.screen(photo("person_a_2.jpg"), "acct-1", handle="real_macron.official", display_name="Macron")
    assert {finding.kind for finding in verdict.findings} == {"same_person", "name_claim"}
    assert guarded.screen(photo("impostor_1.jpg"), "acct-1", display_name="Macron").outcome == "clear"


def test_the_threshold_follows_the_gallerys_size(guarded, photo):
    small = guarded.screen(photo("impostor_1.jpg"))
    random_faces(guarded, 3000)
    large = guarded.screen(photo("impostor_1.jpg"))
    assert large.threshold > small.threshold + 0.05
    assert large.sure > large.threshold


def random_faces(detector, count):
    """Give the gallery as many identities that nobody is like."""
    vectors = np.random.default_rng(0).normal(size=(count, detector.engine.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for number, vector in enumerate(vectors):
        reference = Reference(f"random-{number}", {detector.engine.pack: vector})
        detector.index.apply(Identity(f"random-{number}", "", "victim", 10 + number, frozenset(), (reference,)))


def test_an_own_account_is_clear_and_says_what_was_silenced(guarded, photo):
    verdict = guarded.screen(photo("person_a_2.jpg"), "acct-macron")
    assert (verdict.outcome, verdict.findings) == ("clear", ())
    assert [(each.finding.identity_id, each.by) for each in verdict.silenced] == [("macron", "own_account")]
    assert guarded.screen(photo("person_a_2.jpg"), "acct-other").outcome == "review"


@pytest.mark.parametrize("side", [600, 100])
@pytest.mark.parametrize("name", [*PEOPLE, "person_a_2.jpg", "person_b_2.jpg"])
def test_a_close_up_whose_face_fills_the_frame_is_detected_and_recognised(detector, portraits, name, side):
    whole = detector.probe(portraits[name].read_bytes())
    tight = detector.probe(jpeg(close_up(read_rgb(portraits[name]), whole.faces[0].box, side)))
    assert len(tight.faces) == 1
    assert min(tight.faces[0].box[2:]) > 0.9 * side
    assert float(tight.embeddings[0] @ whole.embeddings[0]) >= SAME


@pytest.mark.parametrize("name", [*PEOPLE, "person_a_2.jpg", "person_b_2.jpg"])
def test_a_100_pixel_avatar_is_detected_and_recognised(detector, portraits, name):
    whole = detector.probe(portraits[name].read_bytes())
    avatar = detector.probe(jpeg(fit(read_rgb(portraits[name]), 100)))
    assert len(avatar.faces) == 1
    assert float(avatar.embeddings[0] @ whole.embeddings[0]) >= SAME


def test_all_faces_of_a_group_picture_are_probed_largest_first(guarded, portraits):
    sides = {"impostor_1.jpg": 300, "person_b_2.jpg": 500, "impostor_2.jpg": 200, "person_a_2.jpg": 400}
    verdict = guarded.screen(jpeg(group_picture(portraits, sides)))
    assert len(verdict.faces) == 4 and verdict.faces_left_out == 0
    areas = [face.box[2] * face.box[3] for face in verdict.faces]
    assert all(larger > smaller for larger, smaller in pairwise(areas))
    left_edges = [face.box[0] for face in verdict.faces]
    assert np.argsort(np.argsort(left_edges)).tolist() == [1, 3, 0, 2]
    boxes = {finding.identity_id: finding.face_box for finding in verdict.findings}
    assert boxes == {"ardern": verdict.faces[0].box, "macron": verdict.faces[1].box}


def test_faces_beyond_the_limit_are_counted_not_probed(engine, portraits):
    picture = jpeg(group_picture(portraits, {"impostor_1.jpg": 300, "person_b_2.jpg": 500, "impostor_2.jpg": 200}))
    detector = make_detector(engine, max_faces=1)
    verdict = detector.screen(picture)
    detector.close()
    assert len(verdict.faces) == 1 and verdict.faces_left_out == 2
    assert 300 <= verdict.faces[0].box[0] < 800


def test_faces_smaller_than_the_minimum_are_no_faces(engine, portraits):
    picture = jpeg(group_picture(portraits, {"impostor_1.jpg": 500, "person_b_2.jpg": 150}))
    strict, lax = make_detector(engine, min_size=80), make_detector(engine, min_size=24)
    found, all_found = strict.screen(picture), lax.screen(picture)
    alone = strict.screen(jpeg(fit(read_rgb(portraits["person_b_2.jpg"]), 150)))
    strict.close(), lax.close()
    assert (len(found.faces), found.faces_left_out) == (1, 0)
    assert min(found.faces[0].box[2:]) >= 80
    assert sorted(min(face.box[2:]) >= 80 for face in all_found.faces) == [False, True]
    assert alone.outcome == "no_face"


def test_boxes_and_the_minimum_size_are_in_pixels_as_uploaded(engine, portraits):
    small = make_detector(engine, min_size=100, pictures=replace(PICTURES, working_side=320))
    whole = make_detector(engine, min_size=100)
    picture = portraits["person_b_1.jpg"].read_bytes()
    scaled, unscaled = small.screen(picture), whole.screen(picture)
    small.close(), whole.close()
    assert (scaled.width, scaled.height) == (unscaled.width, unscaled.height) == (716, 900)
    np.testing.assert_allclose(scaled.faces[0].box, unscaled.faces[0].box, atol=30)
    np.testing.assert_allclose(scaled.faces[0].landmarks, unscaled.faces[0].landmarks, atol=30)


def test_landmarks_come_in_arcfaces_order(detector, photo):
    for name in PEOPLE:
        (face,) = detector.screen(photo(name)).faces
        eye, other_eye, nose, mouth, other_mouth = face.landmarks
        assert eye[0] < nose[0] < other_eye[0]
        assert mouth[0] < other_mouth[0]
        assert max(eye[1], other_eye[1]) < nose[1] < min(mouth[1], other_mouth[1])


@pytest.mark.parametrize("pixels", [np.full((300, 400, 3), 200, np.uint8), np.zeros((1, 1, 3), np.uint8)])
def test_a_picture_without_a_face_has_the_verdict_no_face(guarded, pixels):
    verdict = guarded.screen(jpeg(pixels))
    assert (verdict.outcome, verdict.faces, verdict.findings, verdict.reason) == ("no_face", (), (), None)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda whole: whole[: len(whole) // 3], "truncated_or_damaged"),
        (lambda whole: b"", "empty"),
        (lambda whole: b"<html>not a picture</html>", "not_a_picture"),
    ],
    ids=["cut short", "no bytes", "a page"],
)
def test_what_cannot_be_decoded_is_unscreenable_with_a_reason(guarded, photo, make, reason):
    picture = make(photo("person_a_2.jpg"))
    verdict = guarded.screen(picture, "acct-1")
    assert (verdict.outcome, verdict.reason, verdict.faces) == ("unscreenable", reason, ())
    assert verdict.detail.endswith(".")
    assert (verdict.pack, verdict.gallery_version) == (guarded.engine.pack, 2)
    with pytest.raises(PictureRejected):
        guarded.probe(picture)


def test_a_batch_gives_the_verdicts_of_one_by_one_in_order(guarded, photo):
    pictures = [photo("person_b_2.jpg"), b"broken", photo("impostor_1.jpg"), jpeg(np.zeros((50, 50, 3), np.uint8))]
    uploads = [Upload(picture, "acct-1") for picture in pictures]
    uploads += [Upload(photo("person_a_2.jpg"), "acct-macron"), Upload(photo("person_a_2.jpg"))]
    together = guarded.screen_batch(uploads)
    assert [verdict.outcome for verdict in together] == [
        "review",
        "unscreenable",
        "clear",
        "no_face",
        "clear",
        "review",
    ]
    for upload, verdict in zip(uploads, together, strict=True):
        assert comparable(guarded.screen(upload.picture, upload.account_id)) == comparable(verdict)


def comparable(verdict):
    """The verdict without times; similarities rounded, as sums differ in their last bits between sizes of a matrix."""

    def rounded(finding):
        return replace(finding, similarity=round(finding.similarity, 4))

    return replace(
        verdict,
        milliseconds={},
        findings=tuple(map(rounded, verdict.findings)),
        silenced=tuple(replace(each, finding=rounded(each.finding)) for each in verdict.silenced),
    )


def test_a_picture_is_matched_with_those_still_looked_at_and_waits_for_nothing_else(guarded, photo, monkeypatch):
    asked, look_up = [], guarded.index.look_up
    monkeypatch.setattr(guarded.index, "look_up", lambda some, lowest: asked.append(len(some)) or look_up(some, lowest))
    monkeypatch.setattr("detector.detector.GATHER_SECONDS", 60.0)
    started = time.monotonic()
    guarded.screen(photo("impostor_1.jpg"))
    guarded.screen_batch([Upload(photo(name)) for name in ("person_b_2.jpg", "impostor_1.jpg", "person_a_2.jpg")])
    assert asked == [1, 3]
    assert time.monotonic() - started < 30


def test_an_empty_batch_has_no_verdicts(guarded):
    assert guarded.screen_batch([]) == []


def test_the_time_of_each_stage_is_told(guarded, photo):
    milliseconds = guarded.screen(photo("person_a_2.jpg")).milliseconds
    assert set(milliseconds) == STAGES
    assert all(value >= 0 for value in milliseconds.values())
    assert milliseconds["embed"] > 0


def test_a_change_of_the_gallery_holds_from_the_next_picture_on(guarded, photo):
    assert guarded.screen(photo("person_b_2.jpg")).outcome == "review"
    guarded.index.remove("ardern", 3)
    verdict = guarded.screen(photo("person_b_2.jpg"))
    assert (verdict.outcome, verdict.gallery_version) == ("clear", 3)


def spread(folder: Path, count: int) -> list[Path]:
    """`count` photos of as many identities, the same ones every time."""
    identities = sorted(path for path in folder.iterdir() if path.is_dir())
    return [min(each.glob("*.jpg")) for each in random.Random(7).sample(identities, count)]


def test_faces_are_missed_in_fewer_than_one_of_200_photos_avatars_and_close_ups(engine, real_faces):
    looks = {"150 px": [], "100 px": [], "close-up 600 px": [], "close-up 100 px": []}
    for path in spread(real_faces / "lfw_dev", 300):
        pixels = read_rgb(path)
        face = middle_face(engine, pixels)
        looks["150 px"].append(face is not None)
        looks["100 px"].append(middle_face(engine, fit(pixels, 100)) is not None)
        if face is not None:
            for side in (600, 100):
                looks[f"close-up {side} px"].append(middle_face(engine, close_up(pixels, face, side)) is not None)
    missed = {look: found.count(False) for look, found in looks.items()}
    assert all(len(found) >= 298 for found in looks.values())
    assert all(count <= 0.005 * len(looks[look]) for look, count in missed.items()), missed


def middle_face(engine, pixels):
    """The box of the face that covers the middle of the picture, if one does."""
    y, x = np.array(pixels.shape[:2]) / 2
    for box in engine.detect(pixels).boxes:
        if box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3]:
            return box
    return None


def test_no_threads_of_the_linear_algebra_spin_beside_pictures_screened_side_by_side(detector):
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
