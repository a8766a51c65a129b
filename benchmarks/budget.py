"""Does a review budget hold on people whom the calibration never saw?

Half of the people calibrate, the other half are screened: some are the gallery with one photo each, every photo of the
rest is an upload by a stranger. Halves and galleries are drawn anew several times; alarms are counted over all draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detector.calibration import Calibration, Faces, calibrate
from detector.policy import Policy, PolicySettings

BUDGETS = (1.0, 3.0, 10.0, 30.0, 100.0)
GALLERIES = (200, 800, None)
"""People in the gallery; None: all of the half, and each photo is screened against all the others."""
DEFAULTS = PolicySettings(
    review_budget=1.0, faces_per_upload=1.0, threshold=None, worst_cohort=False, name_claim_fmr=0.001
)
HALVES = 10
GALLERIES_DRAWN = 10


@dataclass(slots=True)
class BudgetHeld:
    """Asked and actual false alarms per 1,000 uploads of strangers; `gallery`: people, one reference each."""

    gallery: str
    budget: float
    uploads: int = 0
    alarms: int = 0

    @property
    def seen(self) -> float:
        return 1000 * self.alarms / self.uploads

    @property
    def ratio(self) -> float:
        return self.seen / self.budget


def budget_held(faces: Faces, one_person: Sequence[tuple[int, int]] = (), seed: int = 0) -> list[BudgetHeld]:
    """`one_person`: pairs of people who are known to be one, whose match is no false alarm."""
    random = np.random.default_rng(seed)
    results = {(size, budget): BudgetHeld(str(size or "all"), budget) for size in GALLERIES for budget in BUDGETS}
    similarities = faces.embeddings @ faces.embeddings.T
    same = faces.people[:, None] == faces.people[None]
    for one, other in one_person:
        same |= (faces.people == one)[:, None] & (faces.people == other)[None]
        same |= (faces.people == other)[:, None] & (faces.people == one)[None]
    people = np.unique(faces.people)
    for _ in range(HALVES):
        shuffled = random.permutation(people)
        known, unseen = shuffled[: len(people) // 2], shuffled[len(people) // 2 :]
        chosen = np.isin(faces.people, known)
        calibration = calibrate("half", "half", Faces(faces.embeddings[chosen], faces.people[chosen]))
        for size in GALLERIES:
            for _draw in range(GALLERIES_DRAWN if size else 1):
                gallery = random.choice(unseen, size, replace=False) if size else unseen
                references = np.array([random.choice(np.flatnonzero(faces.people == person)) for person in gallery])
                uploads = np.isin(faces.people, unseen)
                if size:
                    uploads &= ~np.isin(faces.people, gallery)
                rows = np.flatnonzero(uploads)
                strangers = np.where(same[np.ix_(rows, references)], -1, similarities[np.ix_(rows, references)])
                _count(results, size, strangers.max(axis=1), calibration, len(references) - (size is None))
    return list(results.values())


def _count(
    results: dict[tuple[int | None, float], BudgetHeld],
    size: int | None,
    nearest: NDArray[np.float32],
    calibration: Calibration,
    references: int,
) -> None:
    for budget in BUDGETS:
        threshold = Policy(calibration.pack, replace(DEFAULTS, review_budget=budget), calibration).at(references).review
        result = results[size, budget]
        result.uploads += len(nearest)
        result.alarms += int((nearest >= threshold).sum())
