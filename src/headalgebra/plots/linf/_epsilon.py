"""ε by depth, among the paper's phases (section 5)."""

from collections.abc import Collection
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.algebra.phases import PHASES
from headalgebra.defaults import TOPOLOGICAL_ABOVE, WEAK_BELOW
from headalgebra.plots._axes import (
    band_limits,
    isolated,
    layer_axis,
    log_axis,
    name_bands,
    plot_positive,
    shade_phases,
    zero_legend,
)
from headalgebra.plots._panels import (
    in_last_column,
    label_outside,
    legend_below,
    model_panels,
    title_model,
    with_numbers,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

EPSILON_LOOK: dict[str, Any] = {
    "marker": "o",
    "markeredgecolor": INK,
    "markeredgewidth": 0.5,
    "zorder": 3,
}
HAAR_LOOK: dict[str, Any] = {
    "color": INK,
    "linestyle": (0, (3, 1.5)),
    "linewidth": 0.9,
    "marker": "_",
    "markersize": 5,
    "zorder": 3.5,
}
POOLED_LOOK: dict[str, Any] = {
    "color": "0.35",
    "linestyle": "-",
    "linewidth": 0.9,
    "marker": "+",
    "markersize": 5,
    "zorder": 3.4,
}
INITIAL_LOOK: dict[str, Any] = {
    "color": INK,
    "linestyle": (0, (1, 1.2)),
    "linewidth": 1.1,
    "marker": ".",
    "zorder": 2.5,
}


@paper_style()
def epsilon_by_depth(
    layers: pd.DataFrame,
    nulls: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    weak_below: float = WEAK_BELOW,
    topological_above: float = TOPOLOGICAL_ABOVE,
) -> Figure:
    """ε of every layer against depth, a panel a model, on one log scale with the phases behind.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``epsilon`` and ``epsilon_null``; missing numbers are gaps.
    nulls
        Columns ``model``, ``layer``, ``quantity``, ``null`` and ``mean``, of which the ε
        of the pooled null and of the architecture at initialisation are drawn.
    style
        How it looks.
    weak_below, topological_above
        Ends of phase II.
    initialised
        Models that were never trained; their markers are open.

    Raises
    ------
    NothingToShow
        When no model has an ε.
    ValueError
        When ``layers`` has no rows or a table lacks a column.
    """
    require_columns(layers, "layers", ("model", "layer", "epsilon", "epsilon_null"))
    require_columns(nulls, "nulls", ("model", "layer", "quantity", "null", "mean"))
    models, note = with_numbers(
        rows_by_model(layers, "layers"), ["epsilon"], style, otherwise="no ε, which needs two heads"
    )
    colours = style.model_colours(layers)
    of_epsilon = nulls[nulls["quantity"] == "epsilon"].astype({"model": str})
    pooled, initial = (of_epsilon[of_epsilon["null"] == null] for null in ("pooled", "init"))
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.45)
    edges = (weak_below, topological_above)
    limits = band_limits(edges, layers["epsilon"], layers["epsilon_null"], of_epsilon["mean"])
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        layer, epsilon, haar = (
            numbers(rows[name]) for name in ("layer", "epsilon", "epsilon_null")
        )
        log_axis(axes.yaxis, limits)
        layer_axis(axes, layer)
        shade_phases(axes.yaxis, edges, [style.phase_colours[phase] for phase in PHASES])
        face = "white" if model in initialised else colours[model]
        plot_positive(
            *(axes, layer, epsilon), color=colours[model], markerfacecolor=face, **EPSILON_LOOK
        )
        plot_positive(axes, layer, haar, markevery=isolated(haar), **HAAR_LOOK)
        for null, look in ((pooled, POOLED_LOOK), (initial, INITIAL_LOOK)):
            drawn = null[null["model"] == model].sort_values("layer")
            mean = numbers(drawn["mean"])
            plot_positive(*(axes, numbers(drawn["layer"]), mean), markevery=isolated(mean), **look)
        title_model(
            *(axes, model, style, initialised),
            {"": epsilon, "no Haar null": haar},
        )
        if in_last_column(axes):
            name_bands(axes, edges, PHASES, heading="phase")
    label_outside(panels, x="layer", y="ε")
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label="ε", **EPSILON_LOOK),
            *(
                Line2D([], [], label=name, **{**look, "marker": ""})
                for name, look, drawn in (
                    ("heads drawn alike (pooled null)", POOLED_LOOK, pooled),
                    ("heads turned at random (Haar null)", HAAR_LOOK, layers),
                    ("at initialisation", INITIAL_LOOK, initial),
                )
                if len(drawn)
            ),
            *zero_legend(layers["epsilon"], layers["epsilon_null"]),
        ],
        note,
    )
    return figure
