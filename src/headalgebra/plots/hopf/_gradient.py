"""Whether a layer's update goes down the gradient of the loss."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy import stats

from headalgebra.plots._axes import layer_axis
from headalgebra.plots._panels import legend_below, reason_alone, title_model, title_panel
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
    nothing_to_draw,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns

CONFIDENCE = 0.95

COSINE, CHANGE = "gradient_cosine", "gradient_first_order"
"""Rows of panels from the top."""

MEAN_LOOK: dict[str, Any] = {"marker": "o", "markeredgecolor": INK, "zorder": 3}
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
        Columns ``model``, ``kind`` and ``sequences``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these whose means are drawn in the same panels.

    Raises
    ------
    ValueError
        When a table lacks a column.
    """
    require_columns(convolution, "convolution", ("model", "layer", "quantity", "value", "null"))
    require_columns(runs, "runs", ("model", "kind", "sequences"))
    chosen = convolution[convolution["quantity"].str.startswith("gradient_")]
    shown = models_with_rows(
        chosen,
        runs,
        initialisations=initialisations,
        otherwise="no next token, so no loss",
    )
    if not shown.beside:
        return reason_alone(style.width_inches, nothing_to_draw(shown, "no gradient to draw"))
    sequences = dict(zip(runs["model"].astype(str), numbers(runs["sequences"]), strict=True))
    colours = style.model_colours(runs)
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.4, 1.2))
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        layers = _by_layer(shown.rows[model])
        face = {"markerfacecolor": "white"} if model in initialised else {}
        look = {"color": colours[model]} | MEAN_LOOK | face
        _draw_chance(panels[0], layers)
        for axes, quantity in zip(panels, (COSINE, CHANGE), strict=True):
            axes.axhline(0, **ZERO_LINE)
            layer_axis(axes, numbers(layers["layer"]))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
            if initial is not None:
                beside = _by_layer(shown.rows[initial])
                axes.plot(numbers(beside["layer"]), numbers(beside[quantity]), **BESIDE_LOOK)
            _draw_mean(axes, layers, quantity, sequences[model], look)
        title_model(panels[0], model, style, initialised, {"no cosines": numbers(layers[COSINE])})
        title_panel(panels[1], "", {"no change of the loss": numbers(layers[CHANGE])})
    label_columns(
        columns,
        x="layer",
        y=("cosine", "change, nats"),
    )
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label="mean and 95 % interval", **MEAN_LOOK),
            *(
                [Line2D([], [], label="the architecture at initialisation", **BESIDE_LOOK)]
                if any(shown.beside.values())
                else []
            ),
            Patch(label="a token with another token's update, ± one sd", **CHANCE_LOOK),
        ],
        shown.note,
    )
    return figure


def _by_layer(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each layer, a column for each quantity, and the mean by chance."""
    by_layer = rows.pivot(index="layer", columns="quantity", values="value")
    chance = rows[rows["quantity"] == COSINE].set_index("layer")["null"]
    names = [f"{quantity}{end}" for quantity in (COSINE, CHANGE) for end in ("", "_se")]
    by_layer = by_layer.reindex(columns=[*names, f"{COSINE}_chance_sd"])
    return by_layer.assign(chance=chance).reset_index().sort_values("layer")


def _draw_chance(axes: Axes, layers: pd.DataFrame) -> None:
    layer, mean, spread = (
        numbers(layers[name]) for name in ("layer", "chance", f"{COSINE}_chance_sd")
    )
    axes.fill_between(layer, mean - spread, mean + spread, **CHANCE_LOOK)
    # A band needs neighbours; bars show the spread of a layer that stands alone too.
    axes.vlines(layer, mean - spread, mean + spread, color="0.6", linewidth=0.6, zorder=1.2)


def _draw_mean(
    axes: Axes, layers: pd.DataFrame, quantity: str, sequences: float, look: dict[str, Any]
) -> None:
    layer, mean, error = (numbers(layers[name]) for name in ("layer", quantity, f"{quantity}_se"))
    half = error * stats.t.ppf((1 + CONFIDENCE) / 2, max(sequences - 1, 1))
    axes.vlines(layer, mean - half, mean + half, color=look["color"], linewidth=0.9, zorder=2.9)
    axes.plot(layer, mean, **look)
