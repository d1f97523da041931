"""The orders of the Dyson series, and how far its partial sums are off (section IV)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import gammaln

from headalgebra.defaults import TRUNCATION_ERROR
from headalgebra.plots._axes import ZERO_LOOK, layer_axis, log_axis, log_limits, plot_positive
from headalgebra.plots._panels import legend_below, title_model
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns

PANELS = ("norm", "partial_error")
COLUMNS = ("model", "order", *PANELS, *(f"{column}_without_first" for column in PANELS))

FLOOR = 1e-8
"""What is smaller is marked on the lower edge: the error of the whole sum is rounding."""

ORDERS_LOOK: dict[str, Any] = {"marker": "o", "markeredgecolor": INK, "zorder": 3}
LATER_LOOK: dict[str, Any] = {"linestyle": ":", "marker": ".", "linewidth": 0.9, "zorder": 2.8}
GUIDE_LOOK: dict[str, Any] = {"color": INK, "linestyle": "-.", "linewidth": 0.7, "zorder": 2}
BOUND_LOOK: dict[str, Any] = {"color": "0.55", "linewidth": 0.5, "zorder": 1}


@paper_style()
def orders_by_depth(
    dyson: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
    truncation_error: float = TRUNCATION_ERROR,
) -> Figure:
    """Norms of the orders T_k over that of the last state, and below them errors of partial sums.

    Parameters
    ----------
    dyson
        Columns ``model``, ``order``, ``norm`` and ``partial_error``, and both ``_without_first``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these that is drawn in the same panels.
    truncation_error
        A line across the errors: below it a partial sum is taken for the whole.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(dyson, "dyson", COLUMNS)
    shown = models_with_rows(
        dyson,
        runs,
        initialisations=initialisations,
        otherwise="no orders",
        nothing="no orders to draw",
        values=PANELS,
    )
    colours = style.model_colours(runs)
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.35, 1.15))
    limits = [
        log_limits(*(_floored(dyson[name]) for name in (column, f"{column}_without_first")), more)
        for column, more in zip(PANELS, ([], [truncation_error]), strict=True)
    ]
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows = shown.rows[model].sort_values("order")
        order, norm = numbers(rows["order"]), numbers(rows["norm"])
        for axes, column, ends in zip(panels, PANELS, limits, strict=True):
            log_axis(axes.yaxis, ends)
            layer_axis(axes, order)
            face = {"markerfacecolor": "white"} if model in initialised else {}
            for name, look in (
                (column, ORDERS_LOOK | face),
                (f"{column}_without_first", LATER_LOOK),
            ):
                plot_positive(axes, order, _floored(rows[name]), color=colours[model], **look)
            if initial is not None:
                _draw_beside(axes, shown.rows[initial].sort_values("order"), column)
        panels[0].plot(order, guide(order, norm), scaley=False, **GUIDE_LOOK)
        panels[1].axhline(truncation_error, **BOUND_LOOK)
        title_model(panels[0], model, style, initialised, {"no orders": norm})
    note = label_columns(
        columns, x="order $k$", y=(r"$\|T_k\|\,/\,\|x_L\|$", "error $e_k$"), note=shown.note
    )
    small = any((numbers(dyson[name]) < FLOOR).any() for name in COLUMNS[2:])
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label="all tokens", **ORDERS_LOOK),
            Line2D([], [], color="0.5", label="without the first token", **LATER_LOOK),
            *shown.beside_entries(),
            Line2D([], [], label=r"guide $C(L,k)\,v^k$", **GUIDE_LOOK),
            Line2D([], [], label=f"bound {truncation_error:g}", **BOUND_LOOK),
            *([Line2D([], [], label="below $10^{-8}$", **ZERO_LOOK)] if small else []),
        ],
        note,
    )
    return figure


def guide(order: Values, norm: Values) -> Values:
    """Orders of equal commuting updates of size v, C(L, k) v^k, at the height and v that fit best.

    Least squares of the logarithms; not numbers where fewer than two norms are positive.
    """
    L = order.max()
    ways = gammaln(L + 1) - gammaln(order + 1) - gammaln(L - order + 1)
    there = norm > 0
    if there.sum() < 2:
        return np.full(len(order), np.nan)
    slope, height = np.polyfit(order[there], np.log(norm[there]) - ways[there], 1)
    return np.asarray(np.exp(height + slope * order + ways))


def _draw_beside(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    plot_positive(axes, numbers(rows["order"]), _floored(rows[column]), **BESIDE_LOOK)


def _floored(column: "pd.Series[float]") -> Values:
    values = numbers(column)
    return np.where(values < FLOOR, 0.0, values)
