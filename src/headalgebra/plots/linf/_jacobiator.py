"""The literal Jacobiator against the precision it is computed in (section 3)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from headalgebra.claims.linf.paper import JACOBIATOR_RANGE
from headalgebra.plots._axes import log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import (
    label_outside,
    legend_below,
    model_panels,
    title_model,
    with_numbers,
)
from headalgebra.plots._style import INK, Colour, FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns, rows_by_model

COLUMNS = ("model", "layer", "operand", "dtype", "unit_roundoff", "jacobi_mean")

OPERAND_NAMES = {"raw": "heads $A_h$ (raw)", "basis": "orthonormal basis $E_a$"}
OPERAND_LINES: dict[str, Any] = {"raw": "-", "basis": (0, (3.5, 1.5))}

MARKERS = ("o", "s", "^", "D")
"""Of the floating-point types, the most precise first."""

GUIDE_LOOK: dict[str, Any] = {"color": INK, "linestyle": ":", "linewidth": 0.9, "zorder": 1.5}
CLAIM_LOOK: dict[str, Any] = {"facecolor": "0.87", "edgecolor": "none", "zorder": 0}
LAYER_LOOK: dict[str, Any] = {"linewidth": 0.5, "alpha": 0.5, "zorder": 2}

GUIDE_ABOVE = 30.0
"""The guide of slope 1 runs this factor above the largest ratio of norm to roundoff."""


@paper_style()
def jacobiator_by_precision(
    precision: pd.DataFrame, style: FigureStyle, *, initialised: Collection[str]
) -> Figure:
    """Mean ``||J||_F`` against the unit roundoff, a panel a model, on the same two log scales.

    J is zero for matrices, so what is computed is rounding: proportional to the unit roundoff,
    slope 1. Slopes are fitted to the geometric mean over the layers where it is not zero. The range
    that the paper claims is shaded.

    Parameters
    ----------
    precision
        Columns ``model``, ``layer``, ``operand`` (raw or basis), ``dtype``, ``unit_roundoff`` and
        ``jacobi_mean``.
    style
        How it looks.
    initialised
        Models that were never trained, as their titles say.

    Raises
    ------
    NothingToShow
        When no model has a Jacobiator.
    ValueError
        When the table lacks a column.
    """
    require_columns(precision, "precision", COLUMNS)
    reason = "no Jacobiators, which need three heads"
    if precision.empty:
        raise NothingToShow(reason)
    models, note = with_numbers(
        rows_by_model(precision, "precision"), ["jacobi_mean"], style, otherwise=reason
    )
    colours = style.model_colours(precision)
    dtypes = precision.sort_values("unit_roundoff")["dtype"].unique()
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.75)
    roundoff_limits = log_limits(precision["unit_roundoff"])
    norm_limits = log_limits(precision["jacobi_mean"], JACOBIATOR_RANGE)
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        axes.axhspan(*JACOBIATOR_RANGE, **CLAIM_LOOK)
        _draw_guide(axes, rows, roundoff_limits)
        for operand, of_operand in rows.groupby("operand", sort=False):
            _draw_operand(axes, of_operand, str(operand), colours[model], list(dtypes))
        log_axis(axes.xaxis, roundoff_limits)
        log_axis(axes.yaxis, norm_limits)
        title_model(axes, model, style, initialised, {})
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right", title="fitted slope", handlelength=1.8, borderpad=0.1)
    label_outside(panels, x="unit roundoff", y=r"mean $\|J\|_F$")
    legend_below(figure, _legend(list(dtypes), zero_legend(precision["jacobi_mean"])), note)
    return figure


def _draw_guide(axes: Axes, rows: pd.DataFrame, roundoff_limits: tuple[float, float]) -> None:
    ratios = numbers(rows["jacobi_mean"]) / numbers(rows["unit_roundoff"])
    if (ratios > 0).any():
        ends = np.array(roundoff_limits)
        axes.plot(ends, GUIDE_ABOVE * np.nanmax(ratios) * ends, **GUIDE_LOOK)


def _draw_operand(
    axes: Axes, rows: pd.DataFrame, operand: str, colour: Colour, dtypes: list[str]
) -> None:
    """A thin line a layer, and their geometric mean with a marker a floating-point type."""
    look: Mapping[str, Any] = {"color": colour, "linestyle": OPERAND_LINES[operand]}
    for _, of_layer in rows.sort_values("unit_roundoff").groupby("layer"):
        plot_positive(
            axes,
            numbers(of_layer["unit_roundoff"]),
            numbers(of_layer["jacobi_mean"]),
            **look,
            **LAYER_LOOK,
        )
    positive = rows[numbers(rows["jacobi_mean"]) > 0]
    if positive.empty:
        return
    by_dtype = positive.groupby("dtype").agg(
        unit_roundoff=("unit_roundoff", "first"),
        mean=("jacobi_mean", lambda norms: np.exp(np.log(norms).mean())),
    )
    by_dtype = by_dtype.sort_values("unit_roundoff")
    roundoff, mean = numbers(by_dtype["unit_roundoff"]), numbers(by_dtype["mean"])
    slope = _log_slope(roundoff, mean)
    axes.plot(roundoff, mean, **look, zorder=3, label=f"{operand} {slope}")
    for dtype, x, y in zip(by_dtype.index, roundoff, mean, strict=True):
        axes.plot(
            [x],
            [y],
            linestyle="none",
            marker=MARKERS[dtypes.index(dtype)],
            markerfacecolor=colour if operand == "raw" else "white",
            markeredgecolor=INK if operand == "raw" else colour,
            zorder=4,
        )


def _log_slope(x: Values, y: Values) -> str:
    """Slope of the least-squares line through the logarithms."""
    if len(x) < 2:
        return "—"
    return f"{np.polyfit(np.log(x), np.log(y), 1)[0]:.2f}"


def _legend(dtypes: list[str], zeros: list[Line2D]) -> list[Line2D | Patch]:
    grey: dict[str, Any] = {"color": "0.4"}
    low, high = JACOBIATOR_RANGE
    return [
        *(
            Line2D([], [], linestyle="none", marker=marker, label=dtype, **grey)
            for dtype, marker in zip(dtypes, MARKERS, strict=False)
        ),
        *(
            Line2D([], [], linestyle=OPERAND_LINES[operand], label=name, **grey)
            for operand, name in OPERAND_NAMES.items()
        ),
        Line2D([], [], label="one layer", **grey, **LAYER_LOOK),
        Line2D([], [], label="slope 1", **GUIDE_LOOK),
        Patch(label=f"range the paper claims, {low:g} to {high:g}", **CLAIM_LOOK),
        *zeros,
    ]
