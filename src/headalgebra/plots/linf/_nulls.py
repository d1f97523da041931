"""What a layer has, beside what chance gives it, by depth."""

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from headalgebra.plots._axes import layer_axis, log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import legend_below, title_panel
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns

PANELS = {
    "epsilon": ("ε", "no ε: it needs two heads"),
    "epsilon_relative": ("ε̂", "no ε̂: a head is zero, or alone"),
    "rho3": (r"$ρ_3$", r"no $ρ_3$: it needs three basis elements"),
    "closure_isotropy": (r"$(1-χ)\,d^2/n$", "no brackets to close"),
}
"""Quantities in the order of the panels: their symbols, and why one may be missing."""

NULLS: dict[str, tuple[str, Any]] = {
    "pooled": ("heads drawn alike (pooled)", "-"),
    "haar": ("heads turned at random (Haar)", (0, (6, 1, 1, 1))),
    "layers": ("heads of other layers", (0, (5, 1))),
    "gaussian": ("Gaussian factors, same norms", (0, (3, 1.5))),
    "init": ("the architecture at initialisation", (0, (1, 1.2))),
}
"""What the nulls are called and the lines that show them."""

MEASURED_LOOK: dict[str, Any] = {
    "color": INK,
    "marker": "o",
    "markerfacecolor": "white",
    "markeredgecolor": INK,
    "linewidth": 1.1,
    "zorder": 4,
}
BAND_LOOK: dict[str, Any] = {"alpha": 0.25, "linewidth": 0, "zorder": 1}


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

    Parameters
    ----------
    epsilon, coherence
        Rows of the model: ``layer`` and the quantities, ``epsilon`` and ``epsilon_relative`` in
        the one, ``rho3`` and ``closure_isotropy`` in the other.
    nulls
        Rows of the model: ``layer``, ``quantity``, ``null``, ``mean``, ``low`` and ``high``.
    style
        How it looks.
    model
        Title of the figure.

    Raises
    ------
    ValueError
        When a table lacks a column.
    """
    require_columns(epsilon, "epsilon", ("layer", "epsilon", "epsilon_relative"))
    require_columns(coherence, "coherence", ("layer", "rho3", "closure_isotropy"))
    require_columns(nulls, "nulls", ("layer", "quantity", "null", "mean", "low", "high"))
    figure = Figure(figsize=(style.width_inches, 4.4), layout="constrained")
    figure.suptitle(style.called(model))
    layers = epsilon.merge(coherence, on="layer", validate="1:1").sort_values("layer")
    colours = dict(zip(NULLS, sns.color_palette(style.model_palette, len(NULLS)), strict=True))
    for axes, (quantity, (symbol, reason)) in zip(
        figure.subplots(2, 2).flat, PANELS.items(), strict=True
    ):
        of_quantity = nulls[nulls["quantity"] == quantity].sort_values("layer", kind="stable")
        values = numbers(layers[quantity])
        ends = [numbers(of_quantity[name]) for name in ("mean", "low", "high")]
        log_axis(axes.yaxis, log_limits(values, *ends))
        layer_axis(axes, numbers(layers["layer"]))
        for null, colour in colours.items():
            _draw_null(axes, of_quantity[of_quantity["null"] == null], null, colour)
        plot_positive(axes, numbers(layers["layer"]), values, **MEASURED_LOOK)
        title_panel(axes, "", {reason: values})
        axes.set_ylabel(symbol)
        axes.set_xlabel("layer")
    found = set(nulls["null"])
    legend_below(
        figure,
        [
            Line2D([], [], label="measured", **MEASURED_LOOK),
            *(
                Line2D([], [], label=name, color=colours[null], linestyle=line)
                for null, (name, line) in NULLS.items()
                if null in found
            ),
            Patch(label="95 % of the draws", color="0.5", **BAND_LOOK),
            *zero_legend(*(layers[quantity] for quantity in PANELS)),
        ],
    )
    return figure


def _draw_null(axes: Axes, rows: pd.DataFrame, null: str, colour: tuple[float, ...]) -> None:
    layer, mean, low, high = (numbers(rows[name]) for name in ("layer", "mean", "low", "high"))
    axes.fill_between(layer, low, high, color=colour, **BAND_LOOK)
    # A band needs neighbours; bars show the spread of a layer that stands alone too.
    axes.vlines(layer, low, high, color=colour, linewidth=0.6, zorder=2)
    plot_positive(
        axes,
        layer,
        mean,
        color=colour,
        linestyle=NULLS[null][1],
        marker="_",
        markersize=4,
        zorder=3,
    )
