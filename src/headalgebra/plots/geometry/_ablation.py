"""What becomes of states whose norms rescale as another layer does, or not at all (001 IV.1)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.defaults import GROWTH_WITHOUT_NORMS
from headalgebra.plots._axes import (
    layer_axis,
    log_axis,
    log_limits,
    plot_positive,
    symlog_axis,
    zero_legend,
)
from headalgebra.plots._panels import (
    AT_INITIALISATION,
    legend_below,
    reason_alone,
    title_panel,
)
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
    nothing_to_draw,
)
from headalgebra.plots._style import FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns
from headalgebra.plots.geometry._rows import (
    BOUND_LOOK,
    COLUMNS,
    LATER_LOOK,
    MEAN_LOOK,
    by_norm,
    missing,
    model_look,
    of_quantity,
)

GAIN, LATER = "first_scales_gain", "first_scales_gain_without_first"
CHANGE, RISE = "constant_scale_change", "constant_scale_loss_rise"

LINEAR_TO = 0.01
"""Nats: up to so much the scale of the loss's rise is linear."""


@paper_style()
def ablation_by_layer(
    geometry: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
    growth_without_norms: float = GROWTH_WITHOUT_NORMS,
) -> Figure:
    """Growth of states under the first block's scales, and harm of one norm with a constant scale.

    Parameters
    ----------
    geometry
        Columns ``model``, ``layer``, ``norm``, ``head``, ``quantity``, ``value``, ``null`` and
        ``note``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these that is drawn in the same panels.
    growth_without_norms
        A line across the sizes: beyond it states leave their sphere.

    Raises
    ------
    ValueError
        When a table lacks a column.
    """
    require_columns(geometry, "geometry", COLUMNS)
    chosen = geometry[geometry["quantity"].isin([GAIN, LATER, CHANGE, RISE])]
    shown = models_with_rows(
        chosen, runs, initialisations=initialisations, otherwise="no norm was rescaled"
    )
    if not shown.beside:
        return reason_alone(style.width_inches, nothing_to_draw(shown, "no norms to draw"))
    colours = style.model_colours(runs)
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.3, 1.1, 1.2))
    values = {
        quantity: numbers(of_quantity(chosen, quantity)["value"])
        for quantity in (GAIN, LATER, CHANGE, RISE)
    }
    gain_limits = log_limits(values[GAIN], values[LATER], [1.0, growth_without_norms])
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows = shown.rows[model]
        look = model_look(colours[model], model, initialised)
        above, middle, below = panels
        for axes in panels:
            layer_axis(axes, numbers(rows["layer"]))
        log_axis(above.yaxis, gain_limits)
        above.axhline(1, **BOUND_LOOK)
        above.axhline(growth_without_norms, **BOUND_LOOK)
        log_axis(middle.yaxis, log_limits(values[CHANGE]))
        symlog_axis(below.yaxis, LINEAR_TO)
        below.set_ylim(*_rise_limits(values[RISE]))
        below.axhline(0, **BOUND_LOOK)
        if initial is not None:
            of_initial = shown.rows[initial]
            _draw(above, of_quantity(of_initial, GAIN), BESIDE_LOOK)
            _draw_norms(middle, of_quantity(of_initial, CHANGE), BESIDE_LOOK)
            _draw_rise(below, of_quantity(of_initial, RISE), BESIDE_LOOK)
        _draw(above, of_quantity(rows, LATER), {"color": colours[model]} | LATER_LOOK)
        _draw(above, of_quantity(rows, GAIN), look)
        _draw_norms(middle, of_quantity(rows, CHANGE), look)
        _draw_rise(below, of_quantity(rows, RISE), look)
        gains = of_quantity(rows, GAIN)
        remarks = [AT_INITIALISATION] if model in initialised else []
        remarks += _gone_from(gains)
        title_panel(above, style.called(model), missing(gains, "no growth"), remarks)
        title_panel(middle, "", missing(of_quantity(rows, CHANGE), "no changes"))
        title_panel(below, "", missing(of_quantity(rows, RISE), "no next token to predict"))
    names = (r"$\|x_l\|$ over recorded", "change of $x_L$", "loss, nats")
    label_columns(columns, x="layer", y=names)
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label="all tokens", **MEAN_LOOK),
            Line2D([], [], color="0.5", label="without the first token", **LATER_LOOK),
            *shown.beside_entries(),
            Line2D(
                [], [], label=f"as recorded, and {growth_without_norms:g} times it", **BOUND_LOOK
            ),
            *zero_legend(values[GAIN], values[CHANGE]),
        ],
        shown.note,
    )
    return figure


def _gone_from(gains: pd.DataFrame) -> list[str]:
    """From which layer on states have no size any more, where the first ones had, and why."""
    gone = gains[gains["value"].isna()]
    notes = list(dict.fromkeys(gone["note"].fillna("").astype(str)))
    if notes in ([], [""]) or len(gone) == len(gains):
        return []
    return [f"from layer {gone['layer'].min():g} on {'; '.join(notes)}"]


def _draw(axes: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    plot_positive(axes, numbers(rows["layer"]), numbers(rows["value"]), **look)


def _draw_norms(axes: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    norms = by_norm(rows)
    plot_positive(axes, numbers(norms["place"]), numbers(norms["value"]), **look)


def _draw_rise(axes: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    norms = by_norm(rows)
    axes.plot(numbers(norms["place"]), numbers(norms["value"]), **look)


def _rise_limits(rises: np.ndarray) -> tuple[float, float]:
    """Ends of the axis with every rise inside, and a decade beyond its linear middle."""
    low = min(-LINEAR_TO, float(np.nanmin(rises, initial=0.0)))
    high = max(10 * LINEAR_TO, float(np.nanmax(rises, initial=0.0)))
    return 1.6 * low, 1.6 * high
