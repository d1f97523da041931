"""Statistics that several claims rest on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from headalgebra.claims.finding import Evidence
from headalgebra.seeds import layer_seed

CONFIDENCE = 0.95
"""Level of every interval in the tables."""

PERMUTATIONS = 9_999
"""Orders that a rank correlation is held against, or all of them where there are no more."""

Values = NDArray[np.float64]


def numbers(column: pd.Series) -> Values:
    """A column as float64, missing entries as NaN."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def inside(values: Values, interval: tuple[float, float]) -> NDArray[np.bool_]:
    """Which values lie in an interval, ends included; above its start where it has no end."""
    low, high = interval
    return values > low if math.isinf(high) else (values >= low) & (values <= high)


def share(on: str, statistic: str, k: int, n: int) -> Evidence:
    """k of n, with the interval of Clopper and Pearson."""
    interval = stats.binomtest(k, n).proportion_ci(CONFIDENCE)
    return Evidence(
        on=on, statistic=statistic, value=k / n, low=interval.low, high=interval.high, n=n
    )


@dataclass(frozen=True)
class RankCorrelation:
    """How far one quantity grows with another.

    Attributes
    ----------
    rho
        Spearman's ρ; not a number where either is constant, or there are fewer than two pairs.
    p_value
        Share of all orders of the one in which ρ would be as large or larger; not a number where ρ
        is none. Of n different numbers none is below 1/n!.
    n
        Pairs of which both numbers exist.
    """

    rho: float
    p_value: float
    n: int


def rank_correlation(x: Values, y: Values, seed: int) -> RankCorrelation:
    """Spearman's ρ of two quantities where both exist, with its one-sided permutation test.

    Where there are more than :data:`PERMUTATIONS` orders, so many are drawn from the seed, and the
    p-value counts the order at hand among them.
    """
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    n = len(x)
    if n < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return RankCorrelation(math.nan, math.nan, n)
    ranks, against = (stats.rankdata(values) - (n + 1) / 2 for values in (x, y))

    # Of halves, so that sums are exact, and of orders that are as far apart none seems further.
    def overlap(permuted: Values, axis: int) -> Values:
        return np.asarray(np.sum(permuted * against, axis=axis))

    test = stats.permutation_test(
        (ranks,),
        overlap,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        alternative="greater",
        rng=np.random.default_rng(layer_seed(seed, "rank_permutations", 0)),
    )
    rho = float(test.statistic) / math.sqrt(float(ranks @ ranks) * float(against @ against))
    return RankCorrelation(rho, float(test.pvalue), n)


RESAMPLES = 9_999
"""Of a bootstrap interval."""


def bootstrap_interval(
    samples: Sequence[Values],
    statistic: Callable[..., Values],
    seed: int,
    *,
    paired: bool = False,
) -> tuple[float, float]:
    """The percentile interval of a statistic of several samples, each drawn again.

    Parameters
    ----------
    statistic
        Takes the samples, and ``axis``, along which they are.
    paired
        Whether the samples are of the same things, which are then drawn together.
    """
    interval = stats.bootstrap(
        tuple(samples),
        statistic,
        n_resamples=RESAMPLES,
        paired=paired,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(layer_seed(seed, "claims_bootstrap", 0)),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def classical(epsilon: pd.Series, relative: pd.Series, up_to: float) -> pd.Series:
    """Layers whose heads commute: ε is zero, or ε̂, free of the scale of the weights, rounding."""
    return (epsilon == 0) | (relative <= up_to)


def listed(names: list[str], at_most: int = 4) -> str:
    """Names, those beyond a few only counted."""
    more = len(names) - at_most
    return ", ".join(names[:at_most]) + (f" and {more} more" if more > 0 else "")
