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

COLUMNS = ("model", "layer", "epsilon", "epsilon_haar", "rho3", "rho3_null")

EPSILON_LOOK: dict[str, Any] = {"marker": "o", "markeredgecolor": INK, "zorder": 3}
RHO3_LOOK: dict[str, Any] = {
    "marker": "s",
    "markerfacecolor": "white",
    "linestyle": (0, (3.5, 1.5)),
    "zorder": 2.5,
}
CHANCE_LOOK: dict[str, Any] = {"color": INK, "linestyle": ":", "linewidth": 0.9, "zorder": 1.5}


@paper_style()
def ratios_to_chance(
    layers: pd.DataFrame, style: FigureStyle, *, initialised: Collection[str]
) -> Figure:
    """ε/ε_haar and ρ₃ over the mean of its Haar null, by layer, a panel a model on one log scale.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``epsilon``, ``epsilon_haar``, ``rho3`` and ``rho3_null``;
        missing numbers are gaps.
    style
        How it looks.
    initialised
        Models that were never trained, as their titles say.

    Raises
    ------
    ValueError
        When the table has no rows or lacks a column.
    """
    require_columns(layers, "layers", COLUMNS)
    layers = layers.assign(
        epsilon=layers["epsilon"] / layers["epsilon_haar"],
        rho3=layers["rho3"] / layers["rho3_null"],
    )
    models = rows_by_model(layers, "layers")
    colours = style.model_colours(layers)
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.45)
    limits = log_limits(numbers(layers["epsilon"]), numbers(layers["rho3"]), [1.0])
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        layer, epsilon, rho3 = (numbers(rows[name]) for name in ("layer", "epsilon", "rho3"))
        log_axis(axes.yaxis, limits)
        layer_axis(axes, layer)
        axes.axhline(1, **CHANCE_LOOK)
        plot_positive(axes, layer, epsilon, color=colours[model], **EPSILON_LOOK)
        plot_positive(axes, layer, rho3, color=colours[model], **RHO3_LOOK)
        title_model(
            *(axes, model, initialised),
            {"no ε: it needs two heads": epsilon, "no ρ₃: it needs 3 basis elements": rho3},
        )
    label_outside(panels, x="layer", y="measured / chance")
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label=r"$ε\,/\,ε_{\mathrm{Haar}}$", **EPSILON_LOOK),
            Line2D([], [], color="0.5", label=r"$ρ_3\,/\,ρ_{3,\mathrm{Haar}}$", **RHO3_LOOK),
            Line2D([], [], label="chance", **CHANCE_LOOK),
            *zero_legend(layers["epsilon"], layers["rho3"]),
        ],
    )
    return figure
