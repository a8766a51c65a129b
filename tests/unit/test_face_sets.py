"""Folders of faces: who is on which photo, in which cohort, and what is said about the rest."""

import os

import pytest

from likeness.errors import BadInput
from likeness.face_sets import embed, read_face_set
from tests.support.portraits import fit, jpeg, read_rgb


def photos(folder, *places):
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(b"\xff\xd8")
    return folder


def people(faces):
    """Names by photo's file name."""
    return {photo.name: faces.names[person] for photo, person in zip(faces.photos, faces.people, strict=True)}


def labels(tmp_path, text):
    file = tmp_path / "labels.csv"
    file.write_bytes(text.encode("utf-8-sig"))
    return file


def test_a_folder_is_a_person_and_a_single_photo_is_another(tmp_path):
    faces = read_face_set(photos(tmp_path, "Ana/1.jpg", "Ana/2.jpg", "Bo/3.jpg", "4.jpg", "5.heic"))
    assert people(faces) == {"1.jpg": "Ana", "2.jpg": "Ana", "3.jpg": "Bo", "4.jpg": "4.jpg", "5.heic": "5.heic"}
    assert (faces.cohorts, faces.remarks) == ((), ())


def test_a_folder_of_folders_is_a_cohort_whose_people_may_share_a_name_with_another_s(tmp_path):
    faces = read_face_set(photos(tmp_path, "north/1/a.jpg", "north/1/b.jpg", "north/2/c.jpg", "south/1/d.jpg"))
    assert people(faces) == {"a.jpg": "north/1", "b.jpg": "north/1", "c.jpg": "north/2", "d.jpg": "south/1"}
    assert faces.cohorts == ("north", "north", "south")
    assert faces.remarks == ()


def test_people_outside_of_the_cohorts_folders_are_named(tmp_path):
    faces = read_face_set(photos(tmp_path, "north/1/a.jpg", "Bo/b.jpg"))
    assert faces.cohorts == ("", "north")
    assert faces.remarks == ("No cohort is given for Bo; they count in the figures of all.",)


@pytest.mark.parametrize("header", ["", "identity,cohort\r\n", "Person,group\r\n"])
def test_a_file_gives_the_cohorts_with_a_header_or_without(tmp_path, header):
    folder = photos(tmp_path / "faces", "Ana/1.jpg", "Bo, the elder/2.jpg", "3.jpg")
    file = labels(tmp_path, f'{header}Ana,north\r\n"Bo, the elder", south\r\n\r\n3.jpg,north\r\n')
    faces = read_face_set(folder, file)
    assert dict(zip(faces.names, faces.cohorts, strict=True)) == {
        "Ana": "north",
        "Bo, the elder": "south",
        "3.jpg": "north",
    }
    assert faces.remarks == ()


def test_a_label_for_nobody_and_a_person_without_a_label_are_said(tmp_path):
    folder = photos(tmp_path / "faces", "Ana/1.jpg", "Bo/2.jpg", "Cy/3.jpg")
    faces = read_face_set(folder, labels(tmp_path, "Ana,north\nZoe,south\nBo,\n"))
    assert faces.cohorts == ("north", "", "")
    assert faces.remarks == (
        f"{tmp_path}/labels.csv names Zoe not in the folder.",
        "No cohort is given for Bo and 1 more; they count in the figures of all.",
    )


def test_files_that_are_no_pictures_and_folders_too_deep_are_counted(tmp_path):
    faces = read_face_set(photos(tmp_path, "Ana/1.jpg", "Ana/notes.txt", "pairs.csv", "Ana/old/2.jpg", ".DS_Store"))
    assert people(faces) == {"1.jpg": "Ana"}
    assert faces.remarks == (
        "Files that are no pictures, passed over: 2.",
        "Folders inside of identities' folders, passed over: 1.",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ana,north,south\n", "labels.csv, line 1: expected are an identity and its cohort"),
        ("identity,cohort\nAna\n", "labels.csv, line 2: expected are an identity and its cohort"),
        ("Ana,north\nAna,south\n", "labels.csv, line 2: Ana has two cohorts"),
        ("Zoe,north\n", "labels.csv gives a cohort to nobody who is in the folder"),
        ("", "labels.csv gives a cohort to nobody who is in the folder"),
        ('"Ana,north\n', "labels.csv is not a CSV file in UTF-8"),
    ],
)
def test_labels_that_cannot_be_meant_are_refused(tmp_path, text, said):
    with pytest.raises(BadInput, match=said):
        read_face_set(photos(tmp_path / "faces", "Ana/1.jpg"), labels(tmp_path, text))


def test_labels_beside_folders_of_cohorts_are_refused(tmp_path):
    with pytest.raises(BadInput, match="leave --cohorts out"):
        read_face_set(photos(tmp_path / "faces", "north/1/a.jpg"), labels(tmp_path, "north/1,south\n"))


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadInput, match="There is no folder"):
        read_face_set(tmp_path / "none")


@pytest.mark.parametrize("place", [b"caf\xe9/1.jpg", b"caf\xe9/Ana/1.jpg", b"north/caf\xe9/1.jpg", b"caf\xe9.jpg"])
def test_a_person_or_a_cohort_whose_name_is_not_utf_8_is_refused(tmp_path, place):
    with pytest.raises(BadInput, match=r"A name in .* is not text in UTF-8: '.*caf\\udce9"):
        read_face_set(photos(tmp_path, "Bo/2.jpg", os.fsdecode(place)))


def test_a_photo_s_own_name_need_not_be_utf_8(tmp_path):
    assert read_face_set(photos(tmp_path, os.fsdecode(b"Ana/caf\xe9.jpg"))).names == ("Ana",)


def test_a_photo_without_a_face_is_told_and_the_others_keep_their_person_and_cohort(tmp_path, detector, portraits):
    folder = tmp_path / "faces"
    for cohort, person, name in (("north", "a", "person_a_1"), ("south", "b", "person_b_1"), ("south", "b", "flat")):
        (folder / cohort / person).mkdir(parents=True, exist_ok=True)
        pixels = read_rgb(portraits[f"{name}.jpg"]) if name != "flat" else read_rgb(portraits["person_a_1.jpg"]) * 0
        (folder / cohort / person / f"{name}.jpg").write_bytes(jpeg(fit(pixels, 600)))
    (folder / "north" / "a" / "broken.jpg").write_bytes(b"\xff\xd8")
    faces = read_face_set(folder)
    found = embed(detector, faces, max_bytes=10**7)
    assert [faces.photos[place].name for place in found.photos] == ["person_a_1.jpg", "person_b_1.jpg"]
    assert [faces.photos[place].name for place in found.faceless] == ["broken.jpg", "flat.jpg"]
    assert [faces.names[person] for person in found.people] == ["north/a", "south/b"]
    assert list(found.cohorts) == ["north", "south"]
    assert found.embeddings.shape == (2, detector.engine.dimension)


def test_photos_of_which_none_shows_a_face_are_refused(tmp_path, detector):
    with pytest.raises(BadInput, match="none does"):
        embed(detector, read_face_set(photos(tmp_path, "Ana/1.jpg")), max_bytes=10**7)
