"""Conditioning of each layer's basis, and the route it decides (section 4)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.defaults import POOR_FROM, WELL_BELOW
from headalgebra.plots._axes import band_limits, layer_axis, log_axis, name_bands, plot_positive
from headalgebra.plots._panels import (
    AT_INITIALISATION,
    in_last_column,
    label_outside,
    legend_below,
    model_panels,
    title_panel,
    with_numbers,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

COLUMNS = ("model", "layer", "n_heads", "kappa", "kappa_used", "basis_dim", "route")

BANDS = {"well": "white", "moderate": "0.93", "poor": "0.84"}
"""Names and shades of the bands of κ, from the lowest."""

ROUTES = {"dense": "s", "mixed": "D", "exact": "^", "sampled": "o"}

JOINING_LOOK: dict[str, Any] = {"linewidth": 0.8, "zorder": 2}
ROUTE_LOOK: dict[str, Any] = {"linestyle": "none", "markeredgecolor": INK, "zorder": 3}
KEPT_LOOK: dict[str, Any] = {
    "color": INK,
    "linestyle": "none",
    "marker": "_",
    "markersize": 5,
    "zorder": 4,
}


@paper_style()
def conditioning_by_depth(
    layers: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    well_below: float = WELL_BELOW,
    poor_from: float = POOR_FROM,
) -> Figure:
    """κ by layer, a panel a model, a marker for each route; n, the basis' size, in the titles.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``n_heads``, ``kappa``, ``kappa_used``, ``basis_dim`` and
        ``route``. Where a basis was truncated, the κ of what was kept is marked too.
    style
        How it looks.
    well_below, poor_from
        Ends of the moderate band of κ.
    initialised
        Models that were never trained, as their titles say.

    Raises
    ------
    NothingToShow
        When no model has a κ.
    ValueError
        When the table has no rows, lacks a column, or has another route.
    """
    require_columns(layers, "layers", COLUMNS)
    if other := set(layers["route"].dropna()) - set(ROUTES):
        raise ValueError(f"the table layers has the route {min(other)}; give {', '.join(ROUTES)}")
    models, note = with_numbers(
        rows_by_model(layers, "layers"), ["kappa"], style, otherwise="no κ, for all heads are zero"
    )
    colours = style.model_colours(layers)
    figure, panels = model_panels(len(models), style.width_inches, panel_height=1.45)
    edges = (well_below, poor_from)
    limits = band_limits(edges, numbers(layers["kappa"]), numbers(layers["kappa_used"]))
    truncated = False
    for axes, (model, rows) in zip(panels, models.items(), strict=True):
        layer, kappa, kept = (numbers(rows[name]) for name in ("layer", "kappa", "kappa_used"))
        log_axis(axes.yaxis, limits)
        layer_axis(axes, layer)
        ends = (limits[0], *edges, limits[1])
        for shade, low, high in zip(BANDS.values(), ends[:-1], ends[1:], strict=True):
            axes.axhspan(low, high, facecolor=shade, edgecolor="none", zorder=0)
        plot_positive(axes, layer, kappa, color=colours[model], **JOINING_LOOK)
        for route, marker in ROUTES.items():
            taken = (rows["route"] == route).to_numpy()
            axes.plot(
                *(layer[taken], kappa[taken]),
                marker=marker,
                markerfacecolor=colours[model],
                **ROUTE_LOOK,
            )
        differs = kept != kappa
        if (differs & ~np.isnan(kept)).any():
            truncated = True
            axes.plot(layer[differs], kept[differs], **KEPT_LOOK)
        remarks = [_sizes(rows)] + [AT_INITIALISATION] * (model in initialised)
        title_panel(axes, style.called(model), {}, remarks)
        if in_last_column(axes):
            name_bands(axes, edges, tuple(BANDS))
    label_outside(panels, x="layer", y="κ")
    taken_routes = [route for route in ROUTES if (layers["route"] == route).any()]
    legend_below(
        figure,
        [
            *(
                Line2D(
                    *([], []),
                    label=f"{route} route",
                    marker=ROUTES[route],
                    markerfacecolor="0.5",
                    **ROUTE_LOOK,
                )
                for route in taken_routes
            ),
            *([Line2D([], [], label="κ of the n kept", **KEPT_LOOK)] if truncated else []),
        ],
        note,
    )
    return figure


def _sizes(rows: pd.DataFrame) -> str:
    """The basis' size, or the smallest and largest, beside the number of heads."""
    n = rows["basis_dim"].dropna().astype(int)
    if n.empty:
        return "no basis"
    low, high, heads = n.min(), n.max(), rows["n_heads"].iloc[0]
    return f"n = {low} of {heads}" if low == high else f"n = {low} to {high} of {heads}"
