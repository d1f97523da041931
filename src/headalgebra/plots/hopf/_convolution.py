"""How much of attention a convolution explains, head by head."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import layer_axis
from headalgebra.plots._panels import (
    AT_INITIALISATION,
    label_outside,
    legend_below,
    model_panels,
    title_panel,
)
from headalgebra.plots._runs import BESIDE_LOOK, models_with_rows
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns

HEADS_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "marker": ".",
    "markersize": 3.5,
    "alpha": 0.6,
    "zorder": 2.4,
}
MEAN_LOOK: dict[str, Any] = {"marker": "o", "markeredgecolor": INK, "zorder": 3}
NULL_LOOK: dict[str, Any] = {"color": INK, "linestyle": ":", "marker": "_", "zorder": 2.5}


@paper_style()
def convolution_by_head(
    convolution: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
) -> Figure:
    """Convolution share of every head by layer, a panel a model, with that of permuted rows.

    Small points are heads, the line their mean. A title gives the share of the impulse response.

    Parameters
    ----------
    convolution
        Columns ``model``, ``layer``, ``head``, ``quantity``, ``value`` and ``null``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these whose mean is drawn in the same panel.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(
        convolution, "convolution", ("model", "layer", "head", "quantity", "value", "null")
    )
    chosen = convolution[convolution["quantity"].isin(["convolution_share", "impulse_share"])]
    shown = models_with_rows(
        chosen,
        runs,
        initialisations=initialisations,
        otherwise="no convolution fitted",
        nothing="no attention to draw",
    )
    colours = style.model_colours(runs)
    figure, panels = model_panels(len(shown.beside), style.width_inches, panel_height=1.6)
    for axes, (model, initial) in zip(panels, shown.beside.items(), strict=True):
        rows = shown.rows[model]
        heads = rows[rows["quantity"] == "convolution_share"]
        axes.set_ylim(-0.03, 1.03)
        layer_axis(axes, numbers(rows["layer"]))
        axes.plot(
            *(numbers(heads["layer"]), numbers(heads["value"])), color=colours[model], **HEADS_LOOK
        )
        if initial is not None:
            of_initial = shown.rows[initial]
            _draw_mean(
                axes,
                of_initial[of_initial["quantity"] == "convolution_share"],
                "value",
                BESIDE_LOOK,
            )
        face = {"markerfacecolor": "white"} if model in initialised else {}
        _draw_mean(axes, heads, "value", {"color": colours[model]} | MEAN_LOOK | face)
        _draw_mean(axes, heads, "null", NULL_LOOK)
        remarks = [AT_INITIALISATION] if model in initialised else []
        for _, row in rows[rows["quantity"] == "impulse_share"].dropna(subset="value").iterrows():
            remarks.append(f"impulse {row['value']:.2f}, chance {row['null']:.2f}")
        title_panel(axes, style.called(model), {"no shares": numbers(heads["value"])}, remarks)
    label_outside(panels, x="layer", y="convolution share")
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label="mean of the heads", **MEAN_LOOK),
            Line2D([], [], color="0.5", label="a head", **HEADS_LOOK),
            Line2D([], [], label="mean, rows permuted", **NULL_LOOK),
            *shown.beside_entries("mean, at initialisation"),
        ],
        shown.note,
    )
    return figure


def _draw_mean(axes: Axes, heads: pd.DataFrame, column: str, look: dict[str, Any]) -> None:
    means = heads.groupby("layer")[column].mean().reset_index()
    axes.plot(numbers(means["layer"]), numbers(means[column]), **look)
