"""Biometric performance from similarities, in the terms of ISO/IEC 19795-1. Pure numbers: no pictures, no files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 2048
"""Faces searched at once: bounds the memory."""
FPIRS = (0.10, 0.01, 0.003)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Open-set identification at one false positive identification rate. All rates are 0..1; `threshold`: cosine.

    `fpir` is the rate that the data gave at the threshold, the nearest not above `asked_fpir`. `resolved`: whether the
    strangers are enough for one false alarm at the asked rate; if not, the threshold is only above all they scored.
    `tpir_low`, `tpir_high`: the 95 % interval, where it was asked for.
    """

    asked_fpir: float
    fpir: float
    threshold: float
    tpir: float
    resolved: bool
    tpir_low: float | None = None
    tpir_high: float | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """One-to-one accuracy over folds: each fold's threshold is chosen on the others (Huang et al., LFW, 2007)."""

    accuracy: float
    deviation: float
    folds: int
    pairs: int


@dataclass(frozen=True, slots=True, eq=False)
class Roles:
    """Who is who in an open-set trial; rows of the faces. references: (R,), one per identity enrolled; probes: (P,)
    their other faces; mates: (P,) places in `references`; strangers: (S,) faces of everybody else."""

    references: NDArray[np.intp]
    probes: NDArray[np.intp]
    mates: NDArray[np.intp]
    strangers: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class SearchScores:
    """Cosines that searches of a gallery gave. mated: (P,) of a probe to its mate, -1 where another reference is
    nearer; strangers: (S,) of a face of nobody in the gallery to the nearest reference."""

    mated: NDArray[np.float32]
    strangers: NDArray[np.float32]


def assign_roles(people: NDArray[np.intp]) -> Roles:
    """Who has one face is a stranger; where nobody has, every second person is. The first face of everybody else is
    the reference. people: (N,), whose face each is."""
    order = np.argsort(people, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(people[order])) + 1) if len(people) else []
    several = [group for group in groups if len(group) > 1]
    strangers = [group for group in groups if len(group) == 1]
    if not strangers:
        strangers, several = several[1::2], several[::2]
    none = [np.empty(0, np.intp)]
    return Roles(
        references=np.array([group[0] for group in several], np.intp),
        probes=np.concatenate([group[1:] for group in several] or none),
        mates=np.repeat(np.arange(len(several)), [len(group) - 1 for group in several]),
        strangers=np.concatenate(strangers or none),
    )


def search(
    references: NDArray[np.float32],
    probes: NDArray[np.float32],
    mates: NDArray[np.intp],
    strangers: NDArray[np.float32],
) -> SearchScores:
    """references: (R, D), one per identity; probes: (P, D); mates: (P,) the row in `references` of a probe's identity;
    strangers: (S, D) faces of nobody in the gallery. All unit vectors, float32."""
    mated = np.empty(len(probes), np.float32)
    for top in range(0, len(probes), BLOCK):
        rows = slice(top, top + BLOCK)
        similarities = probes[rows] @ references.T
        own = similarities[np.arange(len(similarities)), mates[rows]]
        mated[rows] = np.where(similarities.argmax(axis=1) == mates[rows], own, -1)
    alarms = [(strangers[top : top + BLOCK] @ references.T).max(axis=1) for top in range(0, len(strangers), BLOCK)]
    return SearchScores(mated, np.concatenate(alarms))


def open_set(
    references: NDArray[np.float32],
    probes: NDArray[np.float32],
    mates: NDArray[np.intp],
    strangers: NDArray[np.float32],
    rates: Sequence[float] = FPIRS,
) -> list[OperatingPoint]:
    """TPIR at each FPIR of `rates`: a probe counts when its mate is the nearest reference, at or above the threshold.
    The faces are as `search` takes them."""
    return operating_points(search(references, probes, mates, strangers), rates)


def operating_points(scores: SearchScores, rates: Sequence[float] = FPIRS) -> list[OperatingPoint]:
    """TPIR at each FPIR of `rates`."""
    false_alarms = np.sort(scores.strangers)[::-1]
    points = []
    for rate in rates:
        allowed = int(rate * len(false_alarms))
        threshold = float(np.nextafter(false_alarms[allowed], np.float32(2)))
        points.append(
            OperatingPoint(
                asked_fpir=rate,
                fpir=float((false_alarms >= threshold).mean()),
                threshold=threshold,
                tpir=float((scores.mated >= threshold).mean()),
                resolved=rate * len(false_alarms) >= 1,
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
