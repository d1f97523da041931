"""The levels of the algebraic tower by depth (section 6)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import legend_below, title_panel
from headalgebra.plots._style import INITIAL_LINE, INK, TRAINED_LINE, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

PANELS = (
    ("C*", "operator_norm_mean", r"C*: mean $\|A_h\|_2$"),
    ("W*", "commutant_gap", "W*: gap to decoupling"),
    ("Lie", "rank", r"Lie: dim span{$A_h$, $[A_i,A_j]$}"),
    ("L∞", "rho3", r"L∞: $ρ_3=\|ℓ_3\|/\|ℓ_2∘ℓ_2\|$"),
    ("gauge", "action_normalised", "gauge: |S|, unit operator norms"),
    ("gauge", "wilson_deviation", "gauge: mean |W(1) − 1|"),
)
"""Level, quantity and name of each panel, from the bottom of the tower up."""

COLUMNS = ("model", "layer", "level", "quantity", "value")

POINT_LOOK: dict[str, Any] = {"markersize": 2.8, "zorder": 3}
NEGATIVE_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 2.8,
    "markerfacecolor": "white",
    "markeredgecolor": INK,
    "zorder": 4,
}


@paper_style()
def tower_by_depth(
    tower: pd.DataFrame, style: FigureStyle, *, initialised: Collection[str]
) -> Figure:
    """One quantity of each level against relative depth, a line a model.

    Parameters
    ----------
    tower
        Columns ``model``, ``layer``, ``level``, ``quantity`` and ``value``; missing numbers are
        gaps. Where S is negative its point is open.
    style
        How it looks.
    initialised
        Models that were never trained, whose lines are dashed.

    Raises
    ------
    ValueError
        When the table has no rows or lacks a column.
    """
    require_columns(tower, "tower", COLUMNS)
    models = rows_by_model(tower, "tower")
    colours, markers = style.model_colours(tower), style.model_markers(tower)
    looks: dict[str, dict[str, Any]] = {
        model: {
            "color": colours[model],
            "marker": markers[model],
            "linestyle": INITIAL_LINE if model in initialised else TRAINED_LINE,
            **POINT_LOOK,
        }
        for model in models
    }
    figure = Figure(figsize=(style.width_inches, 5.4), layout="constrained")
    negative = False
    for axes, (level, quantity, name) in zip(figure.subplots(3, 2).flat, PANELS, strict=True):
        chosen = tower[(tower["level"] == level) & (tower["quantity"] == quantity)]
        every = np.abs(numbers(chosen["value"]))
        log_axis(axes.yaxis, log_limits(every))
        axes.set_xlim(-0.04, 1.04)
        for model in models:
            rows = chosen[chosen["model"] == model].sort_values("layer", kind="stable")
            values = numbers(rows["value"])
            depth = numbers(rows["layer"]) / max(float(rows["layer"].max()), 1.0)
            plot_positive(axes, depth, np.abs(values), **looks[model])
            below = values < 0
            negative |= bool(below.any())
            axes.plot(depth[below], -values[below], **NEGATIVE_LOOK)
        without = [
            model for model in models if chosen.loc[chosen["model"] == model, "value"].isna().all()
        ]
        # Where it is of none, the panel says so in its middle.
        some = 0 < len(without) < len(models)
        remarks = [f"none of {', '.join(without)}: see the notes"] if some else []
        title_panel(axes, name, {"too large, or too few heads: see the notes": every}, remarks)
        axes.set_xlabel("layer / last layer")
    legend_below(
        figure,
        [
            *(Line2D([], [], label=style.called(model), **look) for model, look in looks.items()),
            *([Line2D([], [], label="S negative", **NEGATIVE_LOOK)] if negative else []),
            *zero_legend(
                *(tower.loc[tower["quantity"] == quantity, "value"] for _, quantity, _ in PANELS)
            ),
        ],
    )
    return figure
