"""What a model pack's similarities mean: how often strangers and the same person reach a cosine, measured on a set of
faces, kept with the pack or in a file of the operator's own."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from numpy.typing import NDArray

from detector.impostor_tail import BINS, EDGES, ImpostorTail, TooFewPairs, fit_tail
from detector.pairs import pairs

COSINES = np.linspace(0.0, 1.0, 51)
"""Where a calibration keeps the share of genuine similarities at or above."""
LEAST_GENUINE_PAIRS = 50
USUAL_FMR = 1e-6
"""Of a budget of 1 with a gallery of a thousand references."""
STEEPEST = 1e6


class CalibrationUnfit(ValueError):
    """A calibration is missing, malformed or of no use; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one model pack scores. `data`: what was measured, in words; `mislabelled_pairs`: pairs of different names
    that are reckoned to be one person; `genuine`: of two photos of one person, the share whose cosine is at or above
    0.00, 0.02, ... 1.00; empty where the data had too few; `cohorts`: the tails within each cohort."""

    pack: str
    data: str
    people: int
    photos: int
    mislabelled_pairs: float
    tail: ImpostorTail
    genuine: tuple[float, ...] = ()
    cohorts: Mapping[str, ImpostorTail] = field(default_factory=dict)

    def detection_rate(self, cosine: float) -> float | None:
        """The share of photos of a person with one reference that reach `cosine`, 0..1; None where unknown."""
        if not self.genuine:
            return None
        return float(np.interp(cosine, COSINES, self.genuine))

    def cosine_reached_by(self, share: float) -> float:
        """The lowest of 0.00, 0.02, ... 1.00 that at most this share of genuine pairs reaches; infinite where
        unknown."""
        few = COSINES[np.array(self.genuine) <= share] if self.genuine else COSINES[:0]
        return float(few[0]) if len(few) else math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces with names. embeddings: (N, D) float32 unit vectors; people: (N,) whole numbers; cohorts: a label for each
    face, or none at all."""

    embeddings: NDArray[np.float32]
    people: NDArray[np.intp]
    cohorts: Sequence[str] = ()

    def within(self, cohort: str) -> "Faces":
        chosen = np.array([label == cohort for label in self.cohorts])
        return Faces(self.embeddings[chosen], self.people[chosen])


def calibrate(pack: str, data: str, faces: Faces) -> Calibration:
    """The calibration that all comparisons of `faces` with each other give; a cohort with too few people has no tail
    of its own. Raises TooFewPairs, CalibrationUnfit."""
    impostors, genuine = _histograms(faces)
    people = len(np.unique(faces.people))
    tail, mislabelled = fit_tail(impostors, genuine, people * (people - 1) // 2)
    cohorts = {}
    for cohort in sorted(set(faces.cohorts)):
        some = faces.within(cohort)
        count = len(np.unique(some.people))
        try:
            cohorts[cohort], _ = fit_tail(*_histograms(some), count * (count - 1) // 2)
        except TooFewPairs:
            continue
    if not _is_of_use(tail):
        raise CalibrationUnfit(
            "By these faces strangers look alike up to cosine 1, and no face would ever be raised: the same photo is "
            "there under many names. Look at the most alike pairs and take such photos out."
        )
    return Calibration(
        pack=pack,
        data=data,
        people=people,
        photos=len(faces.people),
        mislabelled_pairs=round(mislabelled, 1),
        tail=tail,
        genuine=_shares(genuine),
        cohorts=cohorts,
    )


def _histograms(faces: Faces) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(BINS,) counts of the similarities of different people and of the same person, every pair of photos once."""
    impostors, genuine = np.zeros(BINS), np.zeros(BINS)
    for similarities, rows, columns in pairs(faces.embeddings):
        same = faces.people[rows][:, None] == faces.people[columns]
        impostors += np.histogram(similarities[~same], EDGES)[0]
        genuine += np.histogram(similarities[same], EDGES)[0]
    return impostors, genuine


def _shares(genuine: NDArray[np.float64]) -> tuple[float, ...]:
    if genuine.sum() < LEAST_GENUINE_PAIRS:
        return ()
    above = np.append(np.cumsum(genuine[::-1])[::-1], 0.0) / genuine.sum()
    return tuple(round(float(share), 4) for share in np.interp(COSINES, EDGES, above))


def write_calibration(calibration: Calibration, path: Path) -> None:
    """A file that `policy.calibration` can name."""
    path.write_text(tomli_w.dumps(asdict(calibration)), encoding="utf-8")


def read_calibration(path: Path) -> Calibration:
    """Raises CalibrationUnfit."""
    try:
        with path.open("rb") as opened:
            return calibration_from(tomllib.load(opened))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CalibrationUnfit(
            f"The calibration {path} cannot be read: {error}. `likeness calibrate` writes one."
        ) from error


def calibration_from(table: Mapping[str, Any]) -> Calibration:
    """The calibration in a table of TOML. Raises CalibrationUnfit."""
    try:
        cohorts = {name: _tail(one) for name, one in table.get("cohorts", {}).items()}
        genuine = tuple(float(one) for one in table.get("genuine", ()))
        if genuine and (
            len(genuine) != len(COSINES)
            or list(genuine) != sorted(genuine, reverse=True)
            or not all(0 <= share <= 1 for share in genuine)
        ):
            raise ValueError(f"`genuine` must be {len(COSINES)} shares of 0 to 1 that never rise")
        return Calibration(
            pack=str(table["pack"]),
            data=str(table["data"]),
            people=int(table["people"]),
            photos=int(table["photos"]),
            mislabelled_pairs=float(table["mislabelled_pairs"]),
            tail=_tail(table["tail"]),
            genuine=genuine,
            cohorts=cohorts,
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise CalibrationUnfit(
            f"A calibration is malformed: {type(error).__name__} {error}. `likeness calibrate` writes one."
        ) from error


def _tail(table: Mapping[str, Any]) -> ImpostorTail:
    tail = ImpostorTail(**{name: float(value) for name, value in table.items()})
    if not (-1 < tail.start < 1 and 0 < tail.supported_fmr <= tail.rate < 1 and tail.slope > 0 <= tail.curvature):
        raise ValueError("a tail's numbers contradict each other")
    if max(tail.slope, tail.curvature) > STEEPEST or not _is_of_use(tail):
        raise ValueError("a tail's numbers are out of all proportion")
    return tail


def _is_of_use(tail: ImpostorTail) -> bool:
    """Whether a face can still be raised in a gallery of a thousand."""
    return tail.cosine(USUAL_FMR) < 1.0
