"""Rows of the table `geometry` as figures take them: those of a quantity, by layer or by norm."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from headalgebra.plots._axes import plot_positive
from headalgebra.plots._style import INK
from headalgebra.plots._tables import Values, numbers

COLUMNS = ("model", "layer", "norm", "head", "quantity", "value", "null", "note")

MEAN_LOOK: dict[str, Any] = {"marker": "o", "markeredgecolor": INK, "zorder": 3}
"""Of a model's own line, in its colour."""

HEADS_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "marker": ".",
    "markersize": 3.5,
    "alpha": 0.6,
    "zorder": 2.4,
}
LATER_LOOK: dict[str, Any] = {"linestyle": ":", "marker": ".", "linewidth": 0.9, "zorder": 2.8}
NULL_LOOK: dict[str, Any] = {"color": INK, "linestyle": ":", "marker": "_", "zorder": 2.5}
BOUND_LOOK: dict[str, Any] = {"color": "0.55", "linewidth": 0.5, "zorder": 1}


def model_look(colour: object, model: str, initialised: Collection[str]) -> dict[str, Any]:
    """How a model's own line looks; one that was never trained has open markers."""
    face = {"markerfacecolor": "white"} if model in initialised else {}
    return {"color": colour, **MEAN_LOOK, **face}


def of_quantity(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The rows of one quantity by depth; those of a layer in their order."""
    return rows[rows["quantity"] == quantity].sort_values("layer", kind="stable")


def values_of(rows: pd.DataFrame, column: str = "value") -> Values:
    """A column, or one NaN where there are no rows."""
    values = numbers(rows[column])
    return values if len(values) else np.full(1, np.nan)


def missing(rows: pd.DataFrame, otherwise: str) -> dict[str, Values]:
    """The values by why there may be none: what all their notes say, or else a reason."""
    notes = set(rows["note"].fillna("").astype(str)) - {""}
    values = values_of(rows)
    said = notes.pop() if len(notes) == 1 and np.isnan(values).all() else otherwise
    return {said: values}


def by_norm(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column ``place``: norms of a layer stand about it, evenly, in their order."""
    rows = rows.assign(norm=rows["norm"].fillna("").astype(str))
    norms = rows[["layer", "norm"]].drop_duplicates()
    of_layer = norms.groupby("layer")["norm"]
    aside = (of_layer.cumcount() + 0.5) / of_layer.transform("size") - 0.5
    return rows.merge(norms.assign(place=norms["layer"] + aside), on=["layer", "norm"])


def of_stream(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of norms of whole states, which alone have a first token to leave out."""
    named = rows.assign(norm=rows["norm"].fillna("").astype(str))
    whole = named[named["quantity"] == "size_variation_without_first"]
    places = pd.MultiIndex.from_frame(whole[["layer", "norm"]])
    return rows[pd.MultiIndex.from_frame(named[["layer", "norm"]]).isin(places)]


def draw_heads(axes: Axes, rows: pd.DataFrame, colour: object) -> None:
    """A point for every head."""
    axes.plot(numbers(rows["layer"]), numbers(rows["value"]), color=colour, **HEADS_LOOK)


def draw_median(
    axes: Axes, rows: pd.DataFrame, look: dict[str, Any], column: str = "value"
) -> None:
    """The median over the heads of each layer."""
    medians = rows.groupby("layer")[column].median().reset_index()
    plot_positive(axes, numbers(medians["layer"]), numbers(medians[column]), **look)


def floored(values: Values, floor: float) -> Values:
    """The values, with 0, which is marked on the lower edge, for those that are smaller."""
    return np.where(values < floor, 0.0, values)
