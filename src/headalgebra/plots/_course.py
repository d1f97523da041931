"""What becomes of a model over its training: a panel a quantity, a curve a model or an arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import t as student

from headalgebra.plots._axes import ZERO_LOOK, log_axis, log_limits, longer, plot_positive, slopes
from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import (
    MOST_COLUMNS,
    PANEL_INCHES,
    label_below,
    legend_below,
    wrapped,
)
from headalgebra.plots._style import INK, FigureStyle
from headalgebra.plots._tables import Values, numbers
from headalgebra.plots._training_axis import loss_axis, training_axis

LOSS = "validation_loss"

PANELS = {
    LOSS: "validation loss,\nnats a token",
    "epsilon": "ε",
    "epsilon_over_haar": r"$ε\,/\,ε_{\mathrm{Haar}}$",
    "rho3_over_null": r"$ρ_3\,/\,ρ_{3,\mathrm{null}}$",
    "partial_error_1": "error $e_1$",
    "partial_error_2": "error $e_2$",
    "partial_error_4": "error $e_4$",
}
"""Quantities that have a panel, and what their axes are called; all but the loss on log axes."""

OVER_CHANCE = ("epsilon_over_haar", "rho3_over_null")
ERRORS = tuple(name for name in PANELS if name.startswith("partial_error"))

ROUNDING = 1e-6
"""Ratios and errors below it are marked on the lower edge: weights and states are float32."""

CONFIDENCE = 0.95

PANEL_HEIGHT = 1.45
CHANCE_LOOK: dict[str, Any] = {"color": INK, "linestyle": ":", "linewidth": 0.9, "zorder": 1.5}
LAYER_LOOK: dict[str, Any] = {"linewidth": 0.6, "marker": ".", "markersize": 1.8, "zorder": 2.5}
CURVE_LOOK: dict[str, Any] = {"linewidth": 1.0, "markersize": 3, "zorder": 3}
BAND_LOOK: dict[str, Any] = {"alpha": 0.2, "linewidth": 0, "zorder": 2}


@dataclass(frozen=True)
class Curve:
    """How the runs of an arm look, and what they are called.

    Attributes
    ----------
    label
        Entry of the legend.
    look
        Colour and marker.
    """

    label: str
    look: Mapping[str, Any]


def draw_course(
    values: pd.DataFrame,
    curves: Mapping[str, Curve],
    floors: Mapping[str, float],
    style: FigureStyle,
    *,
    title: str,
    time: str,
    names: Sequence[str] | None = None,
) -> Figure:
    """A panel for each quantity that has numbers, over the time of the training.

    Parameters
    ----------
    values
        Columns ``arm``, ``run``, ``time``, ``layer``, ``quantity`` and ``value``. Rows without a
        layer are of the whole model, for ε and ρ₃ the median over its layers. Layers are drawn
        where there is one run and no more.
    curves
        The look of each arm, in the legend's order; rows of others are left out.
    floors
        Losses of n-gram models by ``unigram``, ``bigram`` and ``trigram``, or none.
    time
        Label of the x axis.
    names
        Of the times 0, 1, …, where these are no numbers of steps.

    Raises
    ------
    NothingToShow
        When there are numbers of fewer than two times.
    """
    values = _without_rounding(values[values["arm"].isin(list(curves))])
    quantities = [
        name
        for name in PANELS
        if (numbers(values.loc[values["quantity"] == name, "value"]) > 0).any()
    ]
    drawn = values[values["quantity"].isin(quantities)]
    if drawn.dropna(subset="value")["time"].nunique() < 2:
        raise NothingToShow("fewer than two checkpoints of a training that have numbers")
    single = len(values["run"].unique()) == 1
    depths = sorted(values.loc[values["quantity"] != LOSS, "layer"].dropna().unique())
    shades = style.depth_colours()(np.linspace(0, 1, len(depths) if single else 0))
    figure, panels = _grid(len(quantities), style.width_inches)
    figure.suptitle(title)
    bands = False
    for axes, quantity in zip(panels, quantities, strict=True):
        rows = values[values["quantity"] == quantity]
        whole = rows[rows["layer"].isna()]
        means = {
            arm: interval_of_mean(table, logarithms=quantity != LOSS)
            for arm, of_arm in whole.groupby("arm", sort=False)
            if len(table := by_time(of_arm))
        }
        _time_axis(axes, numbers(values["time"]), names)
        if quantity == LOSS:
            loss_axis(axes, floors, numbers(whole["value"]))
        else:
            alike = ERRORS if quantity in ERRORS else (quantity,)
            every = values.loc[values["quantity"].isin(alike) & (single | values["layer"].isna())]
            log_axis(axes.yaxis, log_limits(every["value"], [1.0] * (quantity in OVER_CHANCE)))
        if quantity in OVER_CHANCE:
            axes.axhline(1, **CHANCE_LOOK)
        for shade, layer in zip(shades, depths, strict=single):
            of_layer = rows[rows["layer"] == layer].sort_values("time")
            x, y = numbers(of_layer["time"]), numbers(of_layer["value"])
            plot_positive(axes, x, y, edge=shade, color=shade, **LAYER_LOOK)
        for index, (arm, curve) in enumerate(curves.items()):
            if arm in means:
                bands |= draw_mean(axes, means[arm], curve.look, place=index / len(curves))
        axes.set_ylabel(PANELS[quantity])
    label_below(panels, time if names is None else "checkpoint")
    zero = (values.loc[values["quantity"].isin(quantities), "value"] == 0).any()
    legend_below(
        figure,
        [
            *curve_entries(curves, style.width_inches, bands=bands),
            *(
                Line2D([], [], color=shades[k], label=f"layer {depths[k]:g}", **LAYER_LOOK)
                for k in sorted({0, len(depths) // 2, len(depths) - 1})
                if single and depths
            ),
            *(
                [Line2D([], [], label="chance", **CHANCE_LOOK)]
                * bool({*OVER_CHANCE} & {*quantities})
            ),
            *([Line2D([], [], label="rounding, below $10^{-6}$", **ZERO_LOOK)] if zero else []),
        ],
    )
    return figure


def curve_entries(curves: Mapping[str, Curve], width: float, *, bands: bool) -> list[Artist]:
    """What a legend says of the arms, and of bands if they are to be seen."""
    entries: list[Artist] = [
        Line2D([], [], label=wrapped(curve.label, 0.8 * width), **CURVE_LOOK, **curve.look)
        for curve in curves.values()
    ]
    if bands:
        entries.append(Patch(facecolor="0.5", alpha=0.3, label="95 % interval of the mean"))
    return entries


def by_time(rows: pd.DataFrame) -> pd.DataFrame:
    """The values of each run by time, at the times that most runs have."""
    table = rows.pivot(index="time", columns="run", values="value").astype(np.float64)
    counts = table.notna().sum(axis=1)
    return table[(counts == counts.max()) & (counts > 0)]


def interval_of_mean(table: pd.DataFrame, *, logarithms: bool) -> pd.DataFrame:
    """Mean over runs at each time, and the ends of its interval by Student's t.

    Parameters
    ----------
    table
        A row a time, a column a run.
    logarithms
        Whether the mean is of the logarithms, so that a zero among the values makes it zero.

    Returns
    -------
    Columns ``mean``, ``low`` and ``high``, the last two not numbers where there is one run.
    """
    values = table.to_numpy(np.float64)
    n = np.isfinite(values).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(values) if logarithms else values
        mean = np.nansum(values, axis=1) / n
        variance = np.nansum((values - mean[:, None]) ** 2, axis=1) / (n - 1)
        half = student.ppf((1 + CONFIDENCE) / 2, n - 1) * np.sqrt(variance / n)
        ends = np.stack([mean, mean - half, mean + half], axis=1)
    ends[~np.isfinite(half), 1:] = np.nan
    return pd.DataFrame(
        np.exp(ends) if logarithms else ends, index=table.index, columns=["mean", "low", "high"]
    )


def draw_mean(axes: Axes, mean: pd.DataFrame, look: Mapping[str, Any], *, place: float) -> bool:
    """The curve of an arm with its interval; markers begin at a place of their own.

    Returns
    -------
    Whether the interval can be seen behind the curve.
    """
    x = mean.index.to_numpy(np.float64)
    # On curves of many points markers would hide one another.
    every: Any = None if len(x) < 12 else (0.12 * place, 0.12)
    looks = {**CURVE_LOOK, **look}
    plot_positive(axes, x, numbers(mean["mean"]), edge=look["color"], markevery=every, **looks)
    low, high = numbers(mean["low"]), numbers(mean["high"])
    if np.isfinite(low).any():
        axes.fill_between(x, low, high, facecolor=look["color"], **BAND_LOOK)
    steepness = slopes(axes, x, numbers(mean["mean"]))
    return longer(axes, low, high, 3 * CURVE_LOOK["linewidth"], steepness=steepness)


def _without_rounding(values: pd.DataFrame) -> pd.DataFrame:
    """Ratios and errors that are rounding as zeros, and the ε of such a ratio too."""
    where = ["arm", "run", "time", "layer"]
    small = values["quantity"].isin((*OVER_CHANCE, *ERRORS)) & (values["value"] < ROUNDING)
    commuting = values[small & (values["quantity"] == "epsilon_over_haar")]
    places = pd.MultiIndex.from_frame(commuting[where])
    epsilon = values["quantity"] == "epsilon"
    small |= epsilon & pd.MultiIndex.from_frame(values[where]).isin(places)
    return values.assign(value=values["value"].mask(small, 0.0))


def _grid(n_panels: int, width: float) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, in as few rows as its width allows."""
    widest = max(1, min(MOST_COLUMNS, int(width / PANEL_INCHES)))
    n_rows = -(-n_panels // widest)
    n_columns = -(-n_panels // n_rows)
    figure = Figure(figsize=(width, PANEL_HEIGHT * n_rows + 0.6), layout="constrained")
    panels = [*figure.subplots(n_rows, n_columns, squeeze=False).flat]
    for spare in panels[n_panels:]:
        spare.remove()
    return figure, panels[:n_panels]


def _time_axis(axes: Axes, time: Values, names: Sequence[str] | None) -> None:
    if names is None:
        training_axis(axes, time)
        return
    axes.set_xlim(time.min() - 0.3, time.max() + 0.3)
    shown = np.unique(np.linspace(0, len(names) - 1, min(len(names), 4)).round().astype(int))
    axes.set_xticks(shown, [names[k] for k in shown], rotation=20, ha="right")
