"""Folders of faces with names, and their embeddings: what `likeness evaluate` and `likeness calibrate` measure on."""

import csv
import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector import Detector, PictureRejected
from likeness.console import progress
from likeness.errors import BadInput
from likeness.folders import files_in, read_picture
from likeness.texts import decoded

CHUNK = 1024
"""Photos under way at once: bounds what waits in memory."""
HEADERS = ("identity", "person", "name")
"""What the first column of a header line may be called."""


@dataclass(frozen=True, slots=True)
class FaceSet:
    """Photos of people. people: for each photo the place of its person in `names`; cohorts: a label for each person,
    "" = none, or empty where there are no cohorts at all; remarks: sentences on what was passed over."""

    photos: tuple[Path, ...]
    people: tuple[int, ...]
    names: tuple[str, ...]
    cohorts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedFaces:
    """The face that each photo is about, if it shows one. embeddings: (N, D) float32; photos: (N,) places in the set's
    `photos`; people: (N,); cohorts: (N,) labels of str, or empty; faceless: places of the photos without a face."""

    embeddings: NDArray[np.float32]
    photos: NDArray[np.intp]
    people: NDArray[np.intp]
    cohorts: NDArray[np.str_]
    faceless: tuple[int, ...]


def read_face_set(folder: Path, labels: Path | None = None) -> FaceSet:
    """The photos in `folder`: <identity>/<photos>, single photos of one person each, or <cohort>/<identity>/<photos>.
    `labels`: a CSV file with the columns identity and cohort. Raises BadInput."""
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}.")
    found = _look_into(folder)
    names = tuple(decoded(group.name, f"A name in {folder}") for group in found.groups)
    cohorts = tuple(group.cohort for group in found.groups)
    remarks = list[str]()
    if labels is not None:
        if any(cohorts):
            raise BadInput(f"{folder} has a folder for each cohort already: leave --cohorts out.")
        cohorts, remarks = _labelled(names, labels)
    elif not any(cohorts):
        cohorts = ()
    if bare := [name for name, cohort in zip(names, cohorts, strict=False) if not cohort]:
        remarks.append(f"No cohort is given for {_count(bare)}; they count in the figures of all.")
    if found.other_files:
        remarks.append(f"Files that are no pictures, passed over: {found.other_files}.")
    if found.inner_folders:
        remarks.append(f"Folders inside of identities' folders, passed over: {found.inner_folders}.")
    photos = tuple(photo for group in found.groups for photo in group.photos)
    people = tuple(number for number, group in enumerate(found.groups) for _ in group.photos)
    return FaceSet(photos, people, names, cohorts, tuple(remarks))


def embed(detector: Detector, faces: FaceSet, max_bytes: int) -> EmbeddedFaces:
    """With a progress bar; keeps the embeddings alone. Raises BadInput where no photo shows a face, and OSError."""

    def probe(photo: Path) -> NDArray[np.float32] | None:
        try:
            probes = detector.probe(read_picture(photo, max_bytes))
        except PictureRejected:
            return None
        return np.array(probes.embeddings[probes.subject]) if probes.faces else None

    found, places, faceless = list[NDArray[np.float32]](), list[int](), list[int]()
    with progress() as bar:
        probed = (one for chunk in _chunks(faces.photos) for one in detector.map(probe, chunk))
        for place, embedding in enumerate(bar.track(probed, len(faces.photos), description="Embedding")):
            if embedding is None:
                faceless.append(place)
            else:
                found.append(embedding)
                places.append(place)
    if not found:
        raise BadInput("Too few photos show a face: none does.")
    photos = np.array(places, np.intp)
    people = np.array(faces.people, np.intp)[photos]
    cohorts = np.array(faces.cohorts, np.str_)[people] if faces.cohorts else np.empty(0, np.str_)
    return EmbeddedFaces(np.stack(found), photos, people, cohorts, tuple(faceless))


@dataclass(frozen=True, slots=True)
class _Group:
    """One person's photos."""

    name: str
    cohort: str
    photos: tuple[Path, ...]


@dataclass(slots=True)
class _Found:
    groups: list[_Group]
    other_files: int = 0
    inner_folders: int = 0

    def photos(self, folder: Path) -> tuple[Path, ...]:
        """The files that are not known to be something else than pictures."""
        files = files_in(folder)
        photos = [file for file in files if (mimetypes.guess_type(file.name)[0] or "image/").startswith("image/")]
        self.other_files += len(files) - len(photos)
        return tuple(photos)


def _look_into(folder: Path) -> _Found:
    found = _Found([])
    found.groups += [_Group(photo.name, "", (photo,)) for photo in found.photos(folder)]
    for inner in _folders(folder):
        photos, deeper = found.photos(inner), _folders(inner)
        if photos:
            found.groups.append(_Group(inner.name, "", photos))
            found.inner_folders += len(deeper)
            continue
        for identity in deeper:
            if photos := found.photos(identity):
                found.groups.append(_Group(f"{inner.name}/{identity.name}", inner.name, photos))
            found.inner_folders += len(_folders(identity))
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))


def _labelled(names: Sequence[str], source: Path) -> tuple[tuple[str, ...], list[str]]:
    """A cohort or "" for each of `names`, and a remark on labels of people who are not there."""
    labels = _read_labels(source)
    unknown = sorted(set(labels).difference(names))
    if len(unknown) == len(labels):
        raise BadInput(f"{source} gives a cohort to nobody who is in the folder.")
    remarks = [f"{source} names {_count(unknown)} not in the folder."] if unknown else []
    return tuple(labels.get(name, "") for name in names), remarks


def _read_labels(source: Path) -> dict[str, str]:
    labels = dict[str, str]()
    try:
        with source.open(newline="", encoding="utf-8-sig") as opened:
            for number, row in enumerate(csv.reader(opened, strict=True), 1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or (number == 1 and cells[0].casefold() in HEADERS):
                    continue
                if len(cells) != 2 or not cells[0]:
                    raise BadInput(f"{source}, line {number}: expected are an identity and its cohort, two columns.")
                if labels.setdefault(*cells) != cells[1]:
                    raise BadInput(f"{source}, line {number}: {cells[0]} has two cohorts.")
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInput(f"{source} is not a CSV file in UTF-8: {error}.") from error
    return labels


def _count(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


def _chunks(photos: Sequence[Path]) -> Iterator[Sequence[Path]]:
    return (photos[first : first + CHUNK] for first in range(0, len(photos), CHUNK))
