"""Error rates of all people and of each cohort of them, at one set of thresholds for all: where a system is less fair.

One-to-one (FMR, FNMR): pairs of faces within the cohort. Open set (FPIR, TPIR): the cohort's strangers and probes,
searched in the gallery of everybody, as in operation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detector.impostor_tail import PAIRS_IN_SUPPORT
from detector.performance.bootstrap import RESAMPLES, FnmrAt, Rate, draw, one_to_one, share_at_or_above, tpir_at_fpir
from detector.performance.evaluation import OperatingPoint, Roles, SearchScores
from detector.performance.pair_scores import PairScores, compare_pairs

FMRS = (1e-2, 1e-3, 1e-4)
MOST_COMPARED = 10_000
"""Faces of a group that are compared one to one; of a larger group people are drawn until there are so many."""
MEASURES = ("fmr", "fnmr", "fpir", "tpir")


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Faces and what a search of the gallery made of them. people: (N,) places 0..P-1; cohorts: (N,) labels, "" = none,
    or empty; the rows in `roles` belong to the scores in `scores`."""

    embeddings: NDArray[np.float32]
    people: NDArray[np.intp]
    cohorts: NDArray[np.str_]
    roles: Roles
    scores: SearchScores


@dataclass(frozen=True, slots=True)
class RatesAt:
    """The four rates at one threshold, a cosine; None where there is nothing to count."""

    threshold: float
    fmr: Rate | None
    fnmr: Rate | None
    fpir: Rate | None
    tpir: Rate | None


@dataclass(frozen=True, slots=True)
class GroupRates:
    """cohort: None = all people. faces, compared: of the group, and those of them that were compared one to one."""

    cohort: str | None
    people: int
    faces: int
    compared: int
    probes: int
    strangers: int
    at: tuple[RatesAt, ...]
    fnmr_at: tuple[FnmrAt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """FMR and FNMR, each (M,) of 0..1, down to the FMR that the data resolve."""

    fmr: NDArray[np.float64]
    fnmr: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outlier:
    """A rate of a cohort whose interval has nothing in common with that of all people."""

    cohort: str
    measure: str
    rate: Rate
    of_all: Rate

    @property
    def worse(self) -> bool:
        return (self.rate.value > self.of_all.value) != (self.measure == "tpir")


def measure(
    trial: Trial, thresholds: Sequence[float], random: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[list[GroupRates], Mapping[str | None, Curve]]:
    """The rates at `thresholds` of all people, which come first, and of each cohort, and their curves where there are
    people with several faces."""
    labels = [str(label) for label in np.unique(trial.cohorts) if label]
    rates, curves = list[GroupRates](), dict[str | None, Curve]()
    for cohort in (None, *labels):
        group, pairs = _measure_group(trial, cohort, thresholds, random, resamples)
        rates.append(group)
        if len(pairs.genuine) and pairs.histogram.any():
            curves[cohort] = _curve(pairs)
    return rates, curves


def with_intervals(
    trial: Trial, points: Sequence[OperatingPoint], random: np.random.Generator, resamples: int = RESAMPLES
) -> list[OperatingPoint]:
    """`points` with the interval of their TPIR, where they are resolved."""
    roles, scores = trial.roles, trial.scores
    drawn = draw(int(trial.people.max()) + 1, random, resamples)
    found = []
    for point in points:
        if point.resolved:
            ours = (scores.mated, trial.people[roles.probes], scores.strangers, trial.people[roles.strangers])
            rate = tpir_at_fpir(*ours, drawn, point.asked_fpir, point.tpir)
            point = replace(point, tpir_low=rate.low, tpir_high=rate.high)
        found.append(point)
    return found


def outliers(groups: Sequence[GroupRates]) -> list[Outlier]:
    """Cohorts that stand out at the first threshold; `groups` as from `measure`, of all people first."""
    all_people, *cohorts = groups
    found = []
    for group in cohorts:
        for name in MEASURES:
            own, of_all = getattr(group.at[0], name), getattr(all_people.at[0], name)
            if group.cohort is not None and own and of_all and own.apart(of_all):
                found.append(Outlier(group.cohort, name, own, of_all))
    return found


def worst(groups: Sequence[GroupRates], measured: str) -> GroupRates | None:
    """The cohort whose rate `measured`, one of MEASURES, is the worst at the first threshold; None without cohorts."""
    known = [group for group in groups if group.cohort is not None and getattr(group.at[0], measured) is not None]
    sign = -1 if measured == "tpir" else 1
    return max(known, key=lambda group: sign * getattr(group.at[0], measured).value, default=None)


def _measure_group(
    trial: Trial, cohort: str | None, thresholds: Sequence[float], random: np.random.Generator, resamples: int
) -> tuple[GroupRates, PairScores]:
    within = np.ones(len(trial.people), np.bool_) if cohort is None else trial.cohorts == cohort
    rows = np.flatnonzero(within)
    names, people = np.unique(trial.people[rows], return_inverse=True)
    place = np.zeros(len(within), np.intp)  # of each row's person among the group's
    place[rows] = people
    some = _draw_faces(people, random)
    chosen, compared = np.unique(people[some], return_inverse=True)
    pairs = compare_pairs(trial.embeddings[rows[some]], compared)
    single = one_to_one(pairs, draw(len(chosen), random, resamples), thresholds, FMRS, PAIRS_IN_SUPPORT)
    drawn = draw(len(names), random, resamples)
    probes, strangers = trial.roles.probes, trial.roles.strangers
    mated, alarms = trial.scores.mated[within[probes]], trial.scores.strangers[within[strangers]]
    mated_people, alarm_people = place[probes[within[probes]]], place[strangers[within[strangers]]]
    at = tuple(
        RatesAt(
            threshold=threshold,
            fmr=single.fmr[number],
            fnmr=single.fnmr[number],
            fpir=share_at_or_above(alarms, alarm_people, drawn, threshold),
            tpir=share_at_or_above(mated, mated_people, drawn, threshold),
        )
        for number, threshold in enumerate(thresholds)
    )
    group = GroupRates(cohort, len(names), len(rows), len(some), len(mated), len(alarms), at=at, fnmr_at=single.fnmr_at)
    return group, pairs


def _draw_faces(people: NDArray[np.intp], random: np.random.Generator) -> NDArray[np.intp]:
    """Places of at most MOST_COMPARED faces of `people`, all faces of a person or none."""
    if len(people) <= MOST_COMPARED:
        return np.arange(len(people))
    order = random.permutation(int(people.max()) + 1)
    enough = np.cumsum(np.bincount(people)[order]) <= MOST_COMPARED
    return np.flatnonzero(np.isin(people, order[enough]))


def _curve(pairs: PairScores) -> Curve:
    fmr, fnmr = pairs.curve()
    resolved = fmr * pairs.identity_pairs >= PAIRS_IN_SUPPORT
    return Curve(fmr[resolved], fnmr[resolved])
