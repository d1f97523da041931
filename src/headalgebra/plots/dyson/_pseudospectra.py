"""How far eigenvalues of a head move under small perturbations (sections III.3 and VI)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import FixedLocator

from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import label_outside, legend_below, title_panel
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns

LEVELS = (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5)
"""Logarithms to base ten of the δ/‖A‖ whose contours are drawn."""

LARGEST_PANEL = 3.0
"""Inches, side of a panel where few leave more room."""

SMALLEST_PANEL = 2.4
"""Inches, side of the place that a panel takes with its labels."""


@paper_style()
def pseudospectra(pseudospectra: pd.DataFrame, style: FigureStyle) -> Figure:
    """Pseudospectra of the least and of the most normal head, a panel each.

    Contours are those of σ_min(z - A)/‖A‖, z over ‖A‖; decades are thick, half decades thin.
    Eigenvalues are points, the boundary of the field of values a dashed curve, the circle of
    radius ‖A‖ dotted.

    Parameters
    ----------
    pseudospectra
        Columns ``model``, ``layer``, ``head``, ``henrici``, ``kind``, ``real``, ``imaginary`` and
        ``value``; of a portrait's upper half plane, the lower one being its mirror.
    style
        How it looks; ``map_colours`` tells the decades apart.

    Raises
    ------
    NothingToShow
        When all heads are zero.
    ValueError
        When the table lacks a column.
    """
    columns = ("model", "layer", "head", "henrici", "kind", "real", "imaginary", "value")
    require_columns(pseudospectra, "pseudospectra", columns)
    every = sorted(
        pseudospectra.groupby(["model", "layer", "head"], sort=False),
        key=lambda found: float(found[1]["henrici"].iloc[0]),
    )
    if not every:
        raise NothingToShow("no head to draw: all of them are zero")
    # A model whose layers are measured apart has two heads of every part of them.
    heads = every if len(every) == 1 else [every[0], every[-1]]
    in_a_row = min(len(heads), max(1, int(style.width_inches / SMALLEST_PANEL)), 2)
    n_rows = -(-len(heads) // in_a_row)
    side = min(LARGEST_PANEL, (style.width_inches - 0.9) / in_a_row - 0.3)
    figure = Figure(figsize=(style.width_inches, n_rows * (side + 0.45) + 0.5), layout="compressed")
    grid = figure.subplots(n_rows, in_a_row, squeeze=False, sharex=True, sharey=True)
    panels = list(grid.flat)
    for spare in panels[len(heads) :]:
        spare.remove()
    shades = style.depth_colours().resampled(len(LEVELS))
    edges = BoundaryNorm([*(level - 0.25 for level in LEVELS), LEVELS[-1] + 0.25], len(LEVELS))
    for axes, ((model, layer, head), rows) in zip(panels, heads, strict=False):
        _draw_head(axes, rows, shades, edges)
        title = f"{style.called(str(model))}, layer {layer}, head {head}"
        henrici = f"departure from normality {numbers(rows['henrici'])[0]:.2f}"
        title_panel(axes, title, {}, [henrici])
    label_outside(panels[: len(heads)], x=r"Re $z\,/\,\|A\|$", y=r"Im $z\,/\,\|A\|$")
    bar = figure.colorbar(
        ScalarMappable(edges, shades),
        ax=panels[: len(heads)],
        ticks=FixedLocator(LEVELS),
        shrink=0.7,
        aspect=18,
        pad=0.03,
    )
    bar.set_label(r"$\log_{10}\;\delta\,/\,\|A\|$")
    bar.ax.minorticks_off()
    legend_below(
        figure,
        [
            Line2D([], [], color=INK, linestyle="none", marker=".", label="eigenvalues"),
            Line2D([], [], color=INK, linestyle="--", linewidth=0.7, label="field of values"),
            Line2D([], [], color=INK, linestyle=":", linewidth=0.7, label=r"$|z| = \|A\|$"),
        ],
    )
    return figure


def _draw_head(axes: Axes, rows: pd.DataFrame, shades: object, edges: BoundaryNorm) -> None:
    points = {kind: found for kind, found in rows.groupby("kind")}
    upper = points["grid"].pivot(index="imaginary", columns="real", values="value")
    real, imaginary = (np.asarray(axis, dtype=np.float64) for axis in (upper.columns, upper.index))
    sigma = upper.to_numpy(dtype=np.float64)
    # The real axis belongs to both halves.
    imaginary = np.concatenate([-imaginary[:0:-1], imaginary])
    sigma = np.concatenate([sigma[:0:-1], sigma])
    axes.contour(
        *(real, imaginary, np.log10(np.maximum(sigma, np.finfo(float).tiny))),
        levels=LEVELS,
        cmap=shades,
        norm=edges,
        linewidths=[1.1 if level.is_integer() else 0.5 for level in LEVELS],
    )
    found = points["eigenvalue"]
    axes.plot(
        *(numbers(found["real"]), numbers(found["imaginary"])),
        linestyle="none",
        marker=".",
        markersize=2,
        color=INK,
        zorder=4,
    )
    field = points["field"]
    around = np.append(np.arange(len(field)), 0)
    axes.plot(
        *(numbers(field["real"])[around], numbers(field["imaginary"])[around]),
        linestyle="--",
        linewidth=0.7,
        color=INK,
    )
    axes.add_patch(Circle((0, 0), 1, fill=False, linestyle=":", linewidth=0.7, edgecolor=INK))
    axes.set_aspect("equal")
    axes.set_xlim(real[0], real[-1])
    axes.set_ylim(imaginary[0], imaginary[-1])
