"""The associator of the deformed product against its parameter (section 2)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import (
    label_outside,
    legend_below,
    model_panels,
    reason_alone,
    title_model,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

COLUMNS = ("model", "layer", "t", "associator", "predicted")

MEASURED_LOOK: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 2.8, "zorder": 3}
PREDICTED_LOOK: dict[str, Any] = {"color": INK, "linewidth": 0.6, "zorder": 2}


@paper_style()
def associator_by_parameter(
    associator: pd.DataFrame, style: FigureStyle, *, initialised: Collection[str]
) -> Figure:
    """Size of the associator of ab + t[a,b] against t, a panel a model, points on predictions.

    Parameters
    ----------
    associator
        Columns ``model``, ``layer``, ``t``, ``associator`` and ``predicted``.
    style
        How it looks.
    initialised
        Models that were never trained, as their titles say.

    Raises
    ------
    ValueError
        When the table lacks a column.
    """
    require_columns(associator, "associator", COLUMNS)
    if associator.empty:
        return reason_alone(style.width_inches, "no associators: they need three heads")
    models = rows_by_model(associator, "associator")
    colours = style.model_colours(associator)
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.6)
    limits = log_limits(associator["associator"], associator["predicted"])
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        log_axis(axes.yaxis, limits)
        for _, of_layer in rows.groupby("layer"):
            of_layer = of_layer.sort_values("t")
            t, measured, predicted = (numbers(of_layer[name]) for name in COLUMNS[2:])
            curve = np.linspace(t.min(), t.max(), 401)
            height = np.abs(curve + curve * curve)
            # The line breaks at its zeros, where only what was computed is to be seen.
            height[height == 0] = np.nan
            scale = predicted[~np.isnan(predicted)].max(initial=0) / np.abs(t + t * t).max()
            plot_positive(axes, curve, scale * height, **PREDICTED_LOOK)
            plot_positive(axes, t, measured, color=colours[model], **MEASURED_LOOK)
        title_model(
            axes, model, style, initialised, {"no associators": numbers(rows["associator"])}
        )
    label_outside(panels, x="t", y=r"$\|$associator$\|_F$")
    legend_below(
        figure,
        [
            Line2D([], [], color="0.4", label="computed, one layer", **MEASURED_LOOK),
            Line2D([], [], label=r"$|t+t^2|\,\|[b,[c,a]]\|_F$", **PREDICTED_LOOK),
            *zero_legend(associator["associator"]),
        ],
    )
    return figure
