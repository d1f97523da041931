"""How large attention scores are, and what of them is an angle (section 3.2)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from headalgebra.defaults import COSINE_R2, SCORE_STD_FROM, SCORE_STD_TO
from headalgebra.plots._axes import layer_axis, log_axis, log_limits, plot_positive
from headalgebra.plots._panels import legend_below, title_model, title_panel
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns
from headalgebra.plots.geometry._rows import (
    BOUND_LOOK,
    COLUMNS,
    HEADS_LOOK,
    LATER_LOOK,
    MEAN_LOOK,
    NULL_LOOK,
    draw_heads,
    draw_median,
    missing,
    model_look,
    of_quantity,
)

STD, R2 = "score_std", "score_cosine_r2"
INITIAL_STD, INITIAL_RATIO = "initial_score_std_", "initial_score_variance_ratio_"
"""Of drawn heads; the width of a head follows."""

BAND_LOOK: dict[str, Any] = {"facecolor": "0.92", "edgecolor": "none", "zorder": 0}
RATIO_LOOK: dict[str, Any] = {"color": INK, "marker": "^", "linestyle": "--", "linewidth": 0.8}
DRAWN_LOOK: dict[str, Any] = {"color": INK, "marker": "s", "markerfacecolor": "white"}


@paper_style()
def scores_by_layer(
    geometry: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
    score_std_from: float = SCORE_STD_FROM,
    score_std_to: float = SCORE_STD_TO,
    cosine_r2: float = COSINE_R2,
) -> Figure:
    """Standard deviation of scores, the share of them that is an angle, and scores of drawn heads.

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
        For trained models the one of these whose medians are drawn in the same panels.
    score_std_from, score_std_to
        A band behind the standard deviations: within it one is called of order 1.
    cosine_r2
        A line across the shares: from it on the angle explains a score.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(geometry, "geometry", COLUMNS)
    of_heads = [f"{quantity}{where}" for quantity in (STD, R2) for where in ("", "_without_first")]
    quantity = geometry["quantity"]
    heads = geometry[quantity.isin(of_heads)]
    initial_scores = geometry[quantity.str.startswith((INITIAL_STD, INITIAL_RATIO))]
    shown = models_with_rows(
        pd.concat([heads, initial_scores]),
        runs,
        initialisations=initialisations,
        otherwise="no scores were seen",
        nothing="no scores to draw",
    )
    colours = style.model_colours(runs)
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.3, 1.2, 1.2))
    std_limits = log_limits(
        numbers(heads.loc[heads["quantity"].isin(of_heads[:2]), "value"]),
        [score_std_from, score_std_to],
    )
    shares = numbers(heads.loc[heads["quantity"].isin(of_heads[2:]), "value"])
    lowest = float(np.nanmin(shares, initial=cosine_r2))
    initial_limits = log_limits(*(numbers(initial_scores[name]) for name in ("value", "null")))
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows = shown.rows[model]
        above, middle, below = panels
        log_axis(above.yaxis, std_limits)
        above.axhspan(score_std_from, score_std_to, **BAND_LOOK)
        middle.set_ylim(lowest - 0.04, 1.04)
        middle.axhline(cosine_r2, **BOUND_LOOK)
        layers = numbers(rows["layer"])
        for axes, name, reason in ((above, STD, "no scores"), (middle, R2, "no correlations")):
            if np.isfinite(layers).any():
                layer_axis(axes, layers[np.isfinite(layers)])
            draw_heads(axes, of_quantity(rows, name), colours[model])
            if initial is not None:
                draw_median(axes, of_quantity(shown.rows[initial], name), BESIDE_LOOK)
            later = {"color": colours[model]} | LATER_LOOK
            draw_median(axes, of_quantity(rows, f"{name}_without_first"), later)
            draw_median(
                axes, of_quantity(rows, name), model_look(colours[model], model, initialised)
            )
            series = missing(of_quantity(rows, name), reason)
            if axes is above:
                title_model(axes, model, style, initialised, series)
            else:
                title_panel(axes, "", series)
        middle.set_xlabel("layer")
        middle.tick_params(labelbottom=True)
        log_axis(below.yaxis, initial_limits)
        _draw_drawn(below, rows)
    note = label_columns(
        columns,
        x="width $d_k$ of a drawn head",
        y=("sd of scores", "$R^2$ on the cosine", "drawn heads"),
        note=shown.note,
    )
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label="median of the heads", **MEAN_LOOK),
            Line2D([], [], color="0.5", label="a head", **HEADS_LOOK),
            Line2D([], [], color="0.5", label="median, without the first token", **LATER_LOOK),
            *shown.beside_entries("median, at initialisation"),
            Patch(label=f"sd from {score_std_from:g} to {score_std_to:g}", **BAND_LOOK),
            Line2D([], [], label=f"bound {cosine_r2:g} of $R^2$", **BOUND_LOOK),
            Line2D([], [], label="drawn: sd of scores", **DRAWN_LOOK),
            Line2D([], [], label="what is expected of it, $dσ^2$", **NULL_LOOK),
            Line2D([], [], label="drawn: variance / independent", **RATIO_LOOK),
        ],
        note,
    )
    return figure


def _draw_drawn(axes: Axes, rows: pd.DataFrame) -> None:
    """Scores of drawn heads by their width, on a scale of octaves."""
    axes.set_xscale("log", base=2)
    stds = _by_width(rows, INITIAL_STD)
    ratios = _by_width(rows, INITIAL_RATIO)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    if len(stds):
        widths = numbers(stds["width"])
        axes.xaxis.set_major_locator(FixedLocator([*widths]))
        axes.xaxis.set_major_formatter(lambda width, _: f"{width:g}")
        axes.set_xlim(widths.min() / 1.3, widths.max() * 1.3)
    axes.axhline(1, **BOUND_LOOK)
    plot_positive(axes, numbers(stds["width"]), numbers(stds["null"]), **NULL_LOOK)
    plot_positive(axes, numbers(ratios["width"]), numbers(ratios["value"]), **RATIO_LOOK)
    plot_positive(axes, numbers(stds["width"]), numbers(stds["value"]), **DRAWN_LOOK)
    title_panel(axes, "", missing(stds, "no heads were drawn"))


def _by_width(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    found = rows[rows["quantity"].str.startswith(quantity)]
    widths = found["quantity"].str.removeprefix(quantity).astype(float)
    return found.assign(width=widths).sort_values("width")
