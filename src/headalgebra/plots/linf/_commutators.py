"""Which pairs of heads do not commute, layer by layer (section 1)."""

import math

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from headalgebra.plots._panels import label_outside, reason_alone
from headalgebra.plots._style import FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns

LARGEST_MAP = 2.2
"""Inches, side of a map where few layers leave more room."""

SMALLEST_MAP = 0.8
"""Inches, side of the place a map takes with its title and labels."""

WIDE = 4.0
"""Times the median that the largest number is where shades go by its logarithm."""

DARKEST = 0.1
"""Share of the median that has the darkest shade there, with all below it."""


@paper_style()
def commutator_maps(pairs: pd.DataFrame, style: FigureStyle, *, model: str) -> Figure:
    """Relative commutator norm of every head pair of a model, a symmetric map a layer.

    Parameters
    ----------
    pairs
        Columns ``layer``, ``i``, ``j`` and ``commutator_relative``, one row for each pair i < j of
        one model. Cells without a number, the diagonal among them, stay blank.
    style
        How it looks.
    model
        Title of the figure.

    Raises
    ------
    ValueError
        When the table lacks a column.
    """
    require_columns(pairs, "pairs", ("layer", "i", "j", "commutator_relative"))
    layers = sorted(pairs["layer"].unique())
    relative = numbers(pairs["commutator_relative"])
    if np.isnan(relative).all():
        return reason_alone(
            style.width_inches,
            "no maps: they need two heads that are not zero",
            title=style.called(model),
        )
    n_columns = -(-len(layers) // math.isqrt(len(layers)))
    n_columns = min(n_columns, int(style.width_inches / SMALLEST_MAP))
    n_rows = -(-len(layers) // n_columns)
    side = min(LARGEST_MAP, (style.width_inches - 1.1) / n_columns - 0.1)
    figure = Figure(figsize=(style.width_inches, n_rows * (side + 0.22) + 0.5), layout="compressed")
    figure.suptitle(style.called(model))
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    panels = list(grid.flat)
    n_heads = int(pairs["j"].max()) + 1
    scale = _scale(relative)
    for axes, layer in zip(panels, layers, strict=False):
        rows = pairs[pairs["layer"] == layer]
        # Drawn from the numbers, not as vector cells: 48 layers of 32 heads are 49,152 of them.
        image = axes.imshow(
            _symmetric(rows, n_heads), cmap=style.map_colours, norm=scale, interpolation="none"
        )
        axes.set_title(f"layer {layer}", fontsize=6)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([0, n_heads - 1]))
        starts_row = layers.index(layer) % n_columns == 0
        ends_column = layers.index(layer) + n_columns >= len(layers)
        axes.tick_params(
            left=starts_row, labelleft=starts_row, bottom=ends_column, labelbottom=ends_column
        )
        if rows["commutator_relative"].isna().all():
            axes.text(0.5, 0.5, "no pairs", transform=axes.transAxes, ha="center", va="center")
    for spare in panels[len(layers) :]:
        spare.remove()
    label_outside(panels[: len(layers)], x="head j", y="head i")
    bar = figure.colorbar(
        image,
        ax=panels[: len(layers)],
        shrink=0.9,
        aspect=9 * figure.get_figheight(),
        pad=0.02,
        extend="min" if float(np.nanmin(relative)) < (scale.vmin or 0.0) else "neither",
    )
    if isinstance(scale, LogNorm):
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.set_label(r"$\|[A_i, A_j]\|_F \;/\; \|A_i\|_F\,\|A_j\|_F$")
    return figure


def _scale(relative: Values) -> Normalize:
    """Shades from 0; by the logarithm where one bright layer would leave the others all dark."""
    positive, largest = relative[relative > 0], float(np.nanmax(relative))
    if len(positive) and largest > WIDE * (median := float(np.median(positive))):
        return LogNorm(max(positive.min(), DARKEST * median), largest, clip=True)
    return Normalize(0, largest or 1.0)


def _symmetric(rows: pd.DataFrame, n_heads: int) -> Values:
    """``[H, H]``, both triangles filled, NaN elsewhere."""
    matrix = np.full((n_heads, n_heads), np.nan)
    i, j = rows["i"].to_numpy(dtype=int), rows["j"].to_numpy(dtype=int)
    matrix[i, j] = matrix[j, i] = numbers(rows["commutator_relative"])
    return matrix
