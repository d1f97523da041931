"""How many directions a layer's heads span, and how evenly (section 4)."""

from collections.abc import Collection

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from headalgebra.defaults import POOR_FROM, WELL_BELOW
from headalgebra.plots._axes import (
    isolated,
    layer_axis,
    log_axis,
    log_limits,
    name_bands,
    plot_positive,
    zero_legend,
)
from headalgebra.plots._panels import in_last_column, legend_below, title_model, with_numbers
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

BANDS = ("well", "moderate", "poor")

FEW_MODELS = 3
"""Up to so many models have a row each; more stand two in a row."""

TWO_IN_A_ROW_FROM = 6.0
"""Inches from which two models fit in a row."""


@paper_style()
def singular_values(
    singular_values: pd.DataFrame,
    layers: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    well_below: float = WELL_BELOW,
    poor_from: float = POOR_FROM,
) -> Figure:
    """Singular values of each layer's stacked heads, and beside them the condition number κ.

    Parameters
    ----------
    singular_values
        Columns ``model``, ``layer``, ``index`` and ``sigma``.
    layers
        Columns ``model``, ``layer`` and ``kappa``; every model of it has a pair of panels.
    style
        How it looks; ``map_colours`` tells the layers apart, from the first to the last.
    well_below, poor_from
        Ends of the moderate band of κ, drawn where the axis reaches one of them.
    initialised
        Models that were never trained, as their titles say.

    Raises
    ------
    NothingToShow
        When no model has a κ.
    ValueError
        When ``layers`` has no rows or a table lacks a column.
    """
    require_columns(singular_values, "singular_values", ("model", "layer", "index", "sigma"))
    require_columns(layers, "layers", ("model", "layer", "kappa"))
    models, note = with_numbers(
        rows_by_model(layers, "layers"), ["kappa"], style, otherwise="no κ, for all heads are zero"
    )
    narrow = len(models) <= FEW_MODELS or style.width_inches < TWO_IN_A_ROW_FROM
    in_a_row = 1 if narrow else 2
    n_rows = -(-len(models) // in_a_row)
    figure = Figure(figsize=(style.width_inches, 1.4 * n_rows + 0.6), layout="constrained")
    grid = figure.subplots(
        n_rows, 2 * in_a_row, squeeze=False, width_ratios=[1.5 if narrow else 1.2, 1] * in_a_row
    )
    for spare in grid.flat[2 * len(models) :]:
        spare.remove()
    panels = list(grid.flat[: 2 * len(models)])
    kappa_limits = log_limits(layers["kappa"])
    shades = style.depth_colours()
    for row, (model, rows) in enumerate(models.items()):
        spectrum_axes, kappa_axes = panels[2 * row : 2 * row + 2]
        layer, kappa = numbers(rows["layer"]), numbers(rows["kappa"])
        depth = Normalize(layer.min(), max(layer.max(), layer.min() + 1))
        spectra = singular_values[singular_values["model"].astype(str) == model]
        _draw_spectra(spectrum_axes, spectra, ScalarMappable(depth, shades))
        title_model(
            *(spectrum_axes, model, style, initialised),
            {"no singular values": numbers(spectra["sigma"])},
        )
        plot_positive(kappa_axes, layer, kappa, color="0.6", linewidth=0.7, zorder=2)
        kappa_axes.scatter(
            layer, kappa, c=layer, norm=depth, cmap=shades, s=9, zorder=3, clip_on=False
        )
        layer_axis(kappa_axes, layer)
        log_axis(kappa_axes.yaxis, kappa_limits)
        kappa_axes.set_ylabel("κ")
        within = [
            edge for edge in (well_below, poor_from) if kappa_limits[0] < edge < kappa_limits[1]
        ]
        for edge in within:
            kappa_axes.axhline(edge, color=INK, linewidth=0.6, linestyle=":", zorder=1)
        if within and in_last_column(kappa_axes):
            name_bands(kappa_axes, (well_below, poor_from), BANDS)
    _label_lowest(panels, in_a_row)
    bar = figure.colorbar(
        ScalarMappable(cmap=shades),
        ax=panels,
        location="bottom",
        ticks=[0, 1],
        shrink=0.35,
        aspect=30,
        pad=0.05 / n_rows,
    )
    bar.ax.set_xticklabels(["first layer", "last layer"])
    legend = zero_legend(singular_values["sigma"])
    if legend or note:
        legend_below(figure, legend, note)
    return figure


def _draw_spectra(axes: Axes, spectra: pd.DataFrame, shades: ScalarMappable) -> None:
    for _, rows in spectra.sort_values(["layer", "index"]).groupby("layer"):
        sigma = numbers(rows["sigma"])
        plot_positive(
            axes,
            numbers(rows["index"]),
            sigma,
            color=shades.to_rgba(numbers(rows["layer"]))[0],
            linewidth=0.8,
            marker="o",
            markersize=2.5,
            markevery=isolated(sigma),
        )
    log_axis(axes.yaxis, log_limits(spectra["sigma"]))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.set_ylabel(r"singular value $\sigma$")


def _label_lowest(panels: list[Axes], in_a_row: int) -> None:
    """Name the x axes of the lowest pair of panels of each column."""
    for spectrum_axes, kappa_axes in zip(
        panels[-2 * in_a_row :: 2], panels[-2 * in_a_row + 1 :: 2], strict=True
    ):
        spectrum_axes.set_xlabel("index")
        kappa_axes.set_xlabel("layer")
