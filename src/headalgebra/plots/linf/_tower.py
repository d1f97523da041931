"""The levels of the algebraic tower by depth (section 6)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import label_below, legend_below, title_panel
from headalgebra.plots._style import INITIAL_LINE, INK, TRAINED_LINE, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

PANELS = (
    ("C*", "operator_norm_mean", r"mean $\|A_h\|_2$", "all heads are zero"),
    ("W*", "commutant_gap", "gap to decoupling", "it was not found"),
    ("Lie", "rank", r"dim span{$A_h$, $[A_i,A_j]$}", "it was not found"),
    ("L∞", "rho3", r"$ρ_3=\|ℓ_3\|/\|ℓ_2∘ℓ_2\|$", "it needs three basis elements"),
    ("gauge", "action_normalised", "$|S|$, unit heads", "it needs two heads"),
    ("gauge", "wilson_deviation", "mean $|W(1)-1|$", "it needs two heads"),
)
"""Level, quantity and name of each panel, from the bottom of the tower up, and why one may have
no number where the notes say nothing."""

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
    tower: pd.DataFrame,
    layers: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
) -> Figure:
    """One quantity of each level against relative depth, a line a model.

    Parameters
    ----------
    tower
        Columns ``model``, ``layer``, ``level``, ``quantity`` and ``value``; missing numbers are
        gaps. Where S is negative its point is open. A panel that has no numbers is left out.
    layers
        Columns ``model`` and ``note``, which says what was too large to compute.
    style
        How it looks.
    initialised
        Models that were never trained, whose lines are dashed.

    Raises
    ------
    NothingToShow
        When no level has a number.
    ValueError
        When the table of the tower has no rows, or a table lacks a column.
    """
    require_columns(tower, "tower", COLUMNS)
    require_columns(layers, "layers", ("model", "note"))
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
    figure, panels, drawn = _panels(tower, style.width_inches)
    negative = False
    notes = []
    for level, quantity, name, otherwise in PANELS:
        chosen = tower[(tower["level"] == level) & (tower["quantity"] == quantity)]
        without = [
            model for model in models if chosen.loc[chosen["model"] == model, "value"].isna().all()
        ]
        said = _why(layers, level, without, otherwise, style)
        if (level, quantity) not in drawn:
            notes.append(f"{level}, {name}, not drawn: {said}")
            continue
        axes = panels[drawn.index((level, quantity))]
        log_axis(axes.yaxis, log_limits(np.abs(numbers(chosen["value"]))))
        axes.set_xlim(-0.04, 1.04)
        for model in models:
            rows = chosen[chosen["model"] == model].sort_values("layer", kind="stable")
            values = numbers(rows["value"])
            depth = numbers(rows["layer"]) / max(float(rows["layer"].max()), 1.0)
            plot_positive(axes, depth, np.abs(values), **looks[model])
            below = values < 0
            negative |= bool(below.any())
            axes.plot(depth[below], -values[below], **NEGATIVE_LOOK)
        title_panel(axes, level, {}, [f"none of {said}"] if without else [])
        axes.set_ylabel(name)
    label_below(panels, "layer / last layer")
    legend_below(
        figure,
        [
            *(Line2D([], [], label=style.called(model), **look) for model, look in looks.items()),
            *([Line2D([], [], label="S negative", **NEGATIVE_LOOK)] if negative else []),
            *zero_legend(
                *(tower.loc[tower["quantity"] == quantity, "value"] for _, quantity, *_ in PANELS)
            ),
        ],
        "; ".join(dict.fromkeys(notes)),
    )
    return figure


def _panels(tower: pd.DataFrame, width: float) -> tuple[Figure, list[Axes], list[tuple[str, str]]]:
    """A figure with a panel for each level and quantity that has numbers, and these."""
    known = tower[np.isfinite(numbers(tower["value"]))]
    found = set(zip(known["level"], known["quantity"], strict=True))
    drawn = [(level, quantity) for level, quantity, *_ in PANELS if (level, quantity) in found]
    if not drawn:
        raise NothingToShow("no number of any level")
    n_rows = -(-len(drawn) // 2)
    figure = Figure(figsize=(width, 1.75 * n_rows + 0.2), layout="constrained")
    panels = [*figure.subplots(n_rows, 2, squeeze=False).flat]
    for spare in panels[len(drawn) :]:
        spare.remove()
    return figure, panels[: len(drawn)], drawn


def _why(
    layers: pd.DataFrame, level: str, models: list[str], otherwise: str, style: FigureStyle
) -> str:
    """The models without a number of a level, each with what the notes of its layers say."""
    end = f": no {level} level"
    reasons: dict[str, list[str]] = {}
    for model in models:
        notes = layers.loc[layers["model"].astype(str) == model, "note"].fillna("").astype(str)
        parts = [part for note in notes for part in note.split("; ") if part.endswith(end)]
        said = " or ".join(dict.fromkeys(part.removesuffix(end) for part in parts)) or otherwise
        reasons.setdefault(said, []).append(style.called(model))
    return "; ".join(f"{', '.join(names)}: {said}" for said, names in reasons.items())
