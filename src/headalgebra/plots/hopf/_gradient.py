"""Whether a layer's update goes down the gradient of the loss."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy import stats

from headalgebra.plots._axes import layer_axis, longer, symlog_axis
from headalgebra.plots._panels import legend_below, title_model, title_panel
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns

CONFIDENCE = 0.95

COSINE, CHANGE = "gradient_cosine", "gradient_first_order"
"""Rows of panels from the top."""

LINEAR_TO = 10.0
"""Nats that a linear scale of the change reaches; a longer one is logarithmic beyond 1."""

MARKER = 3.2
"""Points, what hides an interval that is no longer."""

MEAN_LOOK: dict[str, Any] = {
    "marker": "o",
    "markersize": MARKER,
    "markeredgecolor": INK,
    "zorder": 3,
}
CHANCE_LOOK: dict[str, Any] = {"color": "0.5", "alpha": 0.2, "linewidth": 0, "zorder": 1}
ZERO_LINE: dict[str, Any] = {"color": "0.55", "linewidth": 0.5, "zorder": 1.5}


@paper_style()
def gradient_by_layer(
    convolution: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
) -> Figure:
    """Cosine of each layer's update with the loss's descent, and the loss's first-order change.

    Means over tokens, with 95 % intervals from the spread between sequences; the band is one
    standard deviation of the cosine of single tokens with the update of another token.

    Parameters
    ----------
    convolution
        Columns ``model``, ``layer``, ``quantity``, ``value`` and ``null``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these whose means are drawn in the same panels.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(convolution, "convolution", ("model", "layer", "quantity", "value", "null"))
    require_columns(runs, "runs", ("model", "kind"))
    chosen = convolution[convolution["quantity"].str.startswith("gradient_")]
    shown = models_with_rows(
        chosen,
        runs,
        initialisations=initialisations,
        otherwise="no next token, so no loss",
        nothing="no gradient to draw",
    )
    colours = style.model_colours(runs)
    layers_of = {model: _by_layer(rows) for model, rows in shown.rows.items()}
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.4, 1.2))
    limits = {
        quantity: _limits([layers_of[model] for model in shown.beside], quantity)
        for quantity in (COSINE, CHANGE)
    }
    intervals = False
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        layers = layers_of[model]
        face = {"markerfacecolor": "white"} if model in initialised else {}
        look = {"color": colours[model]} | MEAN_LOOK | face
        _draw_chance(panels[0], layers)
        for axes, quantity in zip(panels, (COSINE, CHANGE), strict=True):
            axes.axhline(0, **ZERO_LINE)
            layer_axis(axes, numbers(layers["layer"]))
            if quantity == CHANGE and limits[CHANGE][1] > LINEAR_TO:
                symlog_axis(axes.yaxis, 1)
            else:
                axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
            axes.set_ylim(*limits[quantity])
            if initial is not None:
                beside = layers_of[initial]
                axes.plot(numbers(beside["layer"]), numbers(beside[quantity]), **BESIDE_LOOK)
            intervals |= _draw_mean(axes, layers, quantity, look)
        title_model(panels[0], model, style, initialised, {"no cosines": numbers(layers[COSINE])})
        title_panel(panels[1], "", {"no change of the loss": numbers(layers[CHANGE])})
    note = label_columns(columns, x="layer", y=("cosine", "change, nats"), note=shown.note)
    legend_below(
        figure,
        [
            Line2D(
                [],
                [],
                color="0.5",
                label="mean and 95 % interval" if intervals else "mean",
                **MEAN_LOOK,
            ),
            *shown.beside_entries(),
            Patch(label="a token with another token's update, ± one sd", **CHANCE_LOOK),
        ],
        note,
    )
    return figure


def _by_layer(rows: pd.DataFrame) -> pd.DataFrame:
    """By layer both means with half the widths of their intervals, and the cosine by chance."""
    table = rows.pivot(index="layer", columns="quantity", values="value")
    names = [f"{quantity}{end}" for quantity in (COSINE, CHANGE) for end in ("", "_se")]
    table = table.reindex(columns=[*names, f"{COSINE}_chance_sd", "gradient_sequences"])
    t = stats.t.ppf((1 + CONFIDENCE) / 2, table["gradient_sequences"] - 1)
    chance = rows[rows["quantity"] == COSINE].set_index("layer")["null"]
    return table.assign(
        chance=chance,
        **{f"{quantity}_half": t * table[f"{quantity}_se"] for quantity in (COSINE, CHANGE)},
    ).reset_index()


def _limits(tables: list[pd.DataFrame], quantity: str) -> tuple[float, float]:
    """Ends of a symmetric axis with all means, their intervals and the band of chance inside."""
    reaches = [0.0]
    for table in tables:
        mean, half = numbers(table[quantity]), numbers(table[f"{quantity}_half"])
        reaches += [*(abs(mean) + np.nan_to_num(half))]
        if quantity == COSINE:
            reaches += [*(abs(numbers(table["chance"])) + numbers(table[f"{COSINE}_chance_sd"]))]
    reach = 1.1 * float(np.nanmax(reaches)) or 1.0
    return -reach, reach


def _draw_chance(axes: Axes, layers: pd.DataFrame) -> None:
    layer, mean, spread = (
        numbers(layers[name]) for name in ("layer", "chance", f"{COSINE}_chance_sd")
    )
    axes.fill_between(layer, mean - spread, mean + spread, **CHANCE_LOOK)
    # A band needs neighbours; bars show the spread of a layer that stands alone too.
    axes.vlines(layer, mean - spread, mean + spread, color="0.6", linewidth=0.6, zorder=1.2)


def _draw_mean(axes: Axes, layers: pd.DataFrame, quantity: str, look: dict[str, Any]) -> bool:
    """The means of a quantity; whether their intervals can be seen beside the markers."""
    layer, mean, half = (numbers(layers[name]) for name in ("layer", quantity, f"{quantity}_half"))
    axes.vlines(layer, mean - half, mean + half, color=look["color"], linewidth=0.9, zorder=2.9)
    axes.plot(layer, mean, **look)
    return longer(axes, mean - half, mean + half, MARKER)
