"""GPT-2 Medium among the intervals that the paper gives for it (section 5)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator

from headalgebra.claims.linf.gpt2_medium import SHAPE
from headalgebra.claims.linf.paper import GPT2_MEDIUM_EPSILON
from headalgebra.plots._axes import log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import legend_below, title_panel
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns

COLUMNS = ("model", "layer", *SHAPE, "epsilon", "epsilon_null")

ABSENT = "GPT-2 Medium is not in this study"

CLAIM_LOOK: dict[str, Any] = {
    "facecolor": "0.87",
    "edgecolor": "0.35",
    "linewidth": 0.8,
    "zorder": 1,
}
MEASURED_LOOK: dict[str, Any] = {"marker": "o", "markeredgecolor": INK, "zorder": 3}
INITIAL_LOOK: dict[str, Any] = {
    "marker": "o",
    "markerfacecolor": "white",
    "linestyle": (0, (3.5, 1.5)),
    "zorder": 2.5,
}
HAAR_LOOK: dict[str, Any] = {"color": INK, "linestyle": ":", "linewidth": 1.1, "zorder": 3.5}


@paper_style()
def gpt2_medium_intervals(
    layers: pd.DataFrame,
    style: FigureStyle,
    *,
    measured: Collection[str],
    initial: Collection[str],
) -> Figure:
    """ε of GPT-2 Medium by layer, counted from 1 as the paper does, with the paper's intervals.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``n_layers``, ``n_heads``, ``d_model``, ``d_head``,
        ``epsilon`` and ``epsilon_null``; rows of other models are left out.
    style
        How it looks.
    measured
        Models that come from its repository. The share of their layers inside each interval
        is written above it.
    initial
        Models that are its architecture at initialisation, drawn as nulls: their layers are
        counted nowhere.

    Raises
    ------
    NothingToShow
        When none of the models is GPT-2 Medium: an initialisation alone is no evidence.
    ValueError
        When the table lacks a column or a model.

    Notes
    -----
    A model of another shape is not GPT-2 Medium, whatever it is called: it is left out, and a line
    above the panel says so.
    """
    require_columns(layers, "layers", COLUMNS)
    rows = layers[layers["model"].isin([*measured, *initial])]
    if missing := [model for model in (*measured, *initial) if model not in set(rows["model"])]:
        raise ValueError(f"the table layers lacks {missing[0]}; give its rows")
    alike = (rows[list(SHAPE)] == pd.Series(SHAPE)).all(axis="columns")
    others = list(rows["model"][~alike].unique())
    remarks = [f"{model} is left out: it has another shape than GPT-2 Medium." for model in others]
    rows = rows[alike]
    measured = [model for model in measured if model not in others]
    initial = [model for model in initial if model not in others]
    if not measured:
        said = [f"{model} has another shape" for model in others]
        raise NothingToShow("; ".join([ABSENT, *said]))
    if np.isnan(numbers(rows.loc[rows["model"].isin(measured), "epsilon"])).all():
        raise NothingToShow(f"no ε of {', '.join(measured)}")
    figure = Figure(figsize=(style.width_inches, 2.7), layout="constrained")
    axes = figure.subplots()
    claimed = [end for _, interval in GPT2_MEDIUM_EPSILON for end in interval]
    low, high = log_limits(rows["epsilon"], rows["epsilon_null"], claimed)
    # Room for what is written above the highest interval.
    log_axis(axes.yaxis, (low, high * (high / low) ** 0.06))
    axes.set_xlim(0, SHAPE["n_layers"] + 1)
    axes.xaxis.set_major_locator(FixedLocator([1, *(s[-1] + 1 for s, _ in GPT2_MEDIUM_EPSILON)]))
    of_measured = rows[rows["model"].isin(measured)]
    for span, interval in GPT2_MEDIUM_EPSILON:
        _draw_interval(axes, span, interval, of_measured)
    colours = style.model_colours(layers)
    for model in (*measured, *initial):
        of_model = rows[rows["model"] == model].sort_values("layer")
        layer, epsilon, haar = (
            numbers(of_model[name]) for name in ("layer", "epsilon", "epsilon_null")
        )
        look = MEASURED_LOOK if model in measured else INITIAL_LOOK
        plot_positive(axes, layer + 1, epsilon, color=colours[model], **look)
        if model in measured:
            plot_positive(axes, layer + 1, haar, **HAAR_LOOK)
    axes.set_xlabel("layer, counted from 1")
    axes.set_ylabel("ε")
    title_panel(axes, "", {}, remarks)
    legend_below(
        figure,
        [
            Patch(label="interval of the paper", **CLAIM_LOOK),
            *(
                Line2D([], [], color=colours[model], label=style.called(model), **MEASURED_LOOK)
                for model in measured
            ),
            Line2D([], [], label="its Haar null", **HAAR_LOOK),
            *(
                Line2D(
                    *([], []),
                    color=colours[model],
                    label=f"{style.called(model)} (null: never trained)",
                    **INITIAL_LOOK,
                )
                for model in initial
            ),
            *zero_legend(rows["epsilon"]),
        ],
    )
    return figure


def _draw_interval(
    axes: Axes, span: range, interval: tuple[float, float], measured: pd.DataFrame
) -> None:
    low, high = interval
    axes.add_patch(Rectangle((span[0] + 0.5, low), len(span), high - low, **CLAIM_LOOK))
    within = measured[measured["layer"].isin(span)]
    if len(within):
        inside = within["epsilon"].between(low, high).sum()
        axes.annotate(
            f"{inside} of {len(within)} inside",
            (span[0] + 0.5 + len(span) / 2, high),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
        )
