"""Do edits hide theft? Enrols photos among others, screens every edit of each, and counts what was detected.

1. enrol the photos, one reference each, and others up to the gallery's size  2. edit and screen  3. count by edit
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.edits import EDITS, edited
from benchmarks.shot import Pixels, Shot
from detector import Detector, Upload, Verdict
from detector.enrolment import fingerprint_of_face
from detector.identity import Identity, Reference
from detector.template import reference_embedding
from detector.verdict import Box

LARGE_ENOUGH = 60.0
"""Pixels of the face's shorter side after the edit; the goal is about these."""
BATCH = 32

Enrol = Callable[[Detector, int, bytes], str]
"""Puts identity number N, from 1, with one photo into the detector's gallery and gives the identity's id."""


class PhotoWithoutFace(ValueError):
    """A photo given to the suite shows no face that the detector finds: leave it out."""


@dataclass(frozen=True, slots=True)
class Photo:
    """An original. `person`: whom it shows; photos of one person may be several."""

    person: str
    picture: bytes


@dataclass(frozen=True, slots=True)
class Trial:
    """One edit of one photo, screened.

    `face_side`: pixels of the face's shorter side after the edit. `found`: kind of the finding for the photo's own
    identity. `missed`: why there is none: `no_face` (none found where the face is), `dissimilar`, or `unscreenable`.
    `wrong`: whether a finding takes the face for an identity of another person.
    """

    family: str
    level: str
    photo: int
    face_side: float
    found: str | None
    missed: str | None
    wrong: bool


@dataclass(frozen=True, slots=True)
class EditResults:
    """`gallery`: references searched; `threshold`: cosine."""

    trials: tuple[Trial, ...]
    photos: int
    gallery: int
    pack: str
    threshold: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Trials of one kind, counted. `kinds`: findings for the right identity by kind."""

    tried: int
    kinds: dict[str, int]
    missed: dict[str, int]
    wrong: int

    @property
    def detected(self) -> int:
        return sum(self.kinds.values())

    @property
    def rate(self) -> float | None:
        """0..1, or None where nothing was tried."""
        return self.detected / self.tried if self.tried else None


def tally(trials: Sequence[Trial]) -> Tally:
    """What became of `trials`."""
    return Tally(
        len(trials),
        dict(Counter(trial.found for trial in trials if trial.found)),
        dict(Counter(trial.missed for trial in trials if trial.missed)),
        sum(trial.wrong for trial in trials),
    )


def by_edit(trials: Sequence[Trial]) -> dict[tuple[str, str], list[Trial]]:
    """Trials by (family, level), in the order of EDITS."""
    return {
        (family, level): [trial for trial in trials if (trial.family, trial.level) == (family, level)]
        for family, levels in EDITS.items()
        for level in levels
    }


def enrol_photo(detector: Detector, number: int, picture: bytes) -> str:
    """An identity with the photo's largest face and its fingerprint as the one reference."""
    probes = detector.probe(picture)
    if not probes.faces:
        raise PhotoWithoutFace(f"Photo {number} of the gallery shows no face: leave it out.")
    embeddings = {detector.engine.pack: reference_embedding(detector.engine, probes.crops[0])}
    reference = Reference(f"ref_{number}", embeddings, fingerprint_of_face(probes, 0))
    identity = Identity(f"idn_{number}", f"Person {number}", "celebrity", number, frozenset(), (reference,))
    for index in detector.indexes:
        index.apply(identity)
    return identity.id


def run_edit_suite(
    detector: Detector,
    photos: Sequence[Photo],
    *,
    distractors: Sequence[bytes] = (),
    others: Sequence[bytes] = (),
    enrol: Enrol = enrol_photo,
    seed: int = 0,
) -> EditResults:
    """Screens every edit of each of `photos` at the detector's own thresholds; its gallery must be empty.

    `distractors`: photos of other people, enrolled beside them; `others`: at least three photos of people who are not
    in the gallery, for the collages. Raises PhotoWithoutFace.
    """
    boxes = [_face(detector, photo) for photo in photos]
    ids = [enrol(detector, number, photo.picture) for number, photo in enumerate(photos, start=1)]
    for number, distractor in enumerate(distractors, start=len(photos) + 1):
        enrol(detector, number, distractor)
    person_of = dict(zip(ids, (photo.person for photo in photos), strict=True))
    random = np.random.default_rng(seed)
    threshold = detector.screen(photos[0].picture).threshold
    trials: list[Trial] = []
    for number, (photo, box) in enumerate(zip(photos, boxes, strict=True)):
        chosen = random.choice(len(others), min(3, len(others)), replace=False)
        shot = Shot(_pixels(photo.picture), box, tuple(_pixels(others[place]) for place in chosen))
        for edits in _batches(shot, seed + number):
            verdicts = detector.screen_batch([Upload(each.jpeg()) for _, _, each in edits])
            for (family, level, each), verdict in zip(edits, verdicts, strict=True):
                trials.append(_trial(family, level, number, each, verdict, ids[number], person_of))
    return EditResults(tuple(trials), len(photos), detector.index.references, detector.engine.pack, threshold)


def usable_photos(
    detector: Detector, files: Iterator[tuple[str, Path]], count: int, least_side: float = LARGE_ENOUGH
) -> list[Photo]:
    """The first `count` of `files`, (person, file), with exactly one face, its shorter side `least_side` or more."""
    read = (Photo(person, file.read_bytes()) for person, file in files)
    return list(islice((photo for photo in read if _is_usable(detector, photo.picture, least_side)), count))


def _is_usable(detector: Detector, picture: bytes, least_side: float) -> bool:
    faces = detector.probe(picture).faces
    return len(faces) == 1 and min(faces[0].box[2:]) >= least_side


def _face(detector: Detector, photo: Photo) -> Box:
    faces = detector.probe(photo.picture).faces
    if not faces:
        raise PhotoWithoutFace(f"A photo of {photo.person} shows no face: leave it out.")
    return faces[0].box


def _pixels(picture: bytes) -> Pixels:
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    if decoded is None:
        raise PhotoWithoutFace("A photo cannot be decoded: leave it out.")
    return np.asarray(decoded, np.uint8)


def _batches(shot: Shot, seed: int) -> Iterator[list[tuple[str, str, Shot]]]:
    every = ((family, level, edited(shot, family, level, seed)) for family, levels in EDITS.items() for level in levels)
    while batch := list(islice(every, BATCH)):
        yield batch


def _trial(
    family: str, level: str, photo: int, shot: Shot, verdict: Verdict, own_id: str, person_of: dict[str, str]
) -> Trial:
    found = next((finding.kind for finding in verdict.findings if finding.identity_id == own_id), None)
    missed = None
    if found is None:
        seen = any(_overlap(face.box, shot.face) for face in verdict.faces)
        missed = "unscreenable" if verdict.outcome == "unscreenable" else "dissimilar" if seen else "no_face"
    about_face = [finding for finding in verdict.findings if finding.face_box and _overlap(finding.face_box, shot.face)]
    wrong = any(person_of.get(finding.identity_id or "") != person_of[own_id] for finding in about_face)
    return Trial(family, level, photo, shot.face_side, found, missed, wrong)


def _overlap(one: Box, other: Box) -> bool:
    """Whether the middle of one box lies in the other."""
    x, y, width, height = one
    return 0 <= x + width / 2 - other[0] <= other[2] and 0 <= y + height / 2 - other[1] <= other[3]
