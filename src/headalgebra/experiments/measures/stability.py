"""Whether layers that are better conditioned train with steadier gradients (000, section 5)."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from headalgebra.experiments.measures.measure import Value, spearman
from headalgebra.experiments.measures.weights import course_of_weights, weight_values
from headalgebra.experiments.run import Run

LEAST_STEPS = 8
"""Of an interval between two checkpoints, for a standard deviation over its steps."""

Interval = tuple[int, int]
"""The steps after the first number, up to the second."""


def gradient_stability(run: Run) -> list[Value]:
    """Whether the unsteadiness of a layer's gradients moves with the conditioning of its heads.

    An interval reaches from a checkpoint to the next, if that is at least :data:`LEAST_STEPS` steps
    later. Its unsteadiness is the standard deviation, over its steps, of the logarithm of the norm
    of the gradient of the layer's query-key weights. Its κ is that halfway: the mean of log κ at
    both of its ends, neither before nor after the gradients that it is held against. Of both the
    differences from one interval to the next that follows on it are taken, since levels of a
    training are trends that correlate with anything, and each layer's mean is taken off.

    ``gradient_stability`` is Spearman's ρ of the two over all layers and intervals: positive where
    gradients become less steady as heads become worse conditioned. ``gradient_stability_rho3`` and
    ``gradient_stability_obstruction`` have ρ₃ and the obstruction in the place of log κ. The
    quantities of :data:`~headalgebra.experiments.measures.weights.WEIGHTS` are given besides, as
    :func:`~headalgebra.experiments.measures.course.training_course` gives them.
    """
    course = course_of_weights(run)
    intervals = long_intervals(run.checkpoints)
    unsteady = unsteadiness(run.metrics, intervals, layers=len(course[run.last]))

    def correlation(quantity: str, scale: np.ufunc | None = None) -> float:
        values = np.array([[it[quantity] for it in layers] for layers in course.values()]).T
        of_intervals = halfway(scale(values) if scale else values, run.checkpoints, intervals)
        return moving_together(of_intervals, unsteady, following(intervals))

    return [
        Value.of("gradient_stability", correlation("kappa", np.log)),
        Value.of("gradient_stability_rho3", correlation("rho3")),
        Value.of("gradient_stability_obstruction", correlation("obstruction")),
        *weight_values(course),
    ]


def long_intervals(checkpoints: Sequence[int]) -> list[Interval]:
    """Those between checkpoints that are at least :data:`LEAST_STEPS` steps apart."""
    return [(start, end) for start, end in pairwise(checkpoints) if end - start >= LEAST_STEPS]


def following(intervals: Sequence[Interval]) -> Bool[np.ndarray, " differences"]:
    """Of each interval and the next, whether the one begins where the other ends."""
    return np.array([one[1] == other[0] for one, other in pairwise(intervals)], dtype=bool)


def unsteadiness(
    metrics: pd.DataFrame, intervals: Sequence[Interval], *, layers: int
) -> Float64[np.ndarray, "layers intervals"]:
    """Standard deviation of the log gradient norm of query-key weights over each interval's steps.

    Parameters
    ----------
    metrics
        As in :attr:`headalgebra.experiments.run.Run.metrics`.
    intervals
        Steps.
    layers
        L.
    """
    step = metrics["step"].to_numpy()
    norms = metrics[[f"gradient_query_key_{layer}" for layer in range(layers)]]
    # A gradient of 0 has no logarithm, nor has its interval a standard deviation then.
    logs = np.log(norms.where(norms > 0).to_numpy())
    found = [logs[(step > start) & (step <= end)].std(0, ddof=1) for start, end in intervals]
    return np.array(found, dtype=np.float64).reshape(-1, layers).T


def moving_together(
    values: Float64[np.ndarray, "layers intervals"],
    others: Float64[np.ndarray, "layers intervals"],
    follows: Bool[np.ndarray, " differences"],
) -> float:
    """Spearman's ρ of the differences from one interval to the next, less each layer's mean.

    Differences of which one of the two does not exist are left out. Not a number for fewer than
    three.
    """
    of_values, of_others = (np.diff(it, axis=1)[:, follows] for it in (values, others))
    left, right = [], []
    for x, y in zip(of_values, of_others, strict=True):
        both = np.isfinite(x) & np.isfinite(y)
        if both.any():
            left.append(x[both] - x[both].mean())
            right.append(y[both] - y[both].mean())
    if not left:
        return float("nan")
    return spearman(np.concatenate(left), np.concatenate(right))


def halfway(
    values: Float64[np.ndarray, "layers checkpoints"],
    checkpoints: Sequence[int],
    intervals: Sequence[Interval],
) -> Float64[np.ndarray, "layers intervals"]:
    """Of each interval, the mean at both of its ends."""
    ends = [[checkpoints.index(step) for step in interval] for interval in intervals]
    first, last = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    return (values[:, first] + values[:, last]) / 2
