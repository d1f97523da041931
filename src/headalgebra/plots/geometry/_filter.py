"""What the activation of a feed-forward part turns off, and what that spares (section 4.2)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from headalgebra.defaults import OFF_SHARE
from headalgebra.plots._axes import layer_axis, log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import legend_below, title_model, title_panel
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
)
from headalgebra.plots._style import FigureStyle, paper_style
from headalgebra.plots._tables import Values, numbers, require_columns
from headalgebra.plots.geometry._rows import (
    BOUND_LOOK,
    COLUMNS,
    LATER_LOOK,
    MEAN_LOOK,
    NULL_LOOK,
    missing,
    model_look,
    of_quantity,
    values_of,
)

OFF, OFF_SE = "off_share", "off_share_se"
BEFORE, AFTER = "participation_before", "participation_after"
FIRST_LEFT_OUT = "_without_first"
BITS = ("bits_before", "bits_after")
QUANTITIES = (
    *(OFF, OFF_SE, *BITS),
    *(f"{name}{where}" for name in (BEFORE, AFTER) for where in ("", FIRST_LEFT_OUT)),
)

CHANGES, BEYOND = ("value", "null"), "beyond"
"""Columns of the change of bits: of the states, of the null, and the one less the other."""

STANDARD_ERRORS = 3
"""To each side of a share: the distance from the bound that the claim asks for."""

BEFORE_LOOK: dict[str, Any] = {
    "marker": "^",
    "markerfacecolor": "white",
    "linestyle": (0, (5, 1)),
    "zorder": 2.9,
}
LATER_BEFORE_LOOK: dict[str, Any] = LATER_LOOK | {"marker": "2", "markersize": 4}


@paper_style()
def filter_by_layer(
    geometry: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
    off_share: float = OFF_SHARE,
) -> Figure:
    """Share of units that are off, participation ratios, and bits that the activation spares.

    Parameters
    ----------
    geometry
        Columns ``model``, ``layer``, ``norm``, ``head``, ``quantity``, ``value``, ``null`` and
        ``note``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these that is drawn in the same panels, of the participation
        ratios that after the activation.
    off_share
        A line across the shares: above it most units are off.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(geometry, "geometry", COLUMNS)
    chosen = geometry[geometry["quantity"].isin(QUANTITIES)]
    shown = models_with_rows(
        chosen,
        runs,
        initialisations=initialisations,
        otherwise="no activation was seen",
        nothing="no activations to draw",
    )
    colours = style.model_colours(runs)
    figure, columns = model_columns(
        len(shown.beside), style.width_inches, heights=(1.1, 1.35, 1.05, 1.05)
    )
    ratios = chosen[chosen["quantity"].str.startswith("participation")]
    ratio_limits = log_limits(*(numbers(ratios[name]) for name in ("value", "null")))
    bits = {model: _bits(rows) for model, rows in shown.rows.items()}
    bit_limits = [
        _around_zero(*(numbers(found[name]) for found in bits.values() for name in names))
        for names in (CHANGES, [BEYOND])
    ]
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows = shown.rows[model]
        look = model_look(colours[model], model, initialised)
        above, middle, *lower = panels
        for axes in panels:
            layer_axis(axes, numbers(rows["layer"]))
        above.set_ylim(-0.03, 1.03)
        above.axhline(off_share, **BOUND_LOOK)
        log_axis(middle.yaxis, ratio_limits)
        for axes, ends in zip(lower, bit_limits, strict=True):
            axes.set_ylim(*ends)
            axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
            axes.axhline(0, **BOUND_LOOK)
        if initial is not None:
            _draw(above, of_quantity(shown.rows[initial], OFF), BESIDE_LOOK)
            _draw(middle, of_quantity(shown.rows[initial], AFTER), BESIDE_LOOK)
            for axes, name in zip(lower, ("value", BEYOND), strict=True):
                _draw_change(axes, bits[initial], name, BESIDE_LOOK)
        _draw_errors(above, rows, colours[model])
        _draw(above, of_quantity(rows, OFF), look)
        for name, own, later in (
            (BEFORE, BEFORE_LOOK, LATER_BEFORE_LOOK),
            (AFTER, {}, LATER_LOOK),
        ):
            without = of_quantity(rows, f"{name}{FIRST_LEFT_OUT}")
            _draw(middle, without, {"color": colours[model]} | later)
            _draw(middle, of_quantity(rows, name), look | own)
        _draw(middle, of_quantity(rows, AFTER), NULL_LOOK, "null")
        _draw_change(lower[0], bits[model], "null", NULL_LOOK)
        for axes, name in zip(lower, ("value", BEYOND), strict=True):
            _draw_change(axes, bits[model], name, look)
        title_model(above, model, style, initialised, missing(of_quantity(rows, OFF), "no units"))
        title_panel(middle, "", missing(of_quantity(rows, AFTER), "no participation ratios"))
        (why,) = missing(of_quantity(rows, BITS[1]), "no bits")
        for axes, name in zip(lower, ("value", BEYOND), strict=True):
            title_panel(axes, "", {why: values_of(bits[model], name)})
    note = label_columns(
        columns,
        x="layer",
        y=("share off", "participation", "change, bits", "beyond null, bits"),
        note=shown.note,
    )
    grey = {"color": "0.5"}
    legend_below(
        figure,
        [
            Line2D([], [], label="after the activation, or its share off", **(grey | MEAN_LOOK)),
            Line2D([], [], label="before it", **(grey | MEAN_LOOK | BEFORE_LOOK)),
            Line2D([], [], label="after, without the first token", **(grey | LATER_LOOK)),
            Line2D([], [], label="before, without it", **(grey | LATER_BEFORE_LOOK)),
            Line2D([], [], label="of independent Gaussian units", **NULL_LOOK),
            *shown.beside_entries("share, after and change at initialisation"),
            Line2D([], [], label=f"bounds {off_share:g} and 0", **BOUND_LOOK),
            *zero_legend(ratios["value"]),
        ],
        note,
    )
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, look: dict[str, Any], column: str = "value") -> None:
    plot_positive(axes, numbers(rows["layer"]), numbers(rows[column]), **look)


def _draw_errors(axes: Axes, rows: pd.DataFrame, colour: object) -> None:
    shares = of_quantity(rows, OFF).set_index("layer")["value"]
    errors = of_quantity(rows, OFF_SE).set_index("layer")["value"].reindex(shares.index)
    middle, half = numbers(shares), STANDARD_ERRORS * numbers(errors)
    layers = numbers(shares.index.to_series())
    axes.vlines(layers, middle - half, middle + half, color=colour, linewidth=0.9, zorder=2.9)


def _bits(rows: pd.DataFrame) -> pd.DataFrame:
    """Bits after less bits before by layer, of the states and of the null, and the difference."""
    before, after = (
        of_quantity(rows, name).set_index("layer")[[*CHANGES]].astype(float) for name in BITS
    )
    change = after - before
    return change.assign(**{BEYOND: change["value"] - change["null"]})


def _draw_change(axes: Axes, bits: pd.DataFrame, column: str, look: dict[str, Any]) -> None:
    axes.plot(numbers(bits.index.to_series()), numbers(bits[column]), **look)


def _around_zero(*values: Values) -> tuple[float, float]:
    """Ends of an axis with 0 and all values inside."""
    every = np.concatenate([*values, np.zeros(1)])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin
