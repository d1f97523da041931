"""How much of a layer is more than chance, by depth."""

from collections.abc import Collection
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import layer_axis, log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import label_outside, legend_below, model_panels, title_model
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

QUANTITIES = ("epsilon", "closure_isotropy", "rho3")
"""Of the table of layers, and among those that the nulls draw."""

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

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``epsilon``, ``closure_isotropy`` and ``rho3``; missing
        numbers are gaps.
    nulls
        Columns ``model``, ``layer``, ``quantity``, ``null`` and ``mean``.
    style
        How it looks.
    initialised
        Models that were never trained, as their titles say.

    Raises
    ------
    ValueError
        When the table of layers has no rows or a table lacks a column.
    """
    require_columns(layers, "layers", ("model", "layer", *QUANTITIES))
    require_columns(nulls, "nulls", ("model", "layer", "quantity", "null", "mean"))
    pooled = nulls[nulls["null"] == "pooled"].astype({"model": str})
    for quantity in QUANTITIES:
        chance = pooled[pooled["quantity"] == quantity][["model", "layer", "mean"]]
        chance = layers[["model", "layer"]].astype({"model": str}).merge(chance, how="left")
        layers = layers.assign(**{quantity: numbers(layers[quantity]) / numbers(chance["mean"])})
    models = rows_by_model(layers, "layers")
    colours = style.model_colours(layers)
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.45)
    limits = log_limits(*(numbers(layers[quantity]) for quantity in QUANTITIES), [1.0])
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        ratios = {quantity: numbers(rows[quantity]) for quantity in QUANTITIES}
        layer = numbers(rows["layer"])
        log_axis(axes.yaxis, limits)
        layer_axis(axes, layer)
        axes.axhline(1, **CHANCE_LOOK)
        for quantity, (_, look) in LOOKS.items():
            plot_positive(axes, layer, ratios[quantity], color=colours[model], **look)
        title_model(
            *(axes, model, style, initialised),
            {
                "no ε: it needs two heads": ratios["epsilon"],
                "no ρ₃: it needs 3 basis elements": ratios["rho3"],
            },
        )
    label_outside(panels, x="layer", y="measured / pooled null")
    legend_below(
        figure,
        [
            *(Line2D([], [], color="0.5", label=name, **look) for name, look in LOOKS.values()),
            Line2D([], [], label="chance", **CHANCE_LOOK),
            *zero_legend(layers["epsilon"], layers["rho3"]),
        ],
    )
    return figure
