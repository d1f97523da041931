"""What a measure is, and what it gives."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from headalgebra.experiments.run import Run


@dataclass(frozen=True)
class Value:
    """One number of a run.

    Attributes
    ----------
    step
        Of the checkpoint that it is of; None is the run as a whole, or its end.
    layer
        From 0; None is all layers.
    quantity
        Its name.
    value
        Finite; None where it does not exist.

    Raises
    ------
    ValueError
        If the value is not finite.
    """

    step: int | None
    layer: int | None
    quantity: str
    value: float | None

    def __post_init__(self) -> None:
        """Refuse what is no number."""
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.quantity}: {self.value} is no number; leave it empty")

    @classmethod
    def of(
        cls,
        quantity: str,
        value: float | None,
        *,
        step: int | None = None,
        layer: int | None = None,
    ) -> "Value":
        """A value, empty where the number is not finite."""
        exists = value is not None and math.isfinite(value)
        return cls(step, layer, quantity, value if exists else None)


@dataclass(frozen=True)
class Measure:
    """What can be measured of a run: called with one, it gives values.

    Attributes
    ----------
    of_run
        Takes a run that did not diverge.
    quantities
        Names of all that it gives.
    """

    of_run: Callable[[Run], Sequence[Value]]
    quantities: tuple[str, ...]

    def __call__(self, run: Run) -> list[Value]:
        """The values; of a run that diverged every quantity once, empty.

        What is left of such a run is of before its divergence, and its checkpoints end early.
        """
        if run.trained.diverged is not None:
            return [Value(None, None, quantity, None) for quantity in self.quantities]
        return list(self.of_run(run))


def spearman(x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]) -> float:
    """Spearman's ρ of the pairs of which both numbers are finite.

    Not a number for fewer than three, or where either is constant.
    """
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(stats.spearmanr(x, y).statistic)
