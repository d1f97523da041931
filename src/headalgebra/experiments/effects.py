"""An effect over runs: how large it is, how sure that is, and how small it could have been seen."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

CONFIDENCE = 0.95
"""Level of every interval; a test at the level of the rest agrees with it."""

POWER = 0.8
"""Share of cases in which a detectable effect is found."""

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What is held against a bound; what does not exist is not a number.

    Attributes
    ----------
    value
        The effect.
    low, high
        Ends of its 95 % interval.
    p
        Two-sided, of the effect being at the bound.
    n
        Runs, or pairs of runs, behind it.
    detectable
        Least distance from the bound at which so many runs, spread as these are, would find the
        effect beside the bound in 80 % of cases, tested two-sidedly at 5 %.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n: int
    detectable: float = math.nan


def mean_effect(values: ArrayLike, bound: float | None) -> Effect:
    """The mean over runs, with Student's interval and test.

    One run has no interval and no test. Runs that all give the same number have what Student's
    formulas tend to as the spread vanishes: an interval without width, p = 0 or, at the bound, 1.

    Parameters
    ----------
    values
        A number for each run or pair of runs, shape (n,).
    bound
        What the mean is held against; None leaves out ``p`` and ``detectable``.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    x = np.asarray(values, dtype=np.float64).reshape(-1)
    if not np.isfinite(x).all():
        raise ValueError("a run's number is not finite: leave the run out and count it")
    n = len(x)
    if n == 0:
        return Effect(n=0)
    # Rounding makes the mean of equal numbers another number, and their spread not zero.
    alike = bool(np.ptp(x) == 0)
    mean, sd = (float(x[0]), 0.0) if alike else (float(x.mean()), float(x.std(ddof=min(1, n - 1))))
    if n == 1:
        return Effect(value=mean, n=1)
    error = sd / math.sqrt(n)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    p = detectable = math.nan
    if bound is not None:
        p = float(mean == bound) if error == 0 else _two_sided(mean - bound, error, n)
        detectable = detectable_distance(sd, n)
    return Effect(value=mean, low=mean - half, high=mean + half, p=p, n=n, detectable=detectable)


def _two_sided(distance: float, error: float, n: int) -> float:
    return float(2 * stats.t.sf(abs(distance) / error, n - 1))


def detectable_distance(
    sd: float, n: int, *, power: float = POWER, level: float = 1 - CONFIDENCE
) -> float:
    """How far from the bound a mean must lie for Student's two-sided test to find it there.

    Parameters
    ----------
    sd
        Standard deviation of the numbers whose mean is taken.
    n
        How many they are.
    power
        Share of cases in which it is to be found.
    level
        Of the test.

    Returns
    -------
    float
        In units of ``sd``'s; not a number for fewer than two.

    Raises
    ------
    ValueError
        If the power is not between the level and 1.
    """
    if not 0 < level < power < 1:
        raise ValueError(f"power {power} at level {level}: they must rise from 0 to 1")
    if n < 2:
        return math.nan
    critical = float(stats.t.ppf(1 - level / 2, n - 1))

    # An effect that is found on the wrong side is none that is found; and scipy's noncentral t
    # is not a number in tails so thin.
    def excess(shift: float) -> float:
        return float(stats.nct.sf(critical, n - 1, shift)) - power

    far = critical + 1
    while excess(far) < 0:
        far *= 2
    return float(optimize.brentq(excess, 0, far)) * sd / math.sqrt(n)
