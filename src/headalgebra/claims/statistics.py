"""Statistics that several claims rest on."""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from headalgebra.claims.finding import Evidence

CONFIDENCE = 0.95
"""Level of every interval in the tables."""

FEWEST_LAYERS = 3
"""Fewer than three points always lie in order, forwards or backwards."""

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


def spearman(x: Values, y: Values) -> float:
    """Rank correlation where both exist; not a number for a constant or fewer than three pairs."""
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < FEWEST_LAYERS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(stats.spearmanr(x, y).statistic)
