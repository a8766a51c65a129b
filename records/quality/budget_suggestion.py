"""What moderators dismissed, held against the review budget: a suggestion for people, which changes no setting.

The budget asks for so many false alarms per 1,000 uploads; detector/policy.py turns it into a threshold by the model
pack's calibration. Real traffic may be unlike the calibration's faces, and then the threshold gives more, or fewer.
"""

from dataclasses import dataclass
from typing import Literal

from records.quality.review_statistics import Interval, wilson

FACE_KINDS = ("same_person", "look_alike_risk")
"""The findings that the budget is about: raised for a face's likeness alone."""
LEAST_DECIDED = 100
"""Decided cases below which nothing is suggested: a tenth of them could be chance."""
PER = 1000
FURTHEST = 10.0
"""No suggestion is further from the budget in force, by this factor: proportion does not hold so far."""

Verdict = Literal["too_few", "uploads_unknown", "uploads_too_few", "as_asked", "above", "below"]


@dataclass(frozen=True, slots=True)
class FaceAlarms:
    """Cases that came for a face's likeness, of which `decided` are closed, and of these `dismissed` as not showing the
    person, and `unclear` as a bad picture."""

    came: int
    decided: int
    dismissed: int
    unclear: int


@dataclass(frozen=True, slots=True)
class BudgetSuggestion:
    """rate: false alarms per 1,000 uploads, and where that may truly lie; suggested: the budget that would be expected
    to give what is asked for, where it differs. What the verdict does not have is None."""

    verdict: Verdict
    alarms: FaceAlarms
    budget: float
    uploads: int | None
    rate: float | None = None
    interval: Interval | None = None
    suggested: float | None = None


def suggest_budget(alarms: FaceAlarms, budget: float, uploads: int | None) -> BudgetSuggestion:
    """`uploads`: how many were screened while these cases came, None when nobody said. Cases that are not decided yet
    are taken to be like those that are."""

    def say(verdict: Verdict, **more: object) -> BudgetSuggestion:
        return BudgetSuggestion(verdict, alarms, budget, uploads, **more)  # type: ignore[arg-type]

    if alarms.decided < LEAST_DECIDED:
        return say("too_few")
    if uploads is None:
        return say("uploads_unknown")
    if uploads < alarms.came:
        return say("uploads_too_few")
    looked_through = uploads * alarms.decided / alarms.came
    rate = PER * alarms.dismissed / looked_through
    found = wilson(alarms.dismissed, looked_through)
    interval = Interval(PER * found.low, PER * found.high)
    if interval.low <= budget <= interval.high:
        return say("as_asked", rate=rate, interval=interval)
    # Thresholds are made so that false alarms are in proportion to the budget; the proportion is what was off.
    suggested = budget * budget / (rate or interval.high)
    suggested = min(max(suggested, budget / FURTHEST), budget * FURTHEST)
    return say("above" if rate > budget else "below", rate=rate, interval=interval, suggested=suggested)
