"""What becomes of states whose norms rescale as another layer does, or not at all (001 IV.1)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

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
    title_panel,
)
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
)
from headalgebra.plots._style import FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns
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
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(geometry, "geometry", COLUMNS)
    chosen = geometry[geometry["quantity"].isin([GAIN, LATER, CHANGE, RISE])]
    shown = models_with_rows(
        chosen,
        runs,
        initialisations=initialisations,
        otherwise="no norm was rescaled",
        nothing="no norms to draw",
    )
    colours = style.model_colours(runs)
    figure, columns = model_columns(
        len(shown.beside), style.width_inches, heights=(1.3, 1.2, 1.2), alike=False
    )
    values = {
        quantity: numbers(of_quantity(chosen, quantity)["value"])
        for quantity in (GAIN, LATER, CHANGE, RISE)
    }
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows = shown.rows[model]
        look = model_look(colours[model], model, initialised)
        above, middle, below = panels
        # Of one model may be thousands what is hundredths of another: each has axes of its own.
        both = pd.concat([rows, *([] if initial is None else [shown.rows[initial]])])
        of_both = {name: numbers(of_quantity(both, name)["value"]) for name in values}
        for axes in panels:
            layer_axis(axes, numbers(rows["layer"]))
        log_axis(
            above.yaxis,
            log_limits(of_both[GAIN], of_both[LATER], [1.0, growth_without_norms]),
        )
        above.axhline(1, **BOUND_LOOK)
        above.axhline(growth_without_norms, **BOUND_LOOK)
        log_axis(middle.yaxis, log_limits(of_both[CHANGE]))
        _rise_axis(below, of_both[RISE])
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
    note = label_columns(columns, x="layer", y=names, note=shown.note)
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
        note,
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


def _rise_axis(axes: Axes, rises: Values) -> None:
    """The y axis with every rise inside: linear where all are small, and else only about zero."""
    low, high = float(np.nanmin(rises, initial=0.0)), float(np.nanmax(rises, initial=0.0))
    if max(-low, high) > 10 * LINEAR_TO:
        symlog_axis(axes.yaxis, LINEAR_TO)
        axes.set_ylim(1.6 * min(-LINEAR_TO, low), 1.6 * max(LINEAR_TO, high))
        return
    margin = 0.1 * (high - low) or LINEAR_TO
    axes.set_ylim(low - margin, high + margin)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
