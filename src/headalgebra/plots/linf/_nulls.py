"""What a layer has, beside what chance gives it, by depth."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import (
    EDGE_KEY,
    SPREAD_KEY,
    draw_spread,
    layer_axis,
    log_axis,
    log_limits,
    longer,
    plot_positive,
    zero_legend,
)
from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import label_below, legend_below, wrapped
from headalgebra.plots._style import INK, FigureStyle, darkened, paper_style
from headalgebra.plots._tables import numbers, require_columns

PANELS = {
    "epsilon": ("ε", "no ε, which needs two heads"),
    "epsilon_relative": ("ε̂", "no ε̂: a head is zero, or alone"),
    "rho3": (r"$ρ_3$", r"no $ρ_3$, which needs three basis elements"),
    "closure_isotropy": (r"$(1-χ)\,d^2/n$", "no brackets to close"),
}
"""Quantities in the order of the panels: their symbols, and why one may be missing."""

NULLS: dict[str, tuple[str, str]] = {
    "pooled": ("heads drawn alike (pooled)", "s"),
    "haar": ("heads turned at random (Haar)", "D"),
    "layers": ("heads of other layers", "^"),
    "gaussian": ("Gaussian factors, same norms", "X"),
    "init": ("the architecture at initialisation", "P"),
}
"""What the nulls are called and their markers."""

FEW_LAYERS = 8
"""Up to so many layers two panels stand side by side; more need the whole width."""

PANEL_HEIGHT = 1.75

APART = 0.8
"""Of the distance of two layers, the room that the nulls of one take."""

MEASURED_LOOK: dict[str, Any] = {
    "color": INK,
    "marker": "o",
    "markerfacecolor": "white",
    "markeredgecolor": INK,
    "linewidth": 0.9,
    "zorder": 2.5,
}
POINT_LOOK: dict[str, Any] = {"linestyle": "none", "markersize": 2.6, "zorder": 3}


@paper_style()
def beside_chance(
    epsilon: pd.DataFrame,
    coherence: pd.DataFrame,
    nulls: pd.DataFrame,
    style: FigureStyle,
    *,
    model: str,
) -> Figure:
    """ε, ε̂, ρ₃ and (1 - χ) d²/n of a model by layer, with what the nulls' draws give.

    A null is a point at the mean of its draws, with a bar between the quantiles 0.025 and 0.975;
    the nulls of a layer stand beside one another. An end of a bar that is zero is a filled
    triangle on the lower edge.

    Parameters
    ----------
    epsilon, coherence
        Rows of the model: ``layer`` and the quantities, ``epsilon`` and ``epsilon_relative`` in
        the one, ``rho3`` and ``closure_isotropy`` in the other. A quantity without numbers has no
        panel, and a line below says why.
    nulls
        Rows of the model: ``layer``, ``quantity``, ``null``, ``mean``, ``low`` and ``high``.
    style
        How it looks.
    model
        Title of the figure.

    Raises
    ------
    NothingToShow
        When there is none of the quantities.
    ValueError
        When a table lacks a column.
    """
    require_columns(epsilon, "epsilon", ("layer", "epsilon", "epsilon_relative"))
    require_columns(coherence, "coherence", ("layer", "rho3", "closure_isotropy"))
    require_columns(nulls, "nulls", ("layer", "quantity", "null", "mean", "low", "high"))
    layers = epsilon.merge(coherence, on="layer", validate="1:1").sort_values("layer")
    shown = [name for name in PANELS if np.isfinite(numbers(layers[name])).any()]
    missing = [reason for name, (_, reason) in PANELS.items() if name not in shown]
    if not shown:
        raise NothingToShow("; ".join(missing))
    figure, panels = _panels(len(shown), len(layers), style.width_inches)
    figure.suptitle(wrapped(style.called(model), 0.85 * style.width_inches))
    palette = sns.color_palette(style.model_palette, len(NULLS))
    colours = {null: darkened(colour) for null, colour in zip(NULLS, palette, strict=True)}
    found = [null for null in NULLS if null in set(nulls["null"])]
    bars = edges = False
    for axes, quantity in zip(panels, shown, strict=True):
        of_quantity = nulls[nulls["quantity"] == quantity].sort_values("layer", kind="stable")
        spread = [numbers(of_quantity[name]) for name in ("mean", "low", "high")]
        values = numbers(layers[quantity])
        log_axis(axes.yaxis, log_limits(values, *spread))
        layer_axis(axes, numbers(layers["layer"]))
        plot_positive(axes, numbers(layers["layer"]), values, **MEASURED_LOOK)
        for place, null in enumerate(found):
            rows = of_quantity[of_quantity["null"] == null]
            aside = (place + 0.5) / len(found) - 0.5
            marker, colour = NULLS[null][1], colours[null]
            seen, beyond = _draw_null(axes, rows, APART * aside, marker, colour)
            bars, edges = bars | seen, edges | beyond
        axes.set_ylabel(PANELS[quantity][0])
    label_below(panels, "layer")
    legend_below(
        figure,
        [
            Line2D([], [], label="measured", **MEASURED_LOOK),
            *(
                Line2D(
                    [],
                    [],
                    label=NULLS[null][0],
                    color=colours[null],
                    marker=NULLS[null][1],
                    **POINT_LOOK,
                )
                for null in found
            ),
            *([Line2D([], [], label="95 % of the draws", **SPREAD_KEY)] if bars else []),
            *([Line2D([], [], **EDGE_KEY)] if edges else []),
            *zero_legend(*(layers[quantity] for quantity in shown)),
        ],
        "; ".join(missing),
    )
    return figure


def _panels(n_panels: int, n_layers: int, width: float) -> tuple[Figure, list[Axes]]:
    """Two panels in a row, or one where layers are many or the figure is narrow."""
    in_a_row = 2 if n_layers <= FEW_LAYERS and width >= 5 and n_panels > 1 else 1
    n_rows = -(-n_panels // in_a_row)
    figure = Figure(figsize=(width, PANEL_HEIGHT * n_rows + 0.6), layout="constrained")
    panels = [*figure.subplots(n_rows, in_a_row, squeeze=False).flat]
    for spare in panels[n_panels:]:
        spare.remove()
    return figure, panels[:n_panels]


def _draw_null(
    axes: Axes, rows: pd.DataFrame, aside: float, marker: str, colour: tuple[float, ...]
) -> tuple[bool, bool]:
    """The draws of a null by layer; whether bars can be seen, and whether one leaves the panel."""
    layer, mean, low, high = (numbers(rows[name]) for name in ("layer", "mean", "low", "high"))
    beyond = draw_spread(axes, layer + aside, low, high, colour=colour)
    plot_positive(
        *(axes, layer + aside, mean), edge=colour, color=colour, marker=marker, **POINT_LOOK
    )
    return longer(axes, low, high, POINT_LOOK["markersize"]), beyond
