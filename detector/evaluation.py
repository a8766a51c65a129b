"""Biometric performance from similarities, in the terms of ISO/IEC 19795-1. Pure numbers: no pictures, no files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Open-set identification at one false positive identification rate. All rates are 0..1; `threshold`: cosine.

    `fpir` is the rate that the data gave at the threshold, the nearest not above `asked_fpir`. `resolved`: whether the
    strangers are enough for one false alarm at the asked rate; if not, the threshold is only above all they scored.
    """

    asked_fpir: float
    fpir: float
    threshold: float
    tpir: float
    resolved: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """One-to-one accuracy over folds: each fold's threshold is chosen on the others (Huang et al., LFW, 2007)."""

    accuracy: float
    deviation: float
    folds: int
    pairs: int


def open_set(
    references: NDArray[np.float32],
    probes: NDArray[np.float32],
    mates: NDArray[np.intp],
    strangers: NDArray[np.float32],
    rates: Sequence[float] = (0.10, 0.01, 0.003),
) -> list[OperatingPoint]:
    """TPIR at each FPIR of `rates`: a probe counts when its mate is the nearest reference, at or above the threshold.

    references: (R, D), one per identity; probes: (P, D); mates: (P,) the row in `references` of each probe's identity;
    strangers: (S, D) faces of nobody in the gallery. All unit vectors, float32.
    """
    similarities = probes @ references.T
    nearest = similarities.argmax(axis=1)
    mated = similarities[np.arange(len(probes)), mates]
    false_alarms = np.sort((strangers @ references.T).max(axis=1))[::-1]
    points = []
    for rate in rates:
        allowed = int(rate * len(false_alarms))
        threshold = float(np.nextafter(false_alarms[allowed], np.float32(2)))
        hits = (nearest == mates) & (mated >= threshold)
        points.append(
            OperatingPoint(
                rate,
                float((false_alarms >= threshold).mean()),
                threshold,
                float(hits.mean()),
                rate * len(false_alarms) >= 1,
            )
        )
    return points


def verification(
    similarities: NDArray[np.float32], genuine: NDArray[np.bool_], folds: NDArray[np.intp]
) -> Verification:
    """Accuracy of same or not same by a threshold. similarities: (N,) cosines of pairs; genuine: (N,); folds: (N,)."""
    numbers = np.unique(folds)
    accuracies = []
    for fold in numbers:
        test = folds == fold
        train = ~test if len(numbers) > 1 else test
        threshold = _best_threshold(similarities[train], genuine[train])
        accuracies.append(float(((similarities[test] >= threshold) == genuine[test]).mean()))
    return Verification(float(np.mean(accuracies)), float(np.std(accuracies)), len(numbers), len(similarities))


def _best_threshold(similarities: NDArray[np.float32], genuine: NDArray[np.bool_]) -> float:
    """The cosine with the fewest errors: accept from there on."""
    order = np.argsort(-similarities, kind="stable")
    sorted_genuine = genuine[order]
    right = np.concatenate([[0], np.cumsum(sorted_genuine)]) + (~genuine).sum()
    right = right - np.concatenate([[0], np.cumsum(~sorted_genuine)])
    tied = np.flatnonzero(np.diff(similarities[order]) == 0) + 1
    right[tied] = -1  # no threshold separates equal similarities
    best = int(right.argmax())
    if best == 0:
        return float(similarities.max()) + 1e-6
    upper = float(similarities[order[best - 1]])
    lower = float(similarities[order[best]]) if best < len(order) else upper
    return (upper + lower) / 2
