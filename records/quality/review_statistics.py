"""Shares and agreement, each with how sure one can be of it: plain arithmetic on counts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Z = 1.959963984540054
"""Of the standard normal distribution, for two-sided intervals of 95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true value lies with a confidence of 95 %."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Share:
    """`count` out of `of`."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """0..1; None out of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> Interval | None:
        """Wilson's, 0..1; None out of nothing."""
        return wilson(self.count, self.of) if self.of else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of pairs of judgements on the same case. same: pairs that say the same; kappa: Cohen's, 1 for full agreement and
    0 for as much as chance gives, None where all say one thing, so that chance explains it; interval: of kappa,
    None too where all pairs agree or none does."""

    pairs: int
    same: int
    kappa: float | None
    interval: Interval | None


NO_AGREEMENT = Agreement(0, 0, None, None)


def wilson(count: float, of: float) -> Interval:
    """The score interval of a share (Wilson 1927), without correction for continuity. `of` must be above 0."""
    share, z2 = count / of, Z * Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def agreement(pairs: Mapping[tuple[str, str], int]) -> Agreement:
    """Cohen's kappa of how often one said this and the other that; its interval by the large-sample standard error of
    Fleiss, Cohen and Everitt (1969), formula 13."""
    if not (total := sum(pairs.values())):
        return NO_AGREEMENT
    same = sum(count for (one, other), count in pairs.items() if one == other)
    said = {name for pair in pairs for name in pair}
    rows = {name: sum(count for (one, _), count in pairs.items() if one == name) / total for name in said}
    columns = {name: sum(count for (_, other), count in pairs.items() if other == name) / total for name in said}
    by_chance = sum(rows[name] * columns[name] for name in said)
    if math.isclose(by_chance, 1.0):
        return Agreement(total, same, None, None)
    observed = same / total
    kappa = (observed - by_chance) / (1 - by_chance)
    on = off = 0.0
    for (one, other), count in pairs.items():
        if one == other:
            on += count / total * ((1 - by_chance) - (columns[one] + rows[one]) * (1 - observed)) ** 2
        else:
            off += count / total * (columns[one] + rows[other]) ** 2
    spread = on + (1 - observed) ** 2 * off - (observed * by_chance - 2 * by_chance + observed) ** 2
    if spread < 1e-12:  # all pairs agree, or none does: how far that may be chance cannot be told so
        return Agreement(total, same, kappa, None)
    half = Z * math.sqrt(spread / total) / (1 - by_chance) ** 2
    return Agreement(total, same, kappa, Interval(max(-1.0, kappa - half), min(1.0, kappa + half)))
