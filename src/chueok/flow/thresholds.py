"""From the similarities of different people to a threshold with its interval. Pure numbers, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from chueok.measures import CalibratedRate

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A rate is measured when 30 pairs of people reach it, and its relative standard error is no larger than if these were
# independent: the "rule of 30" (Doddington et al. 2000, Speech Communication 31; ISO/IEC 19795-1, annex B)
ENOUGH = 30
MOST_ERROR = ENOUGH**-0.5
# How far below the rarest measured rate a tail is drawn: from 0.2 to 1e-3. What that costs is in docs/calibration.md
FURTHEST = 200
# The interval grows by this share of the tail's slope for every decade the tail is drawn: the impostor tails of
# docs/calibration.md leave the normal by -0.07 to 0.18 of it
MISFIT = 0.1
# Of the resampled thresholds the upper quartile is acted on: a sample of people mostly lacks the rare pairs that look
# most alike, and the middle lies below the truth more often than above (docs/calibration.md)
ACTED_ON = 0.75
INTERVAL = (0.05, 0.95)
# Variance of a person's weight. With 1 what pairs differ in by themselves counts three times (Owen 2007, "The
# pigeonhole bootstrap", Annals of Applied Statistics 1), with 0.41 once, but what people differ in only 0.41 times.
# With 0.7 nine in ten intervals held the truth (docs/calibration.md)
SPREAD = 0.7
RESAMPLINGS = 200  # the ends of the interval are then its tenth lowest and tenth highest
LEAST_MEASURED = 0.2  # of fewer people, what was drawn from 0.25 or 0.3 on was off by 0.05 to 0.1
COMMONEST = 0.5  # rate: a threshold that lets more than half of all strangers pass is of no use
ROUNDING = 1e-9  # of a rate that is a quotient of two
_BINS = 4000  # of similarities from -1 to 1: a twentieth of a hundredth each
_EDGES = np.linspace(-1, 1, _BINS + 1)
_MIDDLES = (_EDGES[1:] + _EDGES[:-1]) / 2
_RATES = np.array(
    [0.5, 0.4, 0.3, 0.25, 0.2, 0.1] + [digit / 10**power for power in range(2, 6) for digit in (5, 3, 2, 1)]
)
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Similarities of different people: several of each pair of people, all pairs of people weighing the same."""

    similarities: NDArray[np.float32]  # (m,)
    pair: NDArray[np.intp]  # (m,) which pair of people each is of
    first: NDArray[np.int64]  # (p,) numbers of the people of each pair
    second: NDArray[np.int64]

    @classmethod
    def apart(cls, similarities: NDArray[np.float32]) -> Scores:
        """Similarities (m,) of people who have nothing to do with each other: each a pair of its own."""
        numbers = np.arange(len(similarities))
        return cls(similarities, numbers, 2 * numbers, 2 * numbers + 1)

    def histogram(self, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """How much lies in each of the bins of similarity; weights: (p,) of the pairs of people, else 1."""
        counts = np.bincount(self.pair, minlength=len(self.first))
        each = (np.ones(len(counts)) if weights is None else weights) / np.maximum(counts, 1)
        bins = ((self.similarities.astype(np.float64) + 1) * (_BINS / 2)).astype(np.int64)
        return np.bincount(np.clip(bins, 0, _BINS - 1), each[self.pair], _BINS).astype(np.float64)


class Tail:
    """How rarely different people look how much alike, and how far that is known.

    Down to the rarest rate that is `measured` the threshold is a quantile of the scores; below it the scores' tail is
    taken as normal: the similarity rises along the normal quantile of the rate by the slope that the rates from a half
    down to the rarest measured one show. Uncertainty comes from weighing people, not pairs, by chance: whoever looks
    like many others does so in all their pairs (the vertex bootstrap: Snijders and Borgatti 1999, "Non-parametric
    standard errors and tests for network statistics", Connections 22; with gamma weights, as Rubin 1981, "The Bayesian
    bootstrap", Annals of Statistics 9).
    """

    def __init__(self, scores: Scores, seed: int = 0, resamplings: int = RESAMPLINGS) -> None:
        self._whole = scores.histogram()
        self._pairs = len(scores.first)
        self._drawn = _drawn_anew(scores, np.random.default_rng(seed), resamplings)
        self.measured = self._rarest_measured()

    def at(self, rate: float) -> CalibratedRate | None:
        """The threshold at a false accept rate (0..1) with its 90 % interval; None where that is not known."""
        if self.measured is None or not self.measured / FURTHEST <= rate * (1 + ROUNDING) <= COMMONEST:
            return None
        found = np.array([_quantile(histogram, rate, self.measured) for histogram in self._drawn])
        low, chosen, high = np.quantile(found, (INTERVAL[0], ACTED_ON, INTERVAL[1]))
        decades = max(0.0, float(np.log10(self.measured / rate)))
        misfit = MISFIT * decades * _slope(self._whole, self.measured)
        return CalibratedRate(
            rate, *(float(np.clip(t, -1, 1)) for t in (chosen, low - misfit, high + misfit))
        )

    def share_above(self, similarity: float) -> float:
        """The share of different people who are at least so similar: (0..1), as it was seen."""
        return _share_above(self._whole, similarity)

    def density(self, grid: NDArray[np.float64], people_pairs: int) -> NDArray[np.float64]:
        """How dense the scores lie at the similarities of a grid: (g,) to (g,)."""
        return density(_MIDDLES, grid, self._whole, people_pairs)

    def _rarest_measured(self) -> float | None:
        """The rarest of the rates that enough pairs of people reach, and whose relative error is small enough."""
        measured = None
        for rate in _RATES[_RATES * self._pairs >= ENOUGH]:
            similarity = _quantiles(self._whole, np.array([rate]))[0]
            shares = np.array([_share_above(histogram, similarity) for histogram in self._drawn])
            if not shares.std(ddof=1) <= MOST_ERROR * rate:
                break
            measured = float(rate)
        return measured if measured is not None and measured <= LEAST_MEASURED else None


def robust_tail(scores: Scores, rate: float) -> float:
    """The similarity that a share `rate` would reach if all scores were as normal as their middle half.

    What a few per cent of wrong pairs add at the top moves median and quartiles little (Huber 1981, "Robust
    Statistics", section 5.1).
    """
    upper, middle, lower = _quantiles(scores.histogram(), np.array([0.25, 0.5, 0.75]))
    return float(middle + (upper - lower) / (2 * _deviation(0.25)) * _deviation(rate))


def density(
    values: NDArray[np.float64],
    grid: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
    effective: float | None = None,
) -> NDArray[np.float64]:
    """A Gaussian kernel density of values (n,) with weights (n,) at the points of a grid: (g,).

    The kernel's width is Scott's rule (Scott 1992, "Multivariate Density Estimation"): the spread times n ** (-1/5).
    effective: what n is taken to be; without it Kish's size of the weights, as scipy.stats.gaussian_kde has it.
    """
    shares = np.full(len(values), 1 / len(values)) if weights is None else weights / weights.sum()
    used = shares > 0
    values, shares = values[used], shares[used]
    kish = 1 / float((shares**2).sum())
    middle = float(shares @ values)
    variance = float(shares @ (values - middle) ** 2) / (1 - 1 / kish) if kish > 1 else 0.0
    width = max(variance**0.5 * (effective or kish) ** -0.2, 1e-4)  # equal values still are somewhere
    kernels = np.exp(-(((grid[:, None] - values) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
    return np.asarray(kernels @ shares)


def _drawn_anew(scores: Scores, rng: np.random.Generator, times: int) -> list[NDArray[np.float64]]:
    """Histograms of the scores, each with another weight for every person; a pair weighs the product of its two."""
    names = np.unique(np.concatenate([scores.first, scores.second]))
    first, second = np.searchsorted(names, scores.first), np.searchsorted(names, scores.second)
    found = []
    for _ in range(times):
        drawn = rng.gamma(1 / SPREAD, SPREAD, len(names))
        # look-alikes who were taken for one have one weight
        weights = np.where(first == second, drawn[first], drawn[first] * drawn[second])
        found.append(scores.histogram(weights))
    return found


def _quantile(histogram: NDArray[np.float64], rate: float, measured: float) -> float:
    if rate >= measured:
        return float(_quantiles(histogram, np.array([rate]))[0])
    start = _quantiles(histogram, np.array([measured]))[0]
    return float(start + _slope(histogram, measured) * (_deviation(rate) - _deviation(measured)))


def _slope(histogram: NDArray[np.float64], measured: float) -> float:
    """Similarity for one standard deviation, by least squares through the rates from a half to the measured one."""
    rates = _RATES[measured <= _RATES]
    deviations = np.array([_deviation(rate) for rate in rates])
    similarities = _quantiles(histogram, rates)
    centred = deviations - deviations.mean()
    return float(centred @ similarities / (centred @ centred))


def _deviation(rate: float) -> float:
    """How many standard deviations above the mean a normal variable exceeds with this probability."""
    return -_NORMAL.inv_cdf(float(rate))


def _quantiles(histogram: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """The similarities that these shares reach, linear inside a bin."""
    return np.asarray(np.interp(-rates, -_shares_above(histogram), _EDGES))


def _share_above(histogram: NDArray[np.float64], similarity: float) -> float:
    return float(np.interp(similarity, _EDGES, _shares_above(histogram)))


def _shares_above(histogram: NDArray[np.float64]) -> NDArray[np.float64]:
    """What share lies above every edge of the bins: (b + 1,), falling."""
    above = np.concatenate([np.cumsum(histogram[::-1])[::-1], [0.0]])
    return np.asarray(above / above[0])
