"""ε over the checkpoints of a training run."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import legend_below, title_panel
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns

CHANCE_LOOK: dict[str, Any] = {"color": INK, "linestyle": ":", "linewidth": 0.9, "zorder": 1.5}
POINT_LOOK: dict[str, Any] = {"marker": "o", "markersize": 2.2, "linewidth": 0.9, "zorder": 3}


@paper_style()
def epsilon_over_training(
    layers: pd.DataFrame, style: FigureStyle, *, checkpoints: Mapping[str, str], title: str
) -> Figure:
    """ε of every layer, and its ratio to the Haar null, over the checkpoints of one training run.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``epsilon`` and ``epsilon_null``; rows of other models are
        left out.
    style
        How it looks.
    checkpoints
        The model of each revision, in the order of the training.
    title
        Title of the figure.

    Raises
    ------
    ValueError
        When the table lacks a column or a model.
    """
    require_columns(layers, "layers", ("model", "layer", "epsilon", "epsilon_null"))
    if missing := set(checkpoints.values()) - set(layers["model"]):
        raise ValueError(f"the table layers lacks {sorted(missing)[0]}; give its rows")
    steps = training_steps(list(checkpoints))
    time = np.arange(len(checkpoints), dtype=np.float64) if steps is None else steps
    rows = layers[layers["model"].isin(checkpoints.values())].assign(
        ratio=lambda table: table["epsilon"] / table["epsilon_null"]
    )
    depths = sorted(rows["layer"].unique())
    shades = style.depth_colours()(np.linspace(0, 1, len(depths)))
    figure = Figure(figsize=(style.width_inches, 2.6), layout="constrained")
    figure.suptitle(title)
    panels = {"epsilon": "ε", "ratio": r"$ε\,/\,ε_{\mathrm{Haar}}$"}
    for axes, (column, symbol) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        table = rows.pivot(index="model", columns="layer", values=column)
        table = table.loc[list(checkpoints.values())]
        log_axis(axes.yaxis, log_limits(rows[column], [1.0] if column == "ratio" else []))
        for shade, layer in zip(shades, depths, strict=True):
            plot_positive(axes, time, numbers(table[layer]), color=shade, **POINT_LOOK)
        if column == "ratio":
            axes.axhline(1, **CHANCE_LOOK)
        _time_axis(axes, time, None if steps is not None else list(checkpoints))
        title_panel(axes, "", {"no ε: it needs two heads": numbers(rows[column])})
        axes.set_ylabel(symbol)
    legend_below(
        figure,
        [
            *(
                Line2D([], [], color=shades[k], label=f"layer {depths[k]}", **POINT_LOOK)
                for k in sorted({0, len(depths) // 2, len(depths) - 1})
            ),
            Line2D([], [], label="chance", **CHANCE_LOOK),
            *zero_legend(rows["epsilon"]),
        ],
    )
    return figure


def training_steps(revisions: Sequence[str]) -> Values | None:
    """The numbers that the revisions end in, if all do and they increase."""
    ends = [re.search(r"(\d+)$", revision) for revision in revisions]
    steps = np.array([float(end[1]) for end in ends if end])
    return steps if len(steps) == len(ends) and (np.diff(steps) > 0).all() else None


def _time_axis(axes: Axes, time: Values, names: list[str] | None) -> None:
    axes.margins(x=0.04)
    if names is None:
        axes.set_xlabel("training step")
        if len(time) > 2 and time[-1] > 100 * max(time[1], 1):
            # Step 0 has no logarithm: the axis is linear up to the first step after it.
            axes.set_xscale("symlog", linthresh=float(time[time > 0][0]))
        return
    axes.set_xlabel("checkpoint")
    shown = np.unique(np.linspace(0, len(names) - 1, min(len(names), 4)).round().astype(int))
    axes.set_xticks(shown, [names[k] for k in shown], rotation=20, ha="right")
