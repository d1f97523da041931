"""What permutations of axes within blocks of a head's width, and across them, do (section 5)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from headalgebra.plots._axes import ZERO_LOOK, longer, symlog_axis
from headalgebra.plots._panels import (
    AT_INITIALISATION,
    legend_below,
    model_panels,
    title_panel,
)
from headalgebra.plots._runs import BESIDE_LOOK, models_with_rows
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns

COLUMNS = (
    *("model", "permuted", "quantity", "moved", "permutations", "mean", "standard_error", "note"),
)

GROUPS = {
    "joint": ("joint", ""),
    "query\nonly": ("query only", ""),
    "stream": ("stream", ""),
    "stream,\ndealt\nanew": ("stream", "relabelled "),
}
"""Groups of points from the left, by what is permuted and what stands before the name of a move."""

MOVES: dict[str, tuple[float, dict[str, Any]]] = {
    "within": (-0.2, {"marker": "o"}),
    "across": (0.2, {"marker": "D"}),
}
"""Where the points of a move stand beside the middle of their group, and their markers."""

QUANTITIES = {"cross_entropy": "rise of the loss, nats", "last_state": "change of $x_L$"}
"""What a permutation is judged by; a model has one of them."""

LINEAR_TO = 0.01
"""Up to so much the axis is linear."""

ROUNDING = 1e-6
"""What is smaller is rounding of a sum over a model's layers, and marked as zero."""

POINT_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "markeredgecolor": INK,
    "markersize": 3.2,
    "zorder": 3,
}
ERROR_KEY: dict[str, Any] = {"linestyle": "none", "marker": "|", "markersize": 7}
ZERO_LINE: dict[str, Any] = {"color": "0.55", "linewidth": 0.5, "zorder": 1}
BETWEEN_LINE: dict[str, Any] = {"color": "0.85", "linewidth": 0.5, "zorder": 0}


@paper_style()
def permuted_axes(
    axes: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
) -> Figure:
    """Harm of permutations within and across blocks of axes, a group for each thing permuted.

    Means over permutations with their standard errors. The axis is linear close to zero, and what
    is zero but for rounding is marked.

    Parameters
    ----------
    axes
        Columns ``model``, ``permuted``, ``quantity``, ``moved``, ``permutations``, ``mean``,
        ``standard_error`` and ``note``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these whose means are drawn in the same panels.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(axes, "axes", COLUMNS)
    shown = models_with_rows(
        axes,
        runs,
        initialisations=initialisations,
        otherwise="no axes were permuted",
        nothing="no permutations to draw",
        values=("mean",),
    )
    colours = style.model_colours(runs)
    figure, panels = model_panels(
        len(shown.beside), style.width_inches, panel_height=2.1, alike=False
    )
    limits = {name: _limits(rows) for name, rows in axes.groupby("quantity")}
    errors = False
    for panel, (model, initial) in zip(panels, shown.beside.items(), strict=True):
        rows = shown.rows[model]
        symlog_axis(panel.yaxis, LINEAR_TO)
        (quantity,) = rows["quantity"].unique()
        panel.set_ylim(*limits[quantity])
        panel.set_ylabel(QUANTITIES.get(quantity, quantity))
        panel.set_xlim(-0.5, len(GROUPS) - 0.5)
        panel.xaxis.set_major_locator(FixedLocator([*range(len(GROUPS))]))
        panel.set_xticks([*range(len(GROUPS))], [*GROUPS])
        panel.tick_params(axis="x", length=0)
        panel.axhline(0, **ZERO_LINE)
        for between in range(1, len(GROUPS)):
            panel.axvline(between - 0.5, **BETWEEN_LINE)
        if initial is not None:
            beside = BESIDE_LOOK | {"linestyle": "none", "color": "0.35"}
            for moved in MOVES:
                _draw(panel, shown.rows[initial], moved, beside, aside=0.14)
        face = {"markerfacecolor": "white"} if model in initialised else {}
        for moved, (_, marker) in MOVES.items():
            look = {"color": colours[model]} | POINT_LOOK | marker | face
            errors |= _draw(panel, rows, moved, look)
        remarks = [AT_INITIALISATION] if model in initialised else []
        title_panel(panel, style.called(model), _missing(rows), remarks)
    drawn = " or ".join(f"{n:g}" for n in sorted({*numbers(axes["permutations"])} - {0}))
    rounded = (np.abs(numbers(axes["mean"])) <= ROUNDING).any()
    legend_below(
        figure,
        [
            *(
                Line2D([], [], color="0.5", label=f"{moved} blocks", **(POINT_LOOK | look))
                for moved, (_, look) in MOVES.items()
            ),
            *(
                [Line2D([], [], color="0.5", label=f"± standard error of {drawn}", **ERROR_KEY)]
                if errors
                else []
            ),
            *(
                [
                    Line2D(
                        [],
                        [],
                        label="the same at initialisation",
                        **(BESIDE_LOOK | {"linestyle": "none"}),
                    )
                ]
                if any(shown.beside.values())
                else []
            ),
            *([Line2D([], [], label="0 but for rounding", **ZERO_LOOK)] if rounded else []),
        ],
        shown.note,
    )
    return figure


def _missing(rows: pd.DataFrame) -> dict[str, Values]:
    notes = set(rows.loc[rows["mean"].isna(), "note"].fillna("").astype(str)) - {""}
    return {notes.pop() if len(notes) == 1 else "no permutations": numbers(rows["mean"])}


def _draw(
    panel: Axes, rows: pd.DataFrame, moved: str, look: dict[str, Any], aside: float = 0.0
) -> bool:
    """The points of a move, one in each group, zeros marked; whether their errors can be seen."""
    at = rows.set_index(["permuted", "moved"])
    keys = [(which, f"{before}{moved}") for which, before in GROUPS.values()]
    found = at.reindex(keys)
    place = np.arange(len(GROUPS)) + MOVES[moved][0] + aside
    mean, error = numbers(found["mean"]), numbers(found["standard_error"])
    zero = np.abs(mean) <= ROUNDING
    panel.vlines(place, mean - error, mean + error, color=look["color"], linewidth=0.9, zorder=2.9)
    panel.plot(place, np.where(zero, np.nan, mean), **look)
    panel.plot(place[zero], mean[zero], **(ZERO_LOOK | {"zorder": 4}))
    return longer(panel, mean - error, mean + error, POINT_LOOK["markersize"])


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis with every mean and its error inside, and two decades beyond its middle."""
    mean, error = numbers(rows["mean"]), np.nan_to_num(numbers(rows["standard_error"]))
    low = min(-LINEAR_TO, float(np.nanmin(mean - error, initial=0.0)))
    high = max(100 * LINEAR_TO, float(np.nanmax(mean + error, initial=0.0)))
    return 1.6 * low, 1.6 * high
