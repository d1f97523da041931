"""Panels side by side, and what may stand in one: curves with gaps, reasons, bands, legends."""

import re
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    Formatter,
    FuncFormatter,
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)
from numpy.typing import NDArray

from headalgebra.plots._style import INK

PANEL_INCHES = 1.6
"""Width that a panel with its tick labels needs."""

MOST_COLUMNS = 4

SHORTEST_LOG_AXIS = np.log10(6)
"""Decades an axis has at least: any factor of 5 contains two of the ticks 1, 2, 5, 10, …"""

AT_INITIALISATION = "(at initialisation)"
"""What is said of a model whose weights were drawn and never trained."""

NARROWEST_BAND = 0.14
"""Share of an axis that the lowest and highest band have at least, room for their names."""

CHARACTER_POINTS = 4.6
"""Mean width of a character at 7 points."""

LEGEND_ROW = 0.14
"""Inches, height of a row of a legend."""

FORMULAS = 0xE000
"""The first of the characters that have no meaning, which stand for formulas."""

ZERO_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "marker": "v",
    "markersize": 4,
    "markerfacecolor": "white",
    "markeredgecolor": INK,
}

Values = NDArray[np.float64]


def require_columns(table: pd.DataFrame, name: str, needed: Sequence[str]) -> None:
    """Refuse a table that lacks a column."""
    missing = [column for column in needed if column not in table]
    if missing:
        raise ValueError(
            f"the table {name} lacks {', '.join(missing)}; give it with {', '.join(needed)}"
        )


def rows_by_model(table: pd.DataFrame, name: str) -> dict[str, pd.DataFrame]:
    """The rows of each model by depth, models in the order of the table."""
    if table.empty:
        raise ValueError(f"the table {name} has no rows; give it one for each model and layer")
    return {
        str(model): rows.sort_values("layer", kind="stable")
        for model, rows in table.groupby("model", sort=False)
    }


def numbers(column: "pd.Series[float]") -> Values:
    """A column as floats; what is not finite becomes NaN, a gap."""
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def model_panels(n_panels: int, width: float, *, panel_height: float) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels on one y axis, in as few rows as its width allows."""
    widest = max(1, min(MOST_COLUMNS, int(width / PANEL_INCHES)))
    n_rows = -(-n_panels // widest)
    n_columns = -(-n_panels // n_rows)
    figure = Figure(figsize=(width, panel_height * n_rows + 0.5), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
    panels = list(grid.flat)
    for spare in panels[n_panels:]:
        spare.remove()
    return figure, panels[:n_panels]


def reason_alone(width: float, reason: str, title: str = "") -> Figure:
    """A figure that says why there is nothing to draw."""
    figure = Figure(figsize=(width, 1.0))
    figure.suptitle(title)
    figure.text(0.5, 0.45, reason, ha="center", va="center", style="italic")
    return figure


def in_last_column(axes: Axes) -> bool:
    """Whether a panel touches the right edge of the grid."""
    place = axes.get_subplotspec()
    assert place is not None
    return place.is_last_col()


def label_outside(panels: Sequence[Axes], *, x: str, y: str) -> None:
    """Name the axes along the left and the lower edge of the panels."""
    places = {_place(axes) for axes in panels}
    for axes in panels:
        row, column = _place(axes)
        if (row, column - 1) not in places:
            axes.set_ylabel(y)
        if (row + 1, column) not in places:
            axes.set_xlabel(x)


def _place(axes: Axes) -> tuple[int, int]:
    """Row and column of a panel."""
    spec = axes.get_subplotspec()
    assert spec is not None
    return spec.rowspan.start, spec.colspan.start


def panel_inches(axes: Axes) -> float:
    """About how wide a panel is, before the figure is laid out."""
    place = axes.get_subplotspec()
    assert place is not None and axes.figure is not None
    share = len(place.colspan) / place.get_gridspec().ncols
    return 0.9 * share * float(axes.figure.bbox.width / axes.figure.dpi)


def title_model(
    axes: Axes, model: str, initialised: Collection[str], series: Mapping[str, Values]
) -> None:
    """`title_panel` with a model's name, and a line more for one that was never trained."""
    title_panel(axes, model, series, [AT_INITIALISATION] if model in initialised else [])


def title_panel(
    axes: Axes, title: str, series: Mapping[str, Values], remarks: Sequence[str] = ()
) -> None:
    """Head a panel, and say which of its series are missing altogether.

    ``series`` is keyed by the reason to give. It goes under the title, or where nothing is left
    to draw, in the middle of the panel.
    """
    characters = int(panel_inches(axes) * 72 / CHARACTER_POINTS)
    missing = [reason for reason, values in series.items() if np.isnan(values).all()]
    if len(missing) == len(series):
        lines = [line for reason in missing for line in _wrap(reason, int(0.8 * characters))]
        axes.text(
            *(0.5, 0.5),
            "\n".join(lines),
            transform=axes.transAxes,
            ha="center",
            va="center",
            style="italic",
        )
        missing = []
    head = [title, *remarks, *missing]
    axes.set_title("\n".join(line for text in head for line in _wrap(text, characters)))


def _wrap(text: str, characters: int) -> list[str]:
    """Lines of at most so many characters; a formula is a word, about as long as its symbols."""
    formulas = re.findall(r"\$.*?\$", text)
    for index, formula in enumerate(formulas):
        symbols = re.sub(r"[$_^{}\\]", "", re.sub(r"\\[a-z]+", "x", formula))
        text = text.replace(formula, chr(FORMULAS + index) * len(symbols))
    lines = "\n".join(textwrap.wrap(text, max(characters, 8)))
    for index, formula in enumerate(formulas):
        literal = formula.replace("\\", "\\\\")
        lines = re.sub(f"{chr(FORMULAS + index)}+", literal, lines)
    return lines.split("\n") if lines else []


def plot_positive(axes: Axes, x: Values, y: Values, **look: Any) -> None:
    """A curve on a log axis: NaN is a gap, a zero a triangle on the lower edge."""
    axes.plot(x, np.where(y > 0, y, np.nan), **look)
    zero = y == 0
    if zero.any():
        axes.plot(
            x[zero],
            np.zeros(zero.sum()),
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            zorder=4,
            **ZERO_LOOK,
        )


def isolated(values: Values) -> list[int]:
    """Points that `plot_positive` joins to no other, of which a bare line shows nothing."""
    exists = np.pad(values > 0, 1)
    alone = exists[1:-1] & ~exists[:-2] & ~exists[2:]
    return [int(index) for index in np.flatnonzero(alone)]


def zero_legend(*values: Iterable[float]) -> list[Line2D]:
    """A legend entry for the zeros, if there are any."""
    if 0 in chain(*values):
        return [Line2D([], [], label="exactly 0", **ZERO_LOOK)]
    return []


def log_limits(*values: Iterable[float]) -> tuple[float, float]:
    """Ends of a log axis with all positive values inside, at least a factor of 6 apart."""
    every = np.fromiter(chain(*values), dtype=np.float64)
    exponents = np.log10(every[np.isfinite(every) & (every > 0)])
    if exponents.size == 0:
        exponents = np.zeros(1)
    low, high = exponents.min(), exponents.max()
    margin = max(0.06 * (high - low), 0.05, (SHORTEST_LOG_AXIS - (high - low)) / 2)
    return float(10 ** (low - margin)), float(10 ** (high + margin))


def log_axis(axis: Axis, limits: tuple[float, float]) -> None:
    """A log axis with labels that can be read at any range."""
    axes = axis.axes
    if axis is axes.xaxis:
        axes.set_xscale("log", nonpositive="mask")
        axes.set_xlim(*limits)
    else:
        axes.set_yscale("log", nonpositive="mask")
        axes.set_ylim(*limits)
    decades = np.log10(limits[1] / limits[0])
    labelled = (1, 2, 5) if decades < 2 else (1,)
    marked = range(2, 10) if decades < 2 else (1, 2, 5) if decades < 5 else (1,)
    axis.set_major_locator(LogLocator(subs=labelled, numticks=6 if axis is axes.yaxis else 5))
    axis.set_minor_locator(LogLocator(subs=marked, numticks=40))
    formatter: Formatter = LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf))
    if limits[0] >= 1e-3 and limits[1] <= 1e4:
        formatter = FuncFormatter(lambda value, _: f"{value:g}")
    axis.set_major_formatter(formatter)
    axis.set_minor_formatter(NullFormatter())


def layer_axis(axes: Axes, layers: Values) -> None:
    """The x axis of a panel whose points are layers."""
    margin = max(0.5, 0.03 * float(np.ptp(layers)))
    axes.set_xlim(layers.min() - margin, layers.max() + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def band_limits(edges: Sequence[float], *values: Iterable[float]) -> tuple[float, float]:
    """Ends of a log axis with the values inside, and room for the band beyond either edge."""
    edges = [edge for edge in edges if edge > 0]
    low, high = log_limits(*values, edges)
    room = (high / low) ** NARROWEST_BAND
    return min(low, min(edges) / room), max(high, max(edges) * room)


def shade_phases(axis: Axis, edges: Sequence[float], colours: Sequence[str]) -> None:
    """The bands of the phases behind a panel, across the axis that shows ε."""
    axes = axis.axes
    sideways = axis is axes.xaxis
    limits = axes.get_xlim() if sideways else axes.get_ylim()
    ends = np.clip([limits[0], *edges, limits[1]], *limits)
    for colour, low, high in zip(colours, ends[:-1], ends[1:], strict=True):
        span = axes.axvspan if sideways else axes.axhspan
        span(low, high, facecolor=colour, edgecolor="none", zorder=0)
    for edge in edges:
        if limits[0] < edge < limits[1]:
            line = axes.axvline if sideways else axes.axhline
            line(edge, color="0.55", linewidth=0.5, zorder=1)


def name_bands(
    axes: Axes, edges: Sequence[float], names: Sequence[str], heading: str | None = None
) -> None:
    """Write the names of the bands between the edges on the right of a panel.

    Each stands at the middle of what of its band lies within the axis.
    """
    low, high = axes.get_ylim()
    ends = np.log10(np.clip([low, *edges, high], low, high))
    span = ends[-1] - ends[0]
    for name, below, above in zip(names, ends, ends[1:], strict=False):
        if above > below:
            _write_beside(axes, ((below + above) / 2 - ends[0]) / span, name, va="center")
    if heading is not None:
        _write_beside(axes, 1.0, heading, va="bottom")


def _write_beside(axes: Axes, height: float, text: str, **placing: Any) -> None:
    axes.annotate(
        text,
        (1, height),
        xytext=(4, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        **placing,
    )


def legend_below(figure: Figure, handles: Sequence[Artist]) -> None:
    """The figure's legend under the panels, in as few rows as its width allows.

    The figure grows by the rows after the first, which would squeeze the panels.
    """
    for n_columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=list(handles),
            loc="outside lower center",
            ncols=n_columns,
            columnspacing=1.4,
        )
        if n_columns == 1 or legend.get_window_extent().width <= 0.98 * figure.bbox.width:
            n_rows = -(-len(handles) // n_columns)
            figure.set_figheight(figure.get_figheight() + (n_rows - 1) * LEGEND_ROW)
            return
        legend.remove()
