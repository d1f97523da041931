"""Which pairs of heads do not commute, layer by layer (section 1)."""

import math

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import label_outside, wrapped
from headalgebra.plots._style import FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns

COLUMNS = ("model", "layer", "i", "j", "commutator_norm", "haar_norm")

LARGEST_MAP = 2.2
"""Inches, side of a map where few layers leave more room."""

SMALLEST_MAP = 0.8
"""Inches, side of the place a map takes with its title and labels."""

COLOURS = "RdBu_r"
"""Blue below what chance gives and red above it, which colour-blind readers tell apart; white at
it."""

WITHIN = 0.95
"""Share of the pairs of every model that the scale's ends hold between them. The others have the
colours of its ends: a layer far from chance would leave all others white."""

BEYOND = 60.0
"""Doublings that stand for none at all: a pair that commutes."""


@paper_style()
def commutator_maps(pairs: pd.DataFrame, style: FigureStyle, *, model: str) -> Figure:
    """Commutator norm of every head pair of a model over its Haar value, a symmetric map a layer.

    Colours go by the logarithm, and white is the Haar value: what the same two heads give, turned
    against one another at random. It is a pair's own, so that spectra do not show, only how two
    heads lie to one another. The scale is the same for all models of the table.

    Parameters
    ----------
    pairs
        Columns ``model``, ``layer``, ``i``, ``j``, ``commutator_norm`` and ``haar_norm``, one row
        for each pair i < j of every model of the study. Cells without a number, the diagonal among
        them, are grey.
    style
        How it looks.
    model
        Which one is drawn.

    Raises
    ------
    NothingToShow
        When no pair of the model has a number.
    ValueError
        When the table lacks a column.
    """
    require_columns(pairs, "pairs", COLUMNS)
    doublings = _doublings(pairs)
    of_model = (pairs["model"].astype(str) == model).to_numpy()
    if np.isnan(doublings[of_model]).all():
        raise NothingToShow("no pairs: they need two heads that are not zero")
    limit = _limit(doublings, pairs["model"])
    pairs = pairs.assign(doublings=doublings)[of_model]
    layers = sorted(pairs["layer"].unique())
    n_columns = -(-len(layers) // math.isqrt(len(layers)))
    n_columns = min(n_columns, int(style.width_inches / SMALLEST_MAP))
    n_rows = -(-len(layers) // n_columns)
    side = min(LARGEST_MAP, (style.width_inches - 1.1) / n_columns - 0.1)
    figure = Figure(figsize=(style.width_inches, n_rows * (side + 0.22) + 0.5), layout="compressed")
    figure.suptitle(wrapped(style.called(model), 0.85 * style.width_inches))
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    panels = list(grid.flat)
    n_heads = int(pairs["j"].max()) + 1
    for place, (axes, layer) in enumerate(zip(panels, layers, strict=False)):
        rows = pairs[pairs["layer"] == layer]
        axes.set_facecolor("0.75")
        # Drawn from the numbers, not as vector cells: 48 layers of 32 heads are 49,152 of them.
        image = axes.imshow(
            _symmetric(rows, n_heads),
            cmap=COLOURS,
            norm=Normalize(-limit, limit),
            interpolation="none",
        )
        axes.set_title(f"layer {layer}", fontsize=6)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([0, n_heads - 1]))
        starts_row = place % n_columns == 0
        ends_column = place + n_columns >= len(layers)
        axes.tick_params(
            left=starts_row, labelleft=starts_row, bottom=ends_column, labelbottom=ends_column
        )
        if rows["doublings"].isna().all():
            axes.text(0.5, 0.5, "no pairs", transform=axes.transAxes, ha="center", va="center")
    for spare in panels[len(layers) :]:
        spare.remove()
    label_outside(panels[: len(layers)], x="head j", y="head i")
    outside = (bool(np.nanmin(doublings) < -limit), bool(np.nanmax(doublings) > limit))
    bar = figure.colorbar(
        image,
        ax=panels[: len(layers)],
        shrink=0.9,
        aspect=9 * figure.get_figheight(),
        pad=0.02,
        extend={(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[outside],
    )
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"× {2**value:.3g}"))
    bar.set_label(r"$\|[A_i, A_j]\|_F$ over its Haar value")
    return figure


def _doublings(pairs: pd.DataFrame) -> Values:
    """Logarithm to base two of each pair's norm over its Haar value, finite where both exist."""
    norm, haar = (numbers(pairs[name]) for name in ("commutator_norm", "haar_norm"))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.log2(norm / np.where(haar > 0, haar, np.nan)), -BEYOND, BEYOND)


def _limit(doublings: Values, models: "pd.Series[str]") -> float:
    """The smallest half or whole number of doublings that holds most pairs of every model."""
    sizes = pd.Series(np.abs(doublings)).groupby(models.to_numpy()).quantile(WITHIN)
    farthest = float(np.nanmax(sizes))
    return 0.5 if farthest <= 0.5 else float(math.ceil(farthest))


def _symmetric(rows: pd.DataFrame, n_heads: int) -> Values:
    """``[H, H]``, both triangles filled, NaN elsewhere."""
    matrix = np.full((n_heads, n_heads), np.nan)
    i, j = rows["i"].to_numpy(dtype=int), rows["j"].to_numpy(dtype=int)
    matrix[i, j] = matrix[j, i] = numbers(rows["doublings"])
    return matrix
