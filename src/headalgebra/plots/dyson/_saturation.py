"""Whether depth changes the states less and less, and leaves them apart (sections III, VI)."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.defaults import SMALL_UPDATE, STABLE_RANK
from headalgebra.plots._axes import layer_axis, log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import legend_below, title_model, title_panel
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns

PANELS = {
    "update_ratio": (r"$\|δx\|\,/\,\|x\|$", "no updates"),
    "stable_rank": ("stable rank", "no stable rank"),
    "kl_to_last": ("KL to the last", "no next token to predict"),
}
"""Quantities from the top: their names, and why one may be missing."""

LATER = "update_ratio_without_first"

STATES_LOOK: dict[str, Any] = {"marker": "o", "markeredgecolor": INK, "zorder": 3}
LATER_LOOK: dict[str, Any] = {"marker": ".", "linestyle": ":", "linewidth": 0.9, "zorder": 2.8}
BOUND_LOOK: dict[str, Any] = {"color": "0.55", "linewidth": 0.5, "zorder": 1}


@paper_style()
def saturation_by_depth(
    states: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
    small_update: float = SMALL_UPDATE,
    stable_rank: float = STABLE_RANK,
) -> Figure:
    """Size of the updates, stable rank of the states, and how far predictions are from the last.

    Parameters
    ----------
    states
        Columns ``model``, ``layer``, ``update_ratio``, ``update_ratio_without_first``,
        ``stable_rank`` and ``kl_to_last``; missing numbers are gaps.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these that is drawn in the same panels.
    small_update, stable_rank
        Lines across the first two: up to the one an update is small, below the other states have
        collapsed.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(states, "states", ("model", "layer", *PANELS, LATER))
    shown = models_with_rows(
        states,
        runs,
        initialisations=initialisations,
        otherwise="no states",
        nothing="no states to draw",
        values=(*PANELS, LATER),
    )
    colours = style.model_colours(runs)
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.25, 1.1, 1.1))
    bounds = {"update_ratio": small_update, "stable_rank": stable_rank}
    limits = {
        column: log_limits(numbers(states[column]), [bounds[column]] if column in bounds else [])
        for column in PANELS
    }
    limits["update_ratio"] = log_limits(limits["update_ratio"], numbers(states[LATER]))
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows = shown.rows[model].sort_values("layer")
        layer = numbers(rows["layer"])
        face = {"markerfacecolor": "white"} if model in initialised else {}
        look = {"color": colours[model]} | STATES_LOOK | face
        for axes, (column, (_, reason)) in zip(panels, PANELS.items(), strict=True):
            log_axis(axes.yaxis, limits[column])
            layer_axis(axes, layer)
            if column in bounds:
                axes.axhline(bounds[column], **BOUND_LOOK)
            if column == "update_ratio":
                plot_positive(
                    *(axes, layer, numbers(rows[LATER])), color=colours[model], **LATER_LOOK
                )
            if initial is not None:
                _draw(axes, shown.rows[initial].sort_values("layer"), column, BESIDE_LOOK)
            _draw(axes, rows, column, look)
            if axes is panels[0]:
                title_model(axes, model, style, initialised, {reason: numbers(rows[column])})
            else:
                title_panel(axes, "", {reason: numbers(rows[column])})
    note = label_columns(
        columns, x="layer", y=[name for name, _ in PANELS.values()], note=shown.note
    )
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label="all tokens", **STATES_LOOK),
            Line2D([], [], color="0.5", label="median, without the first token", **LATER_LOOK),
            *shown.beside_entries(),
            Line2D([], [], label=f"bounds {small_update:g} and {stable_rank:g}", **BOUND_LOOK),
            *zero_legend(*(states[column] for column in (*PANELS, LATER))),
        ],
        note,
    )
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, column: str, look: dict[str, Any]) -> None:
    plot_positive(axes, numbers(rows["layer"]), numbers(rows[column]), **look)
