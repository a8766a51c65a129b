"""How often strangers look alike: the false match rate as a function of the cosine, far into its tail.

The tail's density falls as exp(-slope x - curvature x²/2) above its start, which holds an exponential and a normal tail
alike. It is fitted by maximum likelihood as one part of a mixture: among the pairs of a data set some are one person
under two names, so a share of them, which is fitted too, is taken to score as genuine pairs do. Without that, a handful
of label errors decide the tail. Beyond the rate that the data support the tail goes on as its tangent in the
logarithm, which a concave curve never exceeds: an extrapolation that asks for too high a cosine rather than too low.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr, ndtri_exp

BINS = 2000
EDGES = np.linspace(-1.0, 1.0, BINS + 1)
"""Bins of similarities, 0.001 wide."""
TAIL_SHARE = 0.01
"""The share of impostor pairs that is fitted: on LFW anything from 0.1 to 2 % gives the same cosines within 0.005."""
PAIRS_IN_SUPPORT = 30
"""Pairs of identities expected above a cosine for its rate to be supported by the data."""
LEAST_TAIL_PAIRS = 200
COPIES = 0.1
"""Share of the mislabelled pairs that may lie anywhere in the tail."""
STRAIGHT = 1e-6
"""Curvature, in units of slope squared, below which the tail is an exponential."""


class TooFewPairs(ValueError):
    """The data hold too few impostor pairs for a tail; the message says how many are needed."""


@dataclass(frozen=True, slots=True)
class ImpostorTail:
    """FMR above the cosine `start`, where it is `rate`. `supported_fmr`: the lowest rate that the data support."""

    start: float
    rate: float
    slope: float
    curvature: float
    supported_fmr: float

    def fmr(self, cosine: float) -> float:
        """The false match rate, 0..1, of one comparison at `cosine`; below the tail's start the rate there."""
        beyond = max(0.0, cosine - self.start)
        supported = self._distance(self.supported_fmr)
        if beyond <= supported:
            return self.rate * math.exp(self._log_share(beyond))
        return self.supported_fmr * math.exp(-self._hazard(supported) * (beyond - supported))

    def cosine(self, fmr: float) -> float:
        """The cosine at which the false match rate is `fmr`; never below the tail's start, never above 1."""
        if fmr <= 0:
            return 1.0
        if fmr >= self.supported_fmr:
            return self.start + self._distance(fmr)
        supported = self._distance(self.supported_fmr)
        further = math.log(self.supported_fmr / fmr) / self._hazard(supported)
        return min(1.0, self.start + supported + further)

    def supports(self, fmr: float) -> bool:
        """Whether the data reach down to this rate; below it the tail is extrapolated."""
        return fmr >= self.supported_fmr

    @property
    def _straight(self) -> bool:
        return self.curvature <= STRAIGHT * self.slope**2

    def _log_share(self, beyond: float) -> float:
        """Logarithm of the share of the tail that lies further than `beyond` from its start."""
        if self._straight:
            return -self.slope * beyond
        root = math.sqrt(self.curvature)
        return float(log_ndtr(-(self.slope + self.curvature * beyond) / root) - log_ndtr(-self.slope / root))

    def _distance(self, fmr: float) -> float:
        """How far from the tail's start the rate has fallen to `fmr`, by the fitted curve alone."""
        log_share = math.log(min(1.0, fmr / self.rate))
        if self._straight or log_share == 0:  # at the start itself the curve's two large terms differ by rounding alone
            return -log_share / self.slope
        root = math.sqrt(self.curvature)
        deviate = -float(ndtri_exp(log_share + float(log_ndtr(-self.slope / root))))
        return max(0.0, (deviate * root - self.slope) / self.curvature)

    def _hazard(self, beyond: float) -> float:
        """How steeply the logarithm of the rate falls, per unit of cosine."""
        if self._straight:
            return self.slope
        deviate = (self.slope + self.curvature * beyond) / math.sqrt(self.curvature)
        log_density = -0.5 * deviate**2 - 0.5 * math.log(2 * math.pi)
        return math.sqrt(self.curvature) * math.exp(log_density - float(log_ndtr(-deviate)))


def fit_tail(
    impostors: NDArray[np.float64], genuine: NDArray[np.float64], identity_pairs: int
) -> tuple[ImpostorTail, float]:
    """The tail, and how many of the impostor pairs are reckoned to be one person under two names.

    impostors, genuine: (BINS,) counts of similarities in EDGES; `genuine` may be all zero (then mislabelled pairs are
    taken to lie anywhere in the tail); identity_pairs: pairs of different identities behind `impostors`, which are what
    is independent. Raises TooFewPairs.
    """
    total = float(impostors.sum())
    above = np.cumsum(impostors[::-1])[::-1]
    first = int(np.searchsorted(-above, -TAIL_SHARE * total))
    if first >= BINS or above[first] < LEAST_TAIL_PAIRS:
        needed = math.ceil(math.sqrt(2 * LEAST_TAIL_PAIRS / TAIL_SHARE)) + 1
        raise TooFewPairs(
            f"A calibration needs the faces of at least {needed} different people: there are fewer, or one photo is "
            "there under many names."
        )
    counts = impostors[first:]
    place = (EDGES[first:-1] + EDGES[first + 1 :]) / 2 - EDGES[first]
    mislabelled = _smooth(genuine[first:])

    def tail(slope: float, curvature: float) -> NDArray[np.float64]:
        weights = np.exp(-slope * place - curvature * place**2 / 2)
        return np.asarray(weights / weights.sum())

    def unlikeliness(parameters: NDArray[np.float64]) -> float:
        slope, curvature, share = _unpack(parameters)
        mixture = (1 - share) * tail(slope, curvature) + share * mislabelled
        return -float(counts @ np.log(mixture + 1e-300))

    slope_at_start = 1 / float((place * counts).sum() / counts.sum())
    starts = [(math.log(slope_at_start), math.log(slope_at_start**2 * bend), -8.0) for bend in (0.001, 0.1)]
    from scipy.optimize import minimize  # slow to import, and only a calibration fits

    options = {"maxiter": 4000, "xatol": 1e-5, "fatol": 1e-4}
    fits = [minimize(unlikeliness, start, method="Nelder-Mead", options=options) for start in starts]
    best = min(fits, key=lambda fit: float(fit.fun)).x
    slope, curvature, share = _unpack(best)
    fitted = ImpostorTail(
        start=round(float(EDGES[first]), 3),
        rate=_six_digits(float(above[first]) * (1 - share) / total),
        slope=_six_digits(slope),
        curvature=_six_digits(curvature),
        supported_fmr=_six_digits(min(PAIRS_IN_SUPPORT / identity_pairs, TAIL_SHARE / 2)),
    )
    return fitted, share * float(above[first])


def _unpack(parameters: NDArray[np.float64]) -> tuple[float, float, float]:
    """Slope, curvature and share of mislabelled pairs from the unbounded numbers that the fit varies."""
    slope, curvature = np.exp(np.clip(parameters[:2], -20, 12))
    return float(slope), float(curvature), float(expit(parameters[2]))


def _smooth(genuine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The density of genuine similarities over the tail's bins; uniform where there are none."""
    if genuine.sum() < LEAST_TAIL_PAIRS / 4:
        return np.full(len(genuine), 1 / len(genuine))
    window = min(51, len(genuine))
    smooth = np.convolve(genuine, np.ones(window), "same") + 1e-9
    # Copies of one photo under two names score as no two photos do.
    return np.asarray((1 - COPIES) * smooth / smooth.sum() + COPIES / len(smooth))


def _six_digits(number: float) -> float:
    return float(f"{number:.6g}")
