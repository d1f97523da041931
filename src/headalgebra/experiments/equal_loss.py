"""A quantity of two trainings where they had the same loss."""

import math

import pandas as pd

from headalgebra.experiments.outcomes import LeftOut, Outcomes


def at_loss(curve: pd.DataFrame, loss: float) -> float:
    """A quantity where the validation loss came down to some value for good.

    A loss may pass a value several times. The last time counts, after which it is never above it
    again: at the last checkpoint whose loss is not below the value, or between it and the next,
    linearly in the loss.

    Parameters
    ----------
    curve
        Columns ``value`` and ``loss`` by rising step, all finite.
    loss
        The value.

    Raises
    ------
    LeftOut
        If the loss was never so high, or is higher in the end.
    """
    before = (curve["loss"] >= loss).to_numpy().nonzero()[0]
    if not len(before):
        raise LeftOut("the arm's final loss is above all of the placebo's")
    high = curve.iloc[before[-1]]
    if high["loss"] == loss:
        return float(high["value"])
    if before[-1] == len(curve) - 1:
        raise LeftOut("the arm's final loss is below the placebo's")
    low = curve.iloc[before[-1] + 1]
    way = (high["loss"] - loss) / (high["loss"] - low["loss"])
    return float((1 - way) * high["value"] + way * low["value"])


def beyond_placebo(
    outcomes: Outcomes, arm: str, placebo: str, seed: int, quantity: str
) -> tuple[float, float]:
    """A quantity of an arm at its last checkpoint, and that less the placebo's at the same loss.

    Raises
    ------
    LeftOut
        If the arm has no value or no loss there, or the placebo's loss did not come down to it.
    """
    end = outcomes.curve(arm, seed, quantity).iloc[-1]
    for number, name in ((end["value"], quantity), (end["loss"], "validation_loss")):
        if not math.isfinite(number):
            raise LeftOut(f"{name} has no value at the last checkpoint")
    curve = outcomes.curve(placebo, seed, quantity)
    finite = curve[curve.map(math.isfinite).all(axis=1)]
    return float(end["value"]), float(end["value"]) - at_loss(finite, float(end["loss"]))
