"""How far states move when the window slides through which a decoder reads (section 3.3)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from headalgebra.plots._axes import layer_axis, log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import (
    AT_INITIALISATION,
    legend_below,
    title_panel,
)
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
)
from headalgebra.plots._style import FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns
from headalgebra.plots.geometry._rows import MEAN_LOOK, model_look, values_of

COLUMNS = ("model", "layer", "offset", "place", "median", "n", "note")

DEPTHS = {
    0.0: ("before the first block", "P"),
    0.25: ("after a quarter of the blocks", "s"),
    0.5: ("after half", "D"),
    0.75: ("after three quarters", "^"),
    1.0: ("after the last block", "o"),
}
"""Parts of the depth whose states are drawn by offset: their names and markers."""

AFTER_LOOK: dict[str, Any] = {
    "marker": "^",
    "markerfacecolor": "white",
    "linestyle": (0, (5, 1)),
    "zorder": 2.9,
}


@paper_style()
def drift_by_offset(
    drift: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
) -> Figure:
    """Median drift by how far the window slides at some depths, and by layer where it slides most.

    Parameters
    ----------
    drift
        Columns ``model``, ``layer``, ``offset``, ``place``, ``median``, ``n`` and ``note``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks; ``map_colours`` tells depths apart.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these whose drift before the norms is drawn by layer.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(drift, "drift", COLUMNS)
    shown = models_with_rows(
        drift,
        runs,
        initialisations=initialisations,
        otherwise="no window slides along what it reads",
        nothing="no drift to draw",
        values=("median",),
    )
    colours = style.model_colours(runs)
    shades = dict(zip(DEPTHS, style.depth_colours()(np.linspace(0, 1, len(DEPTHS))), strict=True))
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.5, 1.4))
    limits = log_limits(numbers(drift["median"]))
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows = shown.rows[model]
        above, below = panels
        for axes in panels:
            log_axis(axes.yaxis, limits)
        _offset_axis(above, numbers(rows["offset"]))
        last = rows["layer"].max()
        for depth, (_, marker) in DEPTHS.items():
            _draw_by_offset(above, rows, round(depth * last), shades[depth], marker)
        layer_axis(below, numbers(rows["layer"]))
        if initial is not None:
            _draw_by_layer(below, shown.rows[initial], "before", BESIDE_LOOK)
        look = model_look(colours[model], model, initialised)
        _draw_by_layer(below, rows, "after", look | AFTER_LOOK)
        _draw_by_layer(below, rows, "before", look)
        remarks = [AT_INITIALISATION] if model in initialised else []
        remarks += [_counted(rows), *_last_doubling(rows)]
        title_panel(above, style.called(model), {"no drift": values_of(rows, "median")}, remarks)
        title_panel(below, "", {"no drift": values_of(_at_most(rows, "before"), "median")})
        above.set_xlabel("tokens that the window slides, $k$")
        above.tick_params(labelbottom=True)
    note = label_columns(
        columns, x="blocks passed", y=("median drift", "at the largest $k$"), note=shown.note
    )
    grey = {"color": "0.5"} | MEAN_LOOK
    legend_below(
        figure,
        [
            *(
                Line2D([], [], color=shades[depth], marker=marker, label=name)
                for depth, (name, marker) in DEPTHS.items()
            ),
            Line2D([], [], label="before the next norm", **grey),
            Line2D([], [], label="after it", **(grey | AFTER_LOOK)),
            *shown.beside_entries("before the norm, at initialisation"),
            *zero_legend(drift["median"]),
        ],
        note,
    )
    return figure


def _offset_axis(axes: Axes, offsets: Values) -> None:
    """A scale of octaves with ticks at the offsets, or where they are many, at every second."""
    axes.set_xscale("log", base=2)
    marked = np.unique(offsets)[::-1]
    axes.xaxis.set_major_locator(FixedLocator([*(marked if len(marked) < 7 else marked[::2])]))
    axes.xaxis.set_major_formatter(lambda offset, _: f"{offset:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(marked.min() / 1.3, marked.max() * 1.3)


def _draw_by_offset(
    axes: Axes, rows: pd.DataFrame, layer: int, colour: object, marker: str
) -> None:
    for place, own in (("after", {"linestyle": "--", "markerfacecolor": "white"}), ("before", {})):
        at = rows[(rows["layer"] == layer) & (rows["place"] == place)].sort_values("offset")
        offset, median = numbers(at["offset"]), numbers(at["median"])
        plot_positive(axes, offset, median, **({"color": colour, "marker": marker} | own))


def _at_most(rows: pd.DataFrame, place: str) -> pd.DataFrame:
    """The rows of the largest offset, by layer."""
    farthest = rows["offset"] == rows["offset"].max()
    return rows[farthest & (rows["place"] == place)].sort_values("layer")


def _draw_by_layer(axes: Axes, rows: pd.DataFrame, place: str, look: dict[str, Any]) -> None:
    at = _at_most(rows, place)
    plot_positive(axes, numbers(at["layer"]), numbers(at["median"]), **look)


def _counted(rows: pd.DataFrame) -> str:
    """Of how many tokens the medians are."""
    n = numbers(rows["n"])
    few, many = np.nanmin(n), np.nanmax(n)
    counted = f"{few:g}" if few == many else f"{few:g} to {many:g}"
    return f"medians over {counted} tokens"


def _last_doubling(rows: pd.DataFrame) -> list[str]:
    """How the drift of the last state grows when the window slides twice as far, if it is known."""
    last = rows[(rows["layer"] == rows["layer"].max()) & (rows["place"] == "before")]
    two = last.sort_values("offset").tail(2)
    (nearer, farther), medians = numbers(two["offset"]), numbers(two["median"])
    if not (medians > 0).all():
        return []
    return [f"last block, $k$ {nearer:g} to {farther:g}: × {medians[1] / medians[0]:.2f}"]
