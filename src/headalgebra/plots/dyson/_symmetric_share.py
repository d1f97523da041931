"""How near heads are to symmetric operators, in encoders and in decoders (sections I and III.3)."""

from collections.abc import Collection
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import legend_below
from headalgebra.plots._runs import NOT_RUN
from headalgebra.plots._style import (
    INITIAL_LINE,
    INK,
    SIDE_BY_SIDE_FROM,
    TRAINED_LINE,
    FigureStyle,
    paper_style,
)
from headalgebra.plots._tables import numbers, require_columns

KINDS = {
    "encoder": "encoders: tokens see both ways",
    "decoder": "decoders: tokens see earlier ones",
    "": f"neither is known: {NOT_RUN}",
}
"""Panels by what a pass of the model told of its kind."""

SHARE, CHANCE = "symmetric_share", "symmetric_share_chance"

HEADS_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "marker": ".",
    "markersize": 2.5,
    "alpha": 0.45,
    "zorder": 2,
}
MEAN_LOOK: dict[str, Any] = {"markersize": 3.4, "zorder": 3}
CHANCE_LOOK: dict[str, Any] = {"color": INK, "linestyle": ":", "linewidth": 0.9, "zorder": 2.5}


@paper_style()
def symmetric_share_by_depth(
    normality: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
) -> Figure:
    """Symmetric share of every head against relative depth, encoders beside decoders.

    The share is ‖(A + Aᵀ)/2‖_F² / ‖A‖_F²: 1 for a symmetric A, 0 for a skew one. Small points are
    heads, lines their means by layer.

    Parameters
    ----------
    normality
        Columns ``model``, ``layer``, ``operator``, ``quantity`` and ``value``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained, whose lines are dashed and whose markers are open.

    Raises
    ------
    NothingToShow
        When all heads are zero.
    ValueError
        When a table lacks a column.
    """
    require_columns(normality, "normality", ("model", "layer", "operator", "quantity", "value"))
    require_columns(runs, "runs", ("model", "kind"))
    heads = normality[normality["operator"].str.startswith("head ")].astype({"model": str})
    shares = heads[(heads["quantity"] == SHARE) & heads["value"].notna()]
    if shares.empty:
        raise NothingToShow("no heads to draw: all of them are zero")
    chance = heads[heads["quantity"] == CHANCE].groupby("model")["value"].mean()
    kinds = dict(zip(runs["model"].astype(str), runs["kind"].fillna(""), strict=True))
    drawn = [model for model in kinds if model in set(shares["model"])]
    found = [kind for kind in KINDS if kind in {kinds[model] for model in drawn}]
    colours, markers = style.model_colours(runs), style.model_markers(runs)
    looks = {
        model: {
            "color": colours[model],
            "marker": markers[model],
            "linestyle": INITIAL_LINE if model in initialised else TRAINED_LINE,
            "markerfacecolor": "white" if model in initialised else colours[model],
            **MEAN_LOOK,
        }
        for model in drawn
    }
    beside = len(found) > 1 and style.width_inches >= SIDE_BY_SIDE_FROM
    shape = (1, len(found)) if beside else (len(found), 1)
    figure = Figure(figsize=(style.width_inches, 0.6 + 2.0 * shape[0]), layout="constrained")
    panels = [*figure.subplots(*shape, squeeze=False, sharey=True, sharex=True).flat]
    for axes, kind in zip(panels, found, strict=True):
        of_kind = [model for model in drawn if kinds[model] == kind]
        for model in of_kind:
            _draw_model(axes, shares[shares["model"] == model], looks[model])
        for value in sorted({chance[model] for model in of_kind if model in chance}):
            axes.axhline(value, **CHANCE_LOOK)
        axes.set_title(KINDS[kind])
        axes.set_xlim(-0.04, 1.04)
        if beside or axes is panels[-1]:
            axes.set_xlabel("layer / last layer")
        if not beside or axes is panels[0]:
            axes.set_ylabel("symmetric share")
    missing = ", ".join(model for model in kinds if model not in drawn)
    legend_below(
        figure,
        [
            *(Line2D([], [], label=style.called(model), **look) for model, look in looks.items()),
            Line2D([], [], color="0.4", label="a head", **HEADS_LOOK),
            Line2D([], [], label="chance $1/2+1/(2d)$", **CHANCE_LOOK),
        ],
        f"no heads, or all of them zero: {missing}" if missing else "",
    )
    return figure


def _draw_model(axes: Axes, shares: pd.DataFrame, look: dict[str, Any]) -> None:
    last = max(float(shares["layer"].max()), 1.0)
    axes.plot(
        *(numbers(shares["layer"]) / last, numbers(shares["value"])),
        color=look["color"],
        **HEADS_LOOK,
    )
    means = shares.groupby("layer")["value"].mean().reset_index()
    axes.plot(numbers(means["layer"]) / last, numbers(means["value"]), **look)
