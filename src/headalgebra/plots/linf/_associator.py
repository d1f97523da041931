"""The associator of the deformed product against its parameter (section 2)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import (
    label_outside,
    legend_below,
    model_panels,
    title_model,
    with_numbers,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns, rows_by_model

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
    NothingToShow
        When no model has an associator.
    ValueError
        When the table lacks a column.
    """
    require_columns(associator, "associator", COLUMNS)
    reason = "no associators, which need three heads"
    if associator.empty:
        raise NothingToShow(reason)
    models, note = with_numbers(
        rows_by_model(associator, "associator"), ["associator"], style, otherwise=reason
    )
    colours = style.model_colours(associator)
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.6)
    limits = log_limits(associator["associator"], associator["predicted"])
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        log_axis(axes.yaxis, limits)
        for _, of_layer in rows.groupby("layer"):
            of_layer = of_layer.sort_values("t")
            t, measured, predicted = (numbers(of_layer[name]) for name in COLUMNS[2:])
            curve, height = _curve(t)
            scale = predicted[~np.isnan(predicted)].max(initial=0) / np.abs(t + t * t).max()
            plot_positive(axes, curve, scale * height, **PREDICTED_LOOK)
            plot_positive(axes, t, measured, color=colours[model], **MEASURED_LOOK)
        title_model(axes, model, style, initialised, {})
    label_outside(panels, x="t", y=r"$\|$associator$\|_F$")
    legend_below(
        figure,
        [
            Line2D([], [], color="0.4", label="computed, one layer", **MEASURED_LOOK),
            Line2D([], [], label=r"$|t+t^2|\,\|[b,[c,a]]\|_F$", **PREDICTED_LOOK),
            *zero_legend(associator["associator"]),
        ],
        note,
    )
    return figure


def _curve(t: Values) -> tuple[Values, Values]:
    """Points from the least to the largest t, and abs(t + t²) there.

    They crowd at the zeros, -1 and 0, so that on a log axis the line falls as far as rounding does.
    """
    steps = np.concatenate([np.geomspace(1e-30, 0.01, 100), np.linspace(0.01, 0.5, 50)[1:]])
    pieces = [np.linspace(t.min(), -1.5, 50), np.linspace(0.5, t.max(), 50)]
    curve, height = [pieces[0]], [np.abs(pieces[0] + pieces[0] ** 2)]
    for zero in (-1.0, 0.0):
        step = np.concatenate([-steps[::-1], steps])
        curve.append(zero + step)
        # Of the step, and not of t: beside -1 a small step would be rounded away.
        height.append(np.abs(step * (1 + 2 * zero + step)))
    curve.append(pieces[1])
    height.append(np.abs(pieces[1] + pieces[1] ** 2))
    points, heights = np.concatenate(curve), np.concatenate(height)
    inside = (points >= t.min()) & (points <= t.max())
    return points[inside], heights[inside]
