"""How sure a measured rate is: 95 % intervals by a bootstrap over identities.

What is drawn anew, with replacement, are people, never single photos or pairs: photos of one person fail together. A
person who is drawn twice counts twice; of a pair of people the counts multiply (the two-sample bootstrap of Bolle,
Ratha and Pankanti, "Error analysis of pattern recognition systems", 2004). The gallery of a search stays as it is: the
rates are those of a gallery of its size, and one of fewer different people would raise fewer alarms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.performance.pair_scores import PairScores

RESAMPLES = 200
RULE_OF_THREE = 3.0
"""Nothing seen among n independent trials: the rate is below 3/n at 95 % confidence."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate, 0..1, and its 95 % interval."""

    value: float
    low: float
    high: float

    def apart(self, other: "Rate") -> bool:
        """Whether the two intervals have nothing in common."""
        return self.low > other.high or self.high < other.low


def draw(people: int, random: np.random.Generator, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """(resamples, people): how often each person is drawn."""
    return random.multinomial(people, np.full(people, 1 / people), size=resamples).astype(np.float64)


def rate(value: float, resampled: NDArray[np.float64], trials: int) -> Rate:
    """`resampled`: the rate in each resample, NaN where it had no trial; `trials`: how many were independent."""
    known = resampled[~np.isnan(resampled)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (0.0, 1.0)
    if value == 0:
        high = max(float(high), min(1.0, RULE_OF_THREE / trials))
    if value == 1:
        low = min(float(low), max(0.0, 1 - RULE_OF_THREE / trials))
    return Rate(value, min(float(low), value), max(float(high), value))


def share_at_or_above(
    scores: NDArray[np.float32], people: NDArray[np.intp], drawn: NDArray[np.float64], threshold: float
) -> Rate | None:
    """The share of `scores`, (N,), at or above `threshold`; None without any. people: (N,) whose they are."""
    if not len(scores):
        return None
    hits = scores >= threshold
    size = drawn.shape[1]
    all_of, hits_of = np.bincount(people, minlength=size), np.bincount(people[hits], minlength=size)
    with np.errstate(invalid="ignore"):
        resampled = (drawn @ hits_of) / (drawn @ all_of)
    return rate(float(hits.mean()), resampled, len(np.unique(people)))


def tpir_at_fpir(
    mated: NDArray[np.float32],
    mated_people: NDArray[np.intp],
    strangers: NDArray[np.float32],
    stranger_people: NDArray[np.intp],
    drawn: NDArray[np.float64],
    fpir: float,
    tpir: float,
) -> Rate:
    """The interval of `tpir` at `fpir`, the threshold chosen anew in each resample: it is as unsure as the rest."""
    falling, rising = np.argsort(-strangers, kind="stable"), np.argsort(mated, kind="stable")
    alarms, hits = strangers[falling], mated[rising]
    resampled = np.full(len(drawn), np.nan)
    for number, weights in enumerate(drawn):
        seen = np.cumsum(weights[stranger_people[falling]])
        reached = np.concatenate([[0.0], np.cumsum(weights[mated_people[rising]])])
        if not seen[-1] or not reached[-1]:
            continue
        first_too_many = int(np.searchsorted(seen, fpir * seen[-1] + 1e-9, "right"))
        below = np.searchsorted(hits, alarms[min(first_too_many, len(alarms) - 1)], "right")
        resampled[number] = 1 - reached[below] / reached[-1]
    return rate(tpir, resampled, len(np.unique(mated_people)))


@dataclass(frozen=True, slots=True)
class FnmrAt:
    """FNMR at the threshold, a cosine, at which FMR is `asked_fmr`; None where the data do not reach so low a rate, or
    hold nobody twice."""

    asked_fmr: float
    threshold: float | None
    fnmr: Rate | None


@dataclass(frozen=True, slots=True)
class OneToOne:
    """fmr, fnmr: at each threshold asked for, None where there is nothing to count; fnmr_at: at each FMR asked for."""

    fmr: tuple[Rate | None, ...]
    fnmr: tuple[Rate | None, ...]
    fnmr_at: tuple[FnmrAt, ...]


def one_to_one(
    pairs: PairScores, drawn: NDArray[np.float64], thresholds: Sequence[float], fmrs: Sequence[float], least_pairs: int
) -> OneToOne:
    """FMR and FNMR at `thresholds`, and FNMR at each of `fmrs` that at least `least_pairs` pairs of people resolve."""
    cuts = np.searchsorted(-pairs.impostors, [-np.float32(cosine) for cosine in thresholds], "right")
    total, failed = float(pairs.histogram.sum()), np.searchsorted(pairs.genuine, np.array(thresholds, np.float32))
    all_fmr = np.full((len(drawn), len(thresholds)), np.nan)
    all_fnmr = np.full((len(drawn), len(thresholds)), np.nan)
    all_fnmr_at = np.full((len(drawn), len(fmrs)), np.nan)
    for number, weights in enumerate(drawn):
        matches = np.concatenate([[0.0], np.cumsum(weights[pairs.ones] * weights[pairs.others])])
        faces = weights * pairs.faces
        compared = (faces.sum() ** 2 - (faces**2).sum()) / 2
        genuine = np.concatenate([[0.0], np.cumsum(weights[pairs.genuine_people])])
        if compared:
            all_fmr[number] = matches[cuts] / compared
        if genuine[-1]:
            all_fnmr[number] = genuine[failed] / genuine[-1]
        if compared and genuine[-1]:
            for place, fmr in enumerate(fmrs):
                below = np.searchsorted(pairs.genuine, _cosine_at(pairs, matches, fmr * compared), "right")
                all_fnmr_at[number, place] = genuine[below] / genuine[-1]
    several = len(np.unique(pairs.genuine_people))
    measured_fmr = [
        rate(float(cut) / total, all_fmr[:, place], pairs.identity_pairs) if total and cosine >= pairs.floor else None
        for place, (cut, cosine) in enumerate(zip(cuts, thresholds, strict=True))
    ]
    measured_fnmr = [
        rate(float(fail) / len(pairs.genuine), all_fnmr[:, place], several) if several else None
        for place, fail in enumerate(failed)
    ]
    counted = np.arange(len(pairs.impostors) + 1, dtype=np.float64)
    at = []
    for place, fmr in enumerate(fmrs):
        if fmr * pairs.identity_pairs < least_pairs or not several:
            at.append(FnmrAt(fmr, None, None))
            continue
        cosine = _cosine_at(pairs, counted, fmr * total)
        fnmr = float(np.searchsorted(pairs.genuine, cosine, "right")) / len(pairs.genuine)
        at.append(FnmrAt(fmr, float(cosine), rate(fnmr, all_fnmr_at[:, place], several)))
    return OneToOne(tuple(measured_fmr), tuple(measured_fnmr), tuple(at))


def _cosine_at(pairs: PairScores, matches: NDArray[np.float64], allowed: float) -> np.float32:
    """The highest impostor cosine that is one too many: `matches`, (K + 1,), counts them from the highest."""
    place = int(np.searchsorted(matches, allowed + 1e-9, "right")) - 1
    return np.float32(pairs.impostors[min(place, len(pairs.impostors) - 1)])
