"""Scores of pairs of faces: what one-to-one error rates are counted in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.impostor_tail import BINS, EDGES
from detector.pairs import NOT_A_PAIR, pairs

KEPT_SHARE = 0.03
KEPT_LEAST = 300_000
"""Of the impostor pairs the highest are kept one by one: this share, and not fewer than so many; others are counted."""
LOWEST = -2.0
"""Below every cosine."""


@dataclass(frozen=True, slots=True, eq=False)
class PairScores:
    """Cosines of pairs of faces of P people. genuine: (G,) of one person, rising; genuine_people: (G,) whose;
    impostors: (K,) of two people, the highest, falling; ones, others: (K,) whose; histogram: (BINS,) counts of all
    impostor pairs in EDGES; faces: (P,) faces of each person."""

    genuine: NDArray[np.float32]
    genuine_people: NDArray[np.intp]
    impostors: NDArray[np.float32]
    ones: NDArray[np.intp]
    others: NDArray[np.intp]
    histogram: NDArray[np.float64]
    faces: NDArray[np.intp]

    @property
    def floor(self) -> float:
        """The cosine from which every impostor pair is kept."""
        return LOWEST if len(self.impostors) >= self.histogram.sum() else float(self.impostors[-1])

    @property
    def identity_pairs(self) -> int:
        """Pairs of different people, which are what is independent."""
        return len(self.faces) * (len(self.faces) - 1) // 2

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """FMR and FNMR, each (BINS,) of 0..1, with the bins' lower edges as thresholds."""
        above = np.cumsum(self.histogram[::-1])[::-1]
        below = np.searchsorted(self.genuine, EDGES[:-1].astype(np.float32), "left")
        return above / max(1.0, self.histogram.sum()), below / max(1, len(self.genuine))


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Two faces of different names, as rows, and their cosine."""

    similarity: float
    one: int
    other: int


def compare_pairs(embeddings: NDArray[np.float32], people: NDArray[np.intp]) -> PairScores:
    """embeddings: (N, D) unit vectors; people: (N,) places 0..P-1."""
    histogram = np.zeros(BINS)
    genuine, genuine_people = [np.empty(0, np.float32)], [np.empty(0, np.intp)]
    for similarities, rows, columns in pairs(embeddings):
        same = people[rows][:, None] == people[columns]
        histogram += np.histogram(similarities[~same], BINS, (-1, 1))[0]
        same &= similarities != NOT_A_PAIR
        genuine.append(similarities[same])
        genuine_people.append(people[rows][np.nonzero(same)[0]])
    floor = _floor(histogram)
    parts = [(np.empty(0, np.float32), np.empty(0, np.intp), np.empty(0, np.intp))]
    for similarities, rows, columns in pairs(embeddings):
        high = np.nonzero(similarities >= floor)
        ones, others = people[rows][high[0]], people[columns][high[1]]
        differ = ones != others
        parts.append((similarities[high][differ], ones[differ], others[differ]))
    impostors, ones, others = (np.concatenate(column) for column in zip(*parts, strict=True))
    falling = np.argsort(-impostors, kind="stable")
    all_genuine = np.concatenate(genuine)
    rising = np.argsort(all_genuine, kind="stable")
    return PairScores(
        genuine=all_genuine[rising],
        genuine_people=np.concatenate(genuine_people)[rising],
        impostors=impostors[falling],
        ones=ones[falling],
        others=others[falling],
        histogram=histogram,
        faces=np.bincount(people),
    )


def highest_impostors(embeddings: NDArray[np.float32], people: NDArray[np.intp], count: int) -> list[LookAlikes]:
    """The most alike faces of different people, the most alike first, one pair of faces for each pair of people."""
    best = dict[tuple[int, int], LookAlikes]()
    floor = LOWEST
    for similarities, rows, columns in pairs(embeddings):
        high = np.nonzero(similarities > floor)
        ones, others = people[rows][high[0]], people[columns][high[1]]
        falling = np.argsort(-similarities[high], kind="stable")
        falling = falling[(ones != others)[falling]]
        keys = np.minimum(ones, others)[falling] * (int(people.max()) + 1) + np.maximum(ones, others)[falling]
        for at in falling[np.sort(np.unique(keys, return_index=True)[1])[:count]]:
            pair = LookAlikes(
                float(similarities[high[0][at], high[1][at]]),
                rows.start + int(high[0][at]),
                columns.start + int(high[1][at]),
            )
            names = (int(min(ones[at], others[at])), int(max(ones[at], others[at])))
            if names not in best or best[names].similarity < pair.similarity:
                best[names] = pair
        best = dict(sorted(best.items(), key=lambda named: -named[1].similarity)[:count])
        if len(best) == count:
            floor = min(pair.similarity for pair in best.values())
    return list(best.values())


def _floor(histogram: NDArray[np.float64]) -> float:
    """The lowest cosine of the impostor pairs that are kept one by one."""
    above = np.cumsum(histogram[::-1])[::-1]
    kept = max(KEPT_LEAST, KEPT_SHARE * float(above[0]))
    return float(EDGES[np.flatnonzero(above >= kept)[-1]]) if above[0] > kept else LOWEST
