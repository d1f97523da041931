"""The axis of a training, from step 0 on; losses above it, beside those of n-gram models."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    MaxNLocator,
    NullFormatter,
    ScalarFormatter,
)

from headalgebra.plots._panels import panel_inches
from headalgebra.plots._style import INK
from headalgebra.plots._tables import Values

LOG_FROM = 20.0
"""Ratio of the last time to the first after 0 from which the axis is logarithmic."""

START = 0.17
"""Share of a log axis between time 0, which has no logarithm, and the first time after it."""

LABEL_INCHES = 0.2
"""Between the middles of two labels of ticks."""

STROKE_LOOK: dict[str, Any] = {
    "marker": [(-0.4, -1), (0.4, 1)],
    "markersize": 4,
    "color": INK,
    "linestyle": "none",
    "clip_on": False,
}
"""Of the strokes that say that an axis is broken."""

FLOOR_LINES: dict[str, Any] = {
    "unigram": (0, (1, 1.2)),
    "bigram": (0, (5, 1.5)),
    "trigram": (0, (6, 1, 1, 1)),
}
FLOOR_LOOK: dict[str, Any] = {"color": "0.35", "linewidth": 0.7, "zorder": 1.5}

FLOOR_LABEL_INCHES = 0.09
"""Height of the name of a floor."""


def training_steps(revisions: Sequence[str]) -> Values | None:
    """The numbers that the revisions end in, if all do and they increase."""
    ends = [re.search(r"(\d+)$", revision) for revision in revisions]
    steps = np.array([float(end[1]) for end in ends if end])
    return steps if len(steps) == len(ends) and (np.diff(steps) > 0).all() else None


def training_axis(axes: Axes, time: Values) -> None:
    """The x axis of times from `time.min()` to `time.max()`, in steps or tokens.

    Over a wide range it is logarithmic. Time 0 then stands on the left, before two strokes
    through the axis, and nothing lies between it and the first time after it.
    """
    positive = np.unique(time[time > 0])
    if len(positive) < 2 or positive[-1] < LOG_FROM * positive[0]:
        margin = 0.04 * max(float(np.ptp(time)), 1.0)
        axes.set_xlim(time.min() - margin, time.max() + margin)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
        formatter = ScalarFormatter(useMathText=True)
        formatter.set_powerlimits((-4, 5))
        axes.xaxis.set_major_formatter(formatter)
        return
    first, last = float(positive[0]), float(positive[-1])
    decades = np.log10(last / first)
    from_zero = bool((time == 0).any())
    if from_zero:
        before = START / (1 - START) * decades
        # matplotlib makes the linear part 10/9 decades wide for each unit of linscale.
        axes.set_xscale("symlog", linthresh=first, linscale=0.9 * before)
        left = -0.15 * first
        for place in (0.45, 0.57):
            axes.plot([place * first], [0], transform=axes.get_xaxis_transform(), **STROKE_LOOK)
    else:
        axes.set_xscale("log")
        left = first / 10 ** (0.03 * decades)
    axes.set_xlim(left, last * 10 ** (0.04 * decades))
    _mark_powers(axes, first, last, from_zero)


def _mark_powers(axes: Axes, first: float, last: float, from_zero: bool) -> None:
    """Ticks at 0 and at powers of ten, and at twice and five times these where they are few."""
    powers = 10.0 ** np.arange(np.floor(np.log10(first)), np.ceil(np.log10(last)) + 1)
    inside = powers[(powers >= 0.999 * first) & (powers <= 1.001 * last)]
    finer = len(inside) < 2
    wanted = np.outer(powers, (1, 2, 5)).ravel() if finer else powers
    wanted = wanted[(wanted >= 0.999 * first) & (wanted <= 1.001 * last)]
    room = panel_inches(axes) / (2 if finer and last > 1e4 else 1)
    share = np.log10(wanted / first) / np.log10(last / first) * (1 - START) + START
    marked, place = ([0.0], 0.0) if from_zero else ([], -np.inf)
    for tick, at in zip(wanted, share, strict=True):
        if (at - place) * room >= LABEL_INCHES:
            marked.append(float(tick))
            place = float(at)
    plain = last <= 1e4
    axes.xaxis.set_major_locator(FixedLocator(marked))
    axes.xaxis.set_major_formatter(FixedFormatter([_power(tick, plain) for tick in marked]))
    steps = range(1, 10) if np.log10(last / first) < 4 else (1,)
    minor = np.outer(powers, steps).ravel()
    axes.xaxis.set_minor_locator(FixedLocator([*minor[(minor >= first) & (minor <= last)]]))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _power(tick: float, plain: bool) -> str:
    if tick == 0 or plain:
        return f"{tick:g}"
    exponent = int(np.floor(np.log10(1.001 * tick)))
    factor = round(tick / 10**exponent)
    return rf"$10^{{{exponent}}}$" if factor == 1 else rf"${factor}{{\cdot}}10^{{{exponent}}}$"


def loss_axis(axes: Axes, floors: Mapping[str, float], losses: Values) -> None:
    """The y axis of losses with those of n-gram models across it, each named on its line."""
    shown = {name: floors[name] for name in FLOOR_LINES if np.isfinite(floors.get(name, np.nan))}
    every = np.concatenate([losses[np.isfinite(losses)], [*shown.values()]])
    margin = max(0.08 * float(np.ptp(every)), 0.05)
    low, high = every.min() - margin, every.max() + 1.6 * margin
    axes.set_ylim(low, high)
    figure = axes.figure
    assert figure is not None
    # About the share of the figure's height that a panel has for itself.
    rows = axes.get_gridspec().nrows  # type: ignore[union-attr]
    gap = FLOOR_LABEL_INCHES / (0.62 * figure.bbox.height / figure.dpi / rows)
    names = sorted(shown, key=shown.__getitem__)
    heights = np.array([(shown[name] - low) / (high - low) for name in names])
    for name, height in zip(names, spread(heights, gap), strict=True):
        axes.axhline(shown[name], linestyle=FLOOR_LINES[name], **FLOOR_LOOK)
        axes.annotate(
            name,
            (0, height),
            xycoords="axes fraction",
            xytext=(2, 0.6),
            textcoords="offset points",
            va="bottom",
            fontsize=5.5,
            color="0.25",
        )


def spread(heights: Values, gap: float) -> Values:
    """Increasing heights, moved up where they are less than a gap above the one before.

    But the lowest goes down by the gap where the next is so near: under its own line.
    """
    moved = heights.copy()
    if len(moved) > 1 and moved[1] - moved[0] < gap:
        moved[0] -= gap
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    return moved
