"""How a review budget becomes a cosine, as numbers: what `likeness policy explain` shows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detector.policy import Policy, PolicySettings, Thresholds

BUDGETS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""False alarms per 1,000 uploads."""
GALLERIES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
"""References."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a budget gives in a gallery of so many references. `extrapolated`: beyond what the calibration supports."""

    references: int
    review_budget: float
    cosine: float
    detection_rate: float | None
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class CohortPrice:
    """false_alarms: per 1,000 uploads by people of the cohort, at the cosine that keeps the budget on average."""

    cohort: str
    false_alarms: float
    cosine: float
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """A policy for one gallery. pack, data: of the calibration, None without one. on_average: what the budget asks for
    on average, whatever policy.threshold says; worst_cohort: what it asks for in every cohort, None without cohorts."""

    pack: str | None
    data: str | None
    settings: PolicySettings
    thresholds: Thresholds
    prices: tuple[Price, ...]
    cohorts: tuple[CohortPrice, ...]
    on_average: Thresholds | None
    worst_cohort: Thresholds | None


def explain(policy: Policy, references: int) -> Explanation:
    """Without a calibration there is a threshold and no more."""
    calibration = policy.calibration
    if calibration is None:
        return Explanation(None, None, policy.settings, policy.at(references), (), (), None, None)
    budgeted = replace(policy.settings, threshold=None)
    on_average = _policy(policy, replace(budgeted, worst_cohort=False)).at(references)
    worst = None
    if calibration.cohorts:
        worst = _policy(policy, replace(budgeted, worst_cohort=True)).at(references)
    return Explanation(
        pack=calibration.pack,
        data=calibration.data,
        settings=policy.settings,
        thresholds=policy.at(references),
        prices=tuple(price(policy, budget, size) for size in GALLERIES for budget in BUDGETS),
        cohorts=tuple(_cohorts(policy, on_average)),
        on_average=on_average,
        worst_cohort=worst,
    )


def price(policy: Policy, budget: float, references: int) -> Price:
    """`policy` must have a calibration."""
    at = _policy(policy, replace(policy.settings, threshold=None, review_budget=budget)).at(references)
    return Price(references, budget, at.review, at.detection_rate, at.extrapolated)


def price_curves(
    policy: Policy, budgets: NDArray[np.float64]
) -> Mapping[int, tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """For each of GALLERIES the expected detection rate at each budget, NaN where unknown, and what is extrapolated."""
    curves = {}
    for size in GALLERIES:
        prices = [price(policy, float(budget), size) for budget in budgets]
        rates = [math.nan if one.detection_rate is None else one.detection_rate for one in prices]
        curves[size] = (np.array(rates), np.array([one.extrapolated for one in prices]))
    return curves


def _policy(policy: Policy, settings: PolicySettings) -> Policy:
    assert policy.calibration is not None
    return Policy(policy.calibration.pack, settings, policy.calibration)


def _cohorts(policy: Policy, on_average: Thresholds) -> list[CohortPrice]:
    assert policy.calibration is not None
    assert on_average.fmr is not None
    comparisons = max(1, on_average.references) * policy.settings.faces_per_upload
    found = []
    for name, tail in policy.calibration.cohorts.items():
        fmr = tail.fmr(on_average.review)
        alarms = -1000 * math.expm1(comparisons * math.log1p(-fmr))
        extrapolated = not tail.supports(min(fmr, on_average.fmr))
        found.append(CohortPrice(name, alarms, tail.cosine(on_average.fmr), extrapolated))
    return sorted(found, key=lambda one: -one.false_alarms)
