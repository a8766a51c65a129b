"""Edits as thieves and apps make them, and the count of what they hide."""

import cv2
import numpy as np
import pytest

from benchmarks.edit_report import as_markdown, below_goal, heat_map, rows, table
from benchmarks.edit_suite import EditResults, Photo, PhotoWithoutFace, Trial, run_edit_suite, tally, usable_photos
from benchmarks.edits import COMBINED, EDITS, edited
from benchmarks.shot import Shot
from tests.support.detectors import make_detector
from tests.support.portraits import fit, jpeg, read_rgb

ALL = [(family, level) for family, levels in EDITS.items() for level in levels]


@pytest.fixture(scope="module")
def shot(engine, portraits):
    """A real portrait, 215x320, the face left of the middle, where the detector sees it."""
    pixels = np.ascontiguousarray(fit(read_rgb(portraits["person_b_1.jpg"]), 320)[:, 40:])
    others = tuple(read_rgb(portraits[name]) for name in ("person_a_1.jpg", "impostor_1.jpg", "impostor_2.jpg"))
    return Shot(pixels, tuple(float(side) for side in engine.detect(pixels).boxes[0]), others)


def plain(rows=150, columns=150, face=(50.0, 40.0, 60.0, 80.0)):
    grey = np.full((rows, columns, 3), 128, np.uint8)
    return Shot(grey, face, (grey, grey, grey))


def trial(face_side=80.0, *, family="mirror", level="mirror", found="same_person", missed=None, wrong=False):
    return Trial(family, level, 0, face_side, found, missed, wrong)


def results(*trials):
    return EditResults(tuple(trials), photos=1, gallery=1, pack="pack@1", threshold=0.5)


@pytest.mark.parametrize(("family", "level"), ALL)
def test_an_edited_picture_can_be_read_and_shows_the_face_where_it_is_said_to_be(shot, engine, family, level):
    after = edited(shot, family, level, seed=1)
    pixels = cv2.imdecode(np.frombuffer(after.jpeg(), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels.shape == after.pixels.shape
    if after.face_side < 30:
        return
    found = engine.detect(pixels)
    x, y, width, height = after.face
    middles = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    apart = np.abs(middles - (x + width / 2, y + height / 2)) / (width, height)
    nearest = int(apart.max(axis=1).argmin())
    assert apart[nearest].max() < 0.2
    assert found.boxes[nearest, 2:].min() == pytest.approx(after.face_side, rel=0.25)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_crop(shot):
    for family, level in ALL:
        assert edited(shot, family, level, 1).jpeg() == edited(shot, family, level, 1).jpeg()
    assert len({edited(shot, "crop", "20 %", seed).jpeg() for seed in range(5)}) > 1


def test_no_edit_but_saving_again_leaves_the_picture_as_it_was(shot):
    before = edited(shot, "none", "saved again", 1).jpeg()
    assert [each for each in ALL if edited(shot, *each, 1).jpeg() == before] == [("none", "saved again")]


def test_an_edit_does_not_change_the_photo_that_it_was_given(shot):
    before = shot.pixels.copy()
    for family, level in ALL:
        edited(shot, family, level, 1)
    assert (shot.pixels == before).all()


def test_mirrored_twice_is_the_photo_again(shot):
    once = edited(shot, "mirror", "mirror", 1)
    twice = edited(once, "mirror", "mirror", 1)
    assert (twice.pixels == shot.pixels).all()
    assert twice.face == pytest.approx(shot.face)


@pytest.mark.parametrize("seed", range(20))
def test_a_crop_takes_its_share_and_leaves_the_face_whole(seed):
    before = plain()
    after = edited(before, "crop", "40 %", seed)
    assert after.pixels.shape == (90, 90, 3)
    assert after.face_side == before.face_side
    x, y, width, height = after.face
    assert x >= -0.5 and y >= -0.5 and x + width <= 90.5 and y + height <= 90.5


def test_a_crop_smaller_than_the_face_stays_on_its_middle():
    after = edited(plain(), "crop", "50 %", 1)
    y, height = after.face[1], after.face[3]
    assert y + height / 2 == pytest.approx(75 / 2, abs=1)
    assert after.face_side == 60


def test_a_turned_picture_that_is_cut_inside_shows_no_filled_corners():
    pixels = np.full((200, 300, 3), 255, np.uint8)
    pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:] = 0, 0, 0, 0
    bordered = Shot(pixels, (120.0, 60.0, 60.0, 80.0))
    filled, inside = (edited(bordered, family, "15°", 1).pixels for family in ("rotate, filled", "rotate, cut inside"))
    assert (filled < 128).mean() > 0.1
    assert (inside < 128).mean() < 0.01
    assert inside.shape[0] / inside.shape[1] == pytest.approx(200 / 300, rel=0.02)


@pytest.mark.parametrize("family", ["rotate, filled", "rotate, cut inside"])
def test_the_face_of_a_turned_picture_is_followed_out_to_its_edge(family):
    pixels = np.zeros((200, 300, 3), np.uint8)
    cv2.circle(pixels, (250, 60), 5, (255, 255, 255), -1)
    after = edited(Shot(pixels, (230.0, 40.0, 40.0, 40.0)), family, "10°", 1)
    down, across = np.argwhere(after.pixels[..., 0] > 128).mean(axis=0)
    x, y, width, height = after.face
    assert (x + width / 2, y + height / 2) == pytest.approx((across, down), abs=1)


def test_the_lower_the_jpeg_quality_the_smaller_the_file(shot):
    sizes = [len(edited(shot, "JPEG quality", level, 1).jpeg()) for level in ("95", "75", "50", "35", "20")]
    assert sizes == sorted(sizes, reverse=True)


def test_the_longest_side_is_what_was_asked_and_the_face_shrinks_with_it(shot):
    after = edited(shot, "longest side", "128 px", 1)
    assert max(after.pixels.shape) == 128
    assert after.face_side == pytest.approx(shot.face_side * 128 / 320)


def test_the_sticker_hides_one_eye_and_only_one(shot, engine):
    eyes = engine.detect(shot.pixels).landmarks[0][:2]
    after = edited(shot, "sticker", "one eye", 1)
    changed = (after.pixels != shot.pixels).any(axis=2)
    assert sorted(bool(changed[round(float(y)), round(float(x))]) for x, y in eyes) == [False, True]


def test_a_collage_needs_three_other_photos(shot):
    with pytest.raises(ValueError, match="three other photos and got 0"):
        edited(Shot(shot.pixels, shot.face), "collage", "of four", 1)


def test_a_photo_under_edits_is_found_in_the_gallery_and_nobody_else_is(engine, portraits):
    detector = make_detector(engine)
    stolen, other = (portraits[name].read_bytes() for name in ("person_a_1.jpg", "person_b_1.jpg"))
    strangers = [portraits[name].read_bytes() for name in ("impostor_1.jpg", "impostor_2.jpg", "impostor_1.jpg")]
    screened = run_edit_suite(detector, [Photo("a", stolen)], distractors=[other], others=strangers)
    detector.close()
    assert [(each.family, each.level) for each in screened.trials] == ALL
    assert screened.gallery == 2
    large = tally([each for each in screened.trials if each.face_side >= 60])
    assert large.tried > 60
    assert large.rate > 0.95
    assert large.wrong == 0


def test_a_person_who_is_not_recognised_is_counted_as_missed_and_why(engine, portraits):
    detector = make_detector(engine)
    photo, other = (portraits[name].read_bytes() for name in ("person_a_1.jpg", "impostor_2.jpg"))

    def enrol_nothing(detector, number, picture):
        return f"idn_{number}"

    screened = run_edit_suite(detector, [Photo("a", photo)], others=[other] * 3, enrol=enrol_nothing)
    detector.close()
    counted = tally(screened.trials)
    assert counted.detected == 0
    assert set(counted.missed) <= {"dissimilar", "no_face"}
    assert counted.missed["dissimilar"] > 60


def test_a_photo_without_a_face_is_named(engine):
    detector = make_detector(engine)
    with pytest.raises(PhotoWithoutFace, match="A photo of nobody shows no face"):
        run_edit_suite(detector, [Photo("nobody", jpeg(plain().pixels))])
    detector.close()


def test_only_photos_with_one_large_face_are_taken(engine, portraits, tmp_path):
    detector = make_detector(engine)
    file = tmp_path / "small.jpg"
    file.write_bytes(jpeg(fit(read_rgb(portraits["person_b_1.jpg"]), 100)))
    files = [("small", file), *((name, path) for name, path in sorted(portraits.items()))]
    assert [photo.person for photo in usable_photos(detector, iter(files), 2)] == ["impostor_1.jpg", "impostor_2.jpg"]
    detector.close()


def test_smaller_faces_are_shown_apart_and_do_not_count_for_the_goal():
    mixed = results(trial(60.0), trial(59.9, found=None, missed="no_face"))
    row = next(row for row in rows(mixed) if row.family == "mirror")
    assert (row.large.rate, row.small.rate) == (1.0, 0.0)
    assert below_goal(mixed) == []
    assert "| mirror | mirror | 1 | 100.0 % | same_person 1 |  |  | 0.0 % of 1 |" in as_markdown(mixed)


def test_edits_below_the_goal_are_named_worst_first():
    missed = {"found": None, "missed": "dissimilar"}
    screened = results(
        trial(),
        trial(family="blur", level="3 px", **missed),
        trial(family="crop", level="50 %"),
        trial(family="crop", level="50 %", **missed),
    )
    named = [(row.family, row.level, row.large.rate) for row in below_goal(screened)]
    assert named == [("blur", "3 px", 0.0), ("crop", "50 %", 0.5), ("all", "single edits", 0.5)]


def test_combined_edits_are_summed_apart_from_single_ones():
    pair = next(iter(EDITS[COMBINED]))
    summed = rows(results(trial(), trial(family=COMBINED, level=pair, found=None, missed="no_face")))[-2:]
    assert [(row.level, row.large.tried, row.large.rate) for row in summed] == [
        ("single edits", 1, 1.0),
        (COMBINED, 1, 0.0),
    ]


def test_a_finding_for_another_person_is_counted_beside_the_right_one():
    counted = tally([trial(), trial(wrong=True, found="same_picture")])
    assert (counted.kinds, counted.wrong, counted.rate) == ({"same_person": 1, "same_picture": 1}, 1, 1.0)


def test_the_table_has_a_row_for_every_edit_and_the_two_sums():
    assert table(results(trial())).row_count == len(ALL) + 2


def test_the_heat_map_writes_each_rate_and_is_the_same_file_each_time(tmp_path):
    screened = results(trial(), trial(40.0, found=None, missed="no_face"), trial(family="blur", level="2 px"))
    for name in ("one.svg", "two.svg", "three.png"):
        heat_map(screened, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert cv2.imread(str(tmp_path / "three.png")) is not None
    drawn = (tmp_path / "one.svg").read_text()
    for words in ("2 px", "100.0 %", "0.0 %", "smaller faces"):
        assert f"<!-- {words}" in drawn or words in drawn
