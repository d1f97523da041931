"""Axes of one panel: logarithmic and by layer, curves with gaps and zeros, bands behind them."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    Formatter,
    FuncFormatter,
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    SymmetricalLogLocator,
)

from headalgebra.plots._style import INK
from headalgebra.plots._tables import Values

SHORTEST_LOG_AXIS = np.log10(6)
"""Decades an axis has at least: any factor of 5 contains two of the ticks 1, 2, 5, 10, …"""

NARROWEST_BAND = 0.14
"""Share of an axis that the lowest and highest band have at least, room for their names."""

LAID_OUT = 0.7
"""About how much of its height a panel keeps when titles and labels have their places."""

ZERO_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "marker": "v",
    "markersize": 4,
    "markerfacecolor": "white",
    "markeredgecolor": INK,
}

EDGE_LOOK: dict[str, Any] = {"linestyle": "none", "markersize": 3, "zorder": 4}
EDGE_KEY: dict[str, Any] = EDGE_LOOK | {
    "marker": "v",
    "color": "0.3",
    "label": "goes on to 0 or without end",
}
SPREAD_KEY: dict[str, Any] = {
    "color": "0.3",
    "marker": "|",
    "markersize": 7,
    "linestyle": "none",
}


def plot_positive(axes: Axes, x: Values, y: Values, *, edge: object = INK, **look: Any) -> None:
    """A curve on a log axis: NaN is a gap, a zero a triangle on the lower edge, outlined so."""
    axes.plot(x, np.where(y > 0, y, np.nan), **look)
    zero = y == 0
    if zero.any():
        axes.plot(
            x[zero],
            np.zeros(zero.sum()),
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            zorder=4,
            **(ZERO_LOOK | {"markeredgecolor": edge}),
        )


def draw_spread(
    axes: Axes, x: Values, low: Values, high: Values, *, colour: object, zorder: float = 2.0
) -> bool:
    """Bars on a log axis whose limits are set.

    One that begins at 0, or has no end, has a filled triangle on that edge of the panel.

    Returns
    -------
    Whether there is such a triangle.
    """
    known = (low >= 0) & (high > 0)
    bottom, top = axes.get_ylim()
    axes.vlines(
        x[known],
        np.maximum(low[known], bottom),
        np.minimum(high[known], top),
        color=colour,
        linewidth=0.7,
        zorder=zorder,
    )
    going_on = ((known & (low == 0), 0, "v"), (known & np.isinf(high), 1, "^"))
    for beyond, edge, marker in going_on:
        if beyond.any():
            axes.plot(
                x[beyond],
                np.full(beyond.sum(), edge),
                transform=axes.get_xaxis_transform(),
                clip_on=False,
                color=colour,
                **(EDGE_LOOK | {"marker": marker}),
            )
    return any(bool(beyond.any()) for beyond, *_ in going_on)


def longer(
    axes: Axes, low: Values, high: Values, points: float, *, steepness: Values | None = None
) -> bool:
    """Whether an interval along the y axis is longer on paper than so many points.

    What is not would hide behind a line so wide or a marker so large. Limits are set before.
    Beside a line it is measured across it: ``steepness`` is that of the line, from `slopes`.
    """
    known = np.isfinite(low) & np.isfinite(high)
    bottom, top = axes.get_ylim()
    ends = np.stack([np.clip(end[known], bottom, top) for end in (low, high)])
    pixels = axes.transData.transform(np.stack([np.zeros(ends.size), ends.ravel()], axis=1))[:, 1]
    lengths = np.abs(np.diff(pixels.reshape(2, -1), axis=0))
    if steepness is not None:
        lengths = lengths / np.hypot(1, steepness[known])
    assert axes.figure is not None
    return bool((LAID_OUT * lengths * 72 / axes.figure.dpi > points).any())


def slopes(axes: Axes, x: Values, y: Values) -> Values:
    """How steep a line is at its points, as it is drawn; 0 where it is a single point."""
    if len(x) < 2:
        return np.zeros(len(x))
    places = axes.transData.transform(np.stack([x, np.clip(y, *axes.get_ylim())], axis=1))
    return np.nan_to_num(np.gradient(places[:, 1], places[:, 0]))


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


def symlog_axis(axis: Axis, linear_to: float) -> None:
    """A log axis to both sides of zero, which is linear up to a number to each side of it."""
    axes = axis.axes
    scale = axes.set_xscale if axis is axes.xaxis else axes.set_yscale
    scale("symlog", linthresh=linear_to)
    ticks = SymmetricalLogLocator(base=10, linthresh=linear_to)
    ticks.set_params(numticks=7)
    axis.set_major_locator(ticks)


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
