"""How much of a layer is more than chance, by depth."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import (
    EDGE_KEY,
    SPREAD_KEY,
    draw_spread,
    layer_axis,
    log_axis,
    log_limits,
    longer,
    plot_positive,
    zero_legend,
)
from headalgebra.plots._panels import (
    label_outside,
    legend_below,
    model_panels,
    title_model,
    with_numbers,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

QUANTITIES = ("epsilon", "closure_isotropy", "rho3")
"""Of the table of layers, and among those that the nulls draw."""

APART = 0.22
"""Of the distance of two layers, that between the points of two quantities."""

MARKER = 3.2
"""Points, what hides an interval that is no longer."""

EPSILON_LOOK: dict[str, Any] = {"marker": "o", "markeredgecolor": INK, "zorder": 3}
CLOSURE_LOOK: dict[str, Any] = {"marker": "^", "linestyle": (0, (1, 1)), "zorder": 2.7}
RHO3_LOOK: dict[str, Any] = {
    "marker": "s",
    "markerfacecolor": "white",
    "linestyle": (0, (3.5, 1.5)),
    "zorder": 2.5,
}
LOOKS = {
    "epsilon": ("ε", EPSILON_LOOK),
    "closure_isotropy": (r"$(1-χ)\,d^2/n$", CLOSURE_LOOK),
    "rho3": (r"$ρ_3$", RHO3_LOOK),
}
ENDS = ("ratio", "low", "high")
CHANCE_LOOK: dict[str, Any] = {"color": INK, "linestyle": ":", "linewidth": 0.9, "zorder": 1.5}


@paper_style()
def ratios_to_chance(
    layers: pd.DataFrame,
    nulls: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
) -> Figure:
    """ε, closure and ρ₃ over their means in the pooled null, by layer, all on one log scale.

    A bar runs from the value over the null's quantile 0.975 to the value over its quantile 0.025:
    it leaves 1 where the value leaves 95 % of the draws.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``epsilon``, ``closure_isotropy`` and ``rho3``; missing
        numbers are gaps.
    nulls
        Columns ``model``, ``layer``, ``quantity``, ``null``, ``mean``, ``low`` and ``high``.
    style
        How it looks.
    initialised
        Models that were never trained, as their titles say.

    Raises
    ------
    NothingToShow
        When no layer has a number to compare.
    ValueError
        When the table of layers has no rows or a table lacks a column.
    """
    require_columns(layers, "layers", ("model", "layer", *QUANTITIES))
    require_columns(nulls, "nulls", ("model", "layer", "quantity", "null", "mean", "low", "high"))
    pooled = nulls[nulls["null"] == "pooled"].astype({"model": str})
    every = pd.concat(
        [
            _ratios(layers, pooled[pooled["quantity"] == quantity], quantity)
            for quantity in QUANTITIES
        ],
        axis=1,
    )
    models, note = with_numbers(
        rows_by_model(layers[["model", "layer"]].join(every), "layers"),
        [f"{quantity}_ratio" for quantity in QUANTITIES],
        style,
        otherwise="nothing to compare with the pooled null",
    )
    colours = style.model_colours(layers)
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.6)
    limits = log_limits(*(numbers(every[column]) for column in every), [1.0])
    bars = edges = False
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        layer = numbers(rows["layer"])
        log_axis(axes.yaxis, limits)
        layer_axis(axes, layer)
        axes.axhline(1, **CHANCE_LOOK)
        for place, (quantity, (_, look)) in enumerate(LOOKS.items()):
            at = layer + (place - 1) * APART
            ratio = numbers(rows[f"{quantity}_ratio"])
            low, high = (rows[f"{quantity}_{end}"].to_numpy() for end in ENDS[1:])
            bars |= longer(axes, low, high, MARKER)
            edges |= draw_spread(axes, at, low, high, colour=colours[model], zorder=2.4)
            plot_positive(axes, at, ratio, color=colours[model], **look)
        title_model(
            *(axes, model, style, initialised),
            {
                "no ε: it needs two heads": numbers(rows["epsilon_ratio"]),
                "no ρ₃: it needs three basis elements": numbers(rows["rho3_ratio"]),
                "": numbers(rows["closure_isotropy_ratio"]),
            },
        )
    label_outside(panels, x="layer", y="measured / pooled null")
    legend_below(
        figure,
        [
            *(Line2D([], [], color="0.5", label=name, **look) for name, look in LOOKS.values()),
            Line2D([], [], label="chance", **CHANCE_LOOK),
            *([Line2D([], [], label="over 95 % of the draws", **SPREAD_KEY)] if bars else []),
            *([Line2D([], [], **EDGE_KEY)] if edges else []),
            *zero_legend(*(every[f"{quantity}_ratio"] for quantity in QUANTITIES)),
        ],
        note,
    )
    return figure


def _ratios(layers: pd.DataFrame, chance: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Each layer's value over the mean of the draws, and over the ends of their interval."""
    place = layers[["model", "layer"]].astype({"model": str})
    found = place.merge(chance[["model", "layer", "mean", "low", "high"]], how="left")
    value = numbers(layers[quantity])
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [value / numbers(found[name]) for name in ("mean", "high", "low")]
    names = [f"{quantity}_{end}" for end in ENDS]
    return pd.DataFrame(dict(zip(names, ends, strict=True)), index=layers.index)
