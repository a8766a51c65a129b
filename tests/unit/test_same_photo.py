"""An avatar that is a gallery photo is known whatever was done to it, and another photo of the person is not."""

import cv2
import numpy as np
import pytest

from detector.alignment import align
from detector.fingerprint import fingerprint_of, hashes_to_search
from detector.identity import PICTURE_LIMIT
from detector.picture import Picture
from detector.same_photo import CROPPED_BELOW, FACE_LIMIT, same_photo, visible_share
from detector.verdict import Face
from tests.support.portraits import fit, jpeg, read_rgb

SIDE = 480


def as_picture(pixels, scale=1.0):
    """A picture whose original is `1 / scale` times as large."""
    height, width = pixels.shape[:2]
    return Picture(np.ascontiguousarray(pixels), round(width / scale), round(height / scale), scale, "PNG")


def face_in(engine, pixels, scale=1.0):
    """The largest face, in pixels of the original."""
    found = engine.detect(np.ascontiguousarray(pixels))
    largest = int(found.boxes[:, 2:].prod(axis=1).argmax())
    box = tuple(float(value) / scale for value in found.boxes[largest])
    landmarks = tuple((float(x) / scale, float(y) / scale) for x, y in found.landmarks[largest])
    return Face(box, landmarks, float(found.scores[largest]), 1.0)


def fingerprint(engine, pixels):
    face = face_in(engine, pixels)
    crop = align(pixels, np.array(face.landmarks, np.float32))
    return fingerprint_of(pixels, crop, face.box, pixels.shape[1], pixels.shape[0])


def compare(engine, reference, avatar):
    """What is said of an avatar's pixels, its face being known."""
    return same_photo(reference, as_picture(avatar), hashes_to_search(avatar), face_in(engine, avatar))


@pytest.fixture(scope="module")
def photos(portraits):
    return {name.removesuffix(".jpg"): fit(read_rgb(path), SIDE) for name, path in portraits.items()}


@pytest.fixture(scope="module")
def photo(photos):
    return photos["person_b_1"]


@pytest.fixture(scope="module")
def reference(engine, photo):
    return fingerprint(engine, photo)


def without_edges(pixels, share):
    """The middle, with `share` of the area cut off."""
    height, width = pixels.shape[:2]
    side = (1 - (1 - share) ** 0.5) / 2
    rows, columns = round(height * side), round(width * side)
    return pixels[rows : height - rows, columns : width - columns]


def framed(pixels, share):
    border = [round(side * share) for side in pixels.shape[:2]]
    return cv2.copyMakeBorder(
        pixels, border[0], border[0], border[1], border[1], cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )


def turned(pixels, degrees):
    height, width = pixels.shape[:2]
    return cv2.warpAffine(pixels, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), (width, height))


def captioned(pixels):
    made = pixels.copy()
    height, width = made.shape[:2]
    made[round(0.85 * height) :] = 0
    cv2.putText(made, "only here for love", (width // 10, height - 15), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
    return made


def as_jpeg(pixels, quality):
    decoded = cv2.imdecode(np.frombuffer(jpeg(pixels, quality), np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def test_the_photo_itself_is_the_same_picture(engine, reference, photo):
    found = compare(engine, reference, photo)
    assert (found.by, found.distance, found.transform, found.visible) == ("picture", 0, "as_it_is", 1.0)


@pytest.mark.parametrize(
    ("edit", "transform"),
    [
        (lambda photo: photo[:, ::-1], "mirrored"),
        (lambda photo: as_jpeg(photo, 20), "as_it_is"),
        (lambda photo: fit(photo, 120), "as_it_is"),
        (lambda photo: photo // 2 + 60, "as_it_is"),
        (lambda photo: cv2.GaussianBlur(photo, (0, 0), 3), "as_it_is"),
    ],
    ids=["mirrored", "compressed", "shrunk", "pale", "blurred"],
)
def test_an_edit_of_the_whole_photo_is_known_by_the_picture(engine, reference, photo, edit, transform):
    found = compare(engine, reference, np.ascontiguousarray(edit(photo)))
    assert (found.by, found.transform) == ("picture", transform)
    assert found.distance <= PICTURE_LIMIT


@pytest.mark.parametrize(
    "edit",
    [
        lambda photo: framed(photo, 0.2),
        captioned,
        lambda photo: turned(photo, 6),
        lambda photo: turned(photo, -10),
        lambda photo: as_jpeg(framed(photo, 0.1), 40),
    ],
    ids=["framed", "captioned", "turned", "turned further", "framed and compressed"],
)
def test_what_is_added_around_or_turned_does_not_hide_the_photo(engine, reference, photo, edit):
    found = compare(engine, reference, edit(photo))
    assert found.by == "face"
    assert found.distance <= FACE_LIMIT
    assert found.transform == "as_it_is"
    assert found.visible >= CROPPED_BELOW


@pytest.mark.parametrize("share", [0.2, 0.3, 0.5])
@pytest.mark.parametrize("is_mirrored", [False, True], ids=["straight", "mirrored"])
def test_a_part_of_the_photo_is_known_and_called_a_part(engine, reference, photo, share, is_mirrored):
    part = without_edges(photo, share)
    found = compare(engine, reference, np.ascontiguousarray(part[:, ::-1]) if is_mirrored else part)
    assert found.by == "face"
    assert found.transform == ("mirrored" if is_mirrored else "as_it_is")
    assert found.visible == pytest.approx(1 - share, abs=0.08)
    assert found.visible < CROPPED_BELOW


def test_a_photo_turned_by_a_right_angle_is_known_without_a_face(reference, photo):
    avatar = np.ascontiguousarray(np.rot90(photo, -1))
    found = same_photo(reference, as_picture(avatar), hashes_to_search(avatar), None)
    assert (found.by, found.transform, found.visible) == ("picture", "rotated_90", 1.0)


def test_a_part_of_the_photo_is_not_known_without_its_face(reference, photo):
    part = without_edges(photo, 0.4)
    assert same_photo(reference, as_picture(part), hashes_to_search(part), None) is None


def test_an_avatar_worked_on_at_a_smaller_scale_gives_the_same_answer(engine, reference, photo):
    part = without_edges(photo, 0.3)
    small = fit(part, round(max(part.shape[:2]) / 2))
    scale = small.shape[1] / part.shape[1]
    found = same_photo(reference, as_picture(small, scale), hashes_to_search(small), face_in(engine, small, scale))
    assert found.by == "face"
    assert found.visible == pytest.approx(0.7, abs=0.08)


def test_other_photos_are_other_photos_of_the_same_person_too(engine, photos):
    for name, photo in photos.items():
        reference = fingerprint(engine, photo)
        for other, avatar in photos.items():
            found = compare(engine, reference, avatar)
            assert (found is not None) == (name == other), f"{name} and {other}: {found}"


def test_a_photo_too_flat_for_a_fingerprint_is_not_known_by_the_picture(engine, photo):
    flat = np.full((300, 300, 3), 128, np.uint8)
    box = face_in(engine, photo).box
    reference = fingerprint_of(flat, np.full((112, 112, 3), 128, np.uint8), box, 300, 300)
    assert same_photo(reference, as_picture(flat), hashes_to_search(photo) * 0, None) is None
    assert same_photo(reference, as_picture(flat), hashes_to_search(flat), None) is None


def test_the_visible_share_follows_from_where_the_face_lies():
    reference = fingerprint_of(
        np.zeros((100, 100, 3), np.uint8), np.zeros((112, 112, 3), np.uint8), (20.0, 30.0, 20.0, 20.0), 100, 100
    )

    def share(box, width, height, mirrored=False):
        avatar = as_picture(np.zeros((height, width, 3), np.uint8))
        return visible_share(reference, avatar, Face(box, (), 1.0, 1.0), mirrored)

    assert share((20.0, 30.0, 20.0, 20.0), 100, 100) == pytest.approx(1.0)
    assert share((40.0, 60.0, 40.0, 40.0), 200, 200) == pytest.approx(1.0), "twice as large"
    assert share((120.0, 130.0, 20.0, 20.0), 300, 300) == pytest.approx(1.0), "framed"
    assert share((20.0, 30.0, 20.0, 20.0), 60, 100) == pytest.approx(0.6), "the right is cut off"
    assert share((20.0, 30.0, 20.0, 20.0), 60, 100, mirrored=True) == pytest.approx(0.6), "the left is cut off"
    assert share((60.0, 30.0, 20.0, 20.0), 100, 100, mirrored=True) == pytest.approx(1.0)
