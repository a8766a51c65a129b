"""From a review budget to thresholds.

budget (false alarms per 1,000 uploads) -> FPIR, the rate at which a face of nobody in the gallery is flagged -> FMR,
the rate of one comparison, since such a face meets every reference -> cosine, by the model pack's calibration.
The terms are those of ISO/IEC 19795-1.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from detector.calibration import Calibration
from detector.impostor_tail import ImpostorTail

SURE_SHARE = 0.1
"""A match is beyond doubt where strangers reach it this much more rarely than the budget allows (at full quality)."""
LEAST_QUALITY = 0.3
NEAR_SHARE = 0.003
"""Of two photos of one person so few are more alike than copies of one photo are."""
CLEAR_MARGIN = 0.05
"""Cosine between a face's best identity and its runner-up below which either may be meant."""


class NoThreshold(Exception):
    """There is nothing to derive a threshold from, or not what the settings ask for."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What the operator decides; see [policy] in config/likeness.toml. `threshold`: cosine, in place of the
    budget's."""

    review_budget: float
    faces_per_upload: float
    threshold: float | None
    worst_cohort: bool
    name_claim_fmr: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cosines in force for a gallery with which a face is compared `references` times, and where they come from. Rates
    are 0..1, None where unknown.

    review: from here on a face is raised. sure: from here on, at full quality, it is `same_person`; between the two
    `look_alike_risk`. name_claim: enough where the profile claims the name of one identity. near: hardly any two photos
    of one person reach it, so that they may be one photo. fpir, fmr: the rates at `review`; detection_rate: of a person
    with one reference; extrapolated: the calibration's data do not reach `fmr`.
    """

    references: int
    review: float
    sure: float
    name_claim: float
    near: float = math.inf
    fpir: float | None = None
    fmr: float | None = None
    detection_rate: float | None = None
    extrapolated: bool = False

    @property
    def search(self) -> float:
        """The lowest cosine worth searching for: a runner-up may lie below the threshold."""
        return self.review - CLEAR_MARGIN


class Policy:
    """Derives thresholds from the settings, a calibration and the gallery's size."""

    def __init__(
        self, pack: str, settings: PolicySettings, calibration: Calibration | None, *, table: str = "policy"
    ) -> None:
        """`table`: of the settings, for what NoThreshold says. Raises NoThreshold."""
        if calibration is None and settings.threshold is None:
            raise NoThreshold(
                f"Model pack {pack} has no calibration: make one by `likeness calibrate DIR` and name its file in "
                f"{table}.calibration (LIKENESS_{table.upper()}__CALIBRATION), or set {table}.threshold."
            )
        if calibration is not None and calibration.pack != pack:
            raise NoThreshold(
                f"The calibration in {table}.calibration is of model pack {calibration.pack}, not of {pack}: "
                "run `likeness calibrate` with the pack in models.pack."
            )
        if settings.worst_cohort and not (calibration and calibration.cohorts):
            raise NoThreshold(
                "policy.holds_for is worst_cohort, but the calibration has no cohorts: run `likeness calibrate DIR "
                f"--cohorts LABELS.csv` and name its file in {table}.calibration."
            )
        self.settings = settings
        self.calibration = calibration
        self.at = lru_cache(maxsize=64)(self._at)

    def cosine(self, fmr: float) -> float:
        """The cosine that keeps the false match rate of one comparison at `fmr`, 0..1: of all people, or of the cohort
        where it is highest. Raises NoThreshold without a calibration."""
        return max(tail.cosine(fmr) for tail in self._tails())

    def name_claim(self, thresholds: Thresholds, comparisons: int) -> float:
        """The cosine from which a face agrees with a claimed name, given the comparisons with all who bear it: a common
        name must not make innocents suspect."""
        if thresholds.fmr is None:
            return thresholds.name_claim
        return min(thresholds.review, self.cosine(self.settings.name_claim_fmr / max(1, comparisons)))

    def _tails(self) -> list[ImpostorTail]:
        """Those in which the budget must hold."""
        if self.calibration is None:
            raise NoThreshold("There is no calibration.")
        cohorts = self.calibration.cohorts.values() if self.settings.worst_cohort else ()
        return [self.calibration.tail, *cohorts]

    def sure(self, thresholds: Thresholds, quality: float) -> float:
        """The cosine from which a face of `quality`, 0..1, is beyond doubt: the poorer, the higher."""
        if thresholds.fmr is None:
            return thresholds.sure
        return self.cosine(thresholds.fmr * SURE_SHARE * max(LEAST_QUALITY, quality) ** 3)

    def _at(self, references: int) -> Thresholds:
        """The thresholds for a gallery of so many active references; GalleryIndex.comparisons counts what is
        searched."""
        settings, calibration = self.settings, self.calibration
        comparisons = max(1, references) * settings.faces_per_upload
        fixed = settings.threshold
        if calibration is None:
            assert fixed is not None
            return Thresholds(references, fixed, fixed, fixed)
        if fixed is None:
            fpir = min(settings.review_budget / 1000, 0.999)
            fmr = -math.expm1(math.log1p(-fpir) / comparisons)
            review = self.cosine(fmr)
        else:
            review, fmr = fixed, calibration.tail.fmr(fixed)
            fpir = -math.expm1(math.log1p(-fmr) * comparisons)
        return Thresholds(
            references=references,
            review=review,
            sure=max(review, self.cosine(fmr * SURE_SHARE)),
            name_claim=min(review, self.cosine(settings.name_claim_fmr)),
            near=calibration.cosine_reached_by(NEAR_SHARE),
            fpir=fpir,
            fmr=fmr,
            detection_rate=calibration.detection_rate(review),
            extrapolated=not all(tail.supports(fmr) for tail in self._tails()),
        )
