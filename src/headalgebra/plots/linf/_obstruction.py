"""Obstruction and projected Jacobiator by depth (sections 2 and 3)."""

from collections.abc import Collection
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import (
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

OBSTRUCTION = ("obstruction_rms", "obstruction_ci_low", "obstruction_ci_high")
COLUMNS = ("model", "layer", *OBSTRUCTION, "jacobi_projected_rms")

MARKER = 3.2
"""Points, what hides an interval that is no longer."""

OBSTRUCTION_LOOK: dict[str, Any] = {
    "marker": "o",
    "markersize": MARKER,
    "markeredgecolor": INK,
    "zorder": 3,
}
PROJECTED_LOOK: dict[str, Any] = {
    "marker": "s",
    "markerfacecolor": "white",
    "linestyle": (0, (3.5, 1.5)),
    "zorder": 2.5,
}
INTERVAL_LOOK: dict[str, Any] = {"color": INK, "linewidth": 0.9, "zorder": 2}


@paper_style()
def obstruction_by_depth(
    layers: pd.DataFrame, style: FigureStyle, *, initialised: Collection[str]
) -> Figure:
    """Obstruction with its 95 % interval, and projected Jacobiator, by layer, a panel a model.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``obstruction_rms``, ``obstruction_ci_low``,
        ``obstruction_ci_high`` and ``jacobi_projected_rms``; missing numbers are gaps.
    style
        How it looks.
    initialised
        Models that were never trained, as their titles say.

    Raises
    ------
    NothingToShow
        When no model has an obstruction.
    ValueError
        When the table has no rows or lacks a column.
    """
    require_columns(layers, "layers", COLUMNS)
    models, note = with_numbers(
        rows_by_model(layers, "layers"),
        ["obstruction_rms"],
        style,
        otherwise="no obstruction, which needs two basis elements",
    )
    colours = style.model_colours(layers)
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.45)
    estimated = False
    limits = log_limits(*(layers[name] for name in COLUMNS[2:]))
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        layer, rms, low, high, projected = (numbers(rows[name]) for name in COLUMNS[1:])
        log_axis(axes.yaxis, limits)
        layer_axis(axes, layer)
        plot_positive(axes, layer, rms, color=colours[model], **OBSTRUCTION_LOOK)
        axes.vlines(layer, low, high, **INTERVAL_LOOK)
        estimated |= longer(axes, low, high, MARKER)
        plot_positive(axes, layer, projected, color=colours[model], **PROJECTED_LOOK)
        title_model(
            *(axes, model, style, initialised),
            {
                "": rms,
                "no projected Jacobiator: needs 3 basis elements": projected,
            },
        )
    label_outside(panels, x="layer", y="rms over triples")
    legend_below(
        figure,
        [
            Line2D(
                [],
                [],
                color="0.5",
                label=r"obstruction $\|[E_b,[E_c,E_a]]\|_F$",
                **OBSTRUCTION_LOOK,
            ),
            *([Line2D([], [], label="its 95 % interval", **INTERVAL_LOOK)] if estimated else []),
            Line2D([], [], color="0.5", label=r"projected Jacobiator $\|J_P\|$", **PROJECTED_LOOK),
            *zero_legend(layers["obstruction_rms"], layers["jacobi_projected_rms"]),
        ],
        note,
    )
    return figure
