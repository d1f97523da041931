"""ε by depth, among the paper's phases (section 5)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.phases import PHASES
from headalgebra.plots._panels import (
    in_last_column,
    isolated,
    label_outside,
    layer_axis,
    legend_below,
    log_axis,
    log_limits,
    model_panels,
    name_bands,
    numbers,
    plot_positive,
    require_columns,
    rows_by_model,
    title_panel,
    zero_legend,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style

NARROWEST_BAND = 0.14
"""Share of the axis that phases I and III have at least, room for their names."""

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


@paper_style()
def epsilon_by_depth(
    layers: pd.DataFrame, style: FigureStyle, *, weak_below: float, topological_above: float
) -> Figure:
    """ε of every layer against depth, a panel a model, on one log scale with the phases behind.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``epsilon`` and ``epsilon_haar``; missing numbers are gaps.
    style
        How it looks.
    weak_below, topological_above
        Ends of phase II.

    Raises
    ------
    ValueError
        When the table has no rows or lacks a column.
    """
    require_columns(layers, "layers", ("model", "layer", "epsilon", "epsilon_haar"))
    models = rows_by_model(layers, "layers")
    colours = style.model_colours(layers)
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.45)
    edges = [edge for edge in (weak_below, topological_above) if edge > 0]
    low, high = log_limits(layers["epsilon"], layers["epsilon_haar"], edges)
    room = (high / low) ** NARROWEST_BAND
    limits = min(low, min(edges) / room), max(high, max(edges) * room)
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        layer, epsilon, haar = (
            numbers(rows[name]) for name in ("layer", "epsilon", "epsilon_haar")
        )
        log_axis(axes.yaxis, limits)
        layer_axis(axes, layer)
        ends = np.clip([limits[0], weak_below, topological_above, limits[1]], *limits)
        for phase, bottom, top in zip(PHASES, ends, ends[1:], strict=False):
            axes.axhspan(
                bottom, top, facecolor=style.phase_colours[phase], edgecolor="none", zorder=0
            )
        for edge in edges:
            axes.axhline(edge, color="0.55", linewidth=0.5, zorder=1)
        plot_positive(axes, layer, epsilon, color=colours[model], **EPSILON_LOOK)
        plot_positive(axes, layer, haar, markevery=isolated(haar), **HAAR_LOOK)
        title_panel(
            axes,
            model,
            {"no ε: it needs two heads": epsilon, "no Haar null": haar},
        )
        if in_last_column(axes):
            name_bands(axes, (weak_below, topological_above), PHASES, heading="phase")
    label_outside(panels, x="layer", y="ε")
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label="ε", **EPSILON_LOOK),
            Line2D(
                [],
                [],
                label="ε of randomly oriented heads (Haar null)",
                **{**HAAR_LOOK, "marker": ""},
            ),
            *zero_legend(layers["epsilon"], layers["epsilon_haar"]),
        ],
    )
    return figure
