"""Where norms put states: directions that they flatten, and lengths (section 3.1)."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.defaults import SECOND_EIGENVALUE
from headalgebra.plots._axes import ZERO_LOOK, layer_axis, log_axis, log_limits, plot_positive
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
from headalgebra.plots._tables import numbers, require_columns
from headalgebra.plots.geometry._rows import (
    BOUND_LOOK,
    COLUMNS,
    LATER_LOOK,
    MEAN_LOOK,
    NULL_LOOK,
    by_norm,
    floored,
    missing,
    model_look,
    of_quantity,
    of_stream,
)

FLOOR = 1e-6
"""Of the median eigenvalue, and of the mean length: what is smaller is marked on the lower edge."""

EIGENVALUES: dict[str, tuple[str, dict[str, Any]]] = {
    "lambda_1": ("smallest eigenvalue", {"marker": "^", "linestyle": "--", "linewidth": 0.8}),
    "lambda_2": ("second eigenvalue", {}),
    "lambda_3": ("third eigenvalue", {"marker": "x", "linestyle": ":"}),
}
"""Quantities of the upper panels, and how they differ from the look of a model's own line."""

BEFORE, LATER, AFTER = "size_variation", "size_variation_without_first", "mean_square_sd"
AFTER_LOOK: dict[str, Any] = {"marker": "D", "markersize": 2.6, "linestyle": (0, (5, 1))}

KINDS = {(1.0,): "LayerNorm", (0.0,): "RMSNorm", (0.0, 1.0): "LayerNorm and RMSNorm"}
"""What norms are called, by whether they take the mean off."""


@paper_style()
def norms_by_layer(
    geometry: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
    second_eigenvalue: float = SECOND_EIGENVALUE,
) -> Figure:
    """Smallest eigenvalues of normalised states over the median, and lengths before and after.

    Norms of a layer stand side by side about it, in their order. Norms of queries and keys are left
    out: they have vectors of their own.

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
        For trained models the one of these whose second eigenvalue, and lengths before the norms,
        are drawn in the same panels.
    second_eigenvalue
        A line across the eigenvalues: up to it the second is called orders of magnitude smaller.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(geometry, "geometry", COLUMNS)
    drawn = [*EIGENVALUES, BEFORE, LATER, AFTER]
    chosen = geometry[geometry["quantity"].isin([*drawn, "takes_mean_off"])]
    shown = models_with_rows(
        chosen,
        runs,
        initialisations=initialisations,
        otherwise="no norm was seen",
        nothing="no norms to draw",
    )
    colours = style.model_colours(runs)
    norms = {model: by_norm(of_stream(rows)) for model, rows in shown.rows.items()}
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.5, 1.2))
    limits = [
        log_limits(*(floored(numbers(rows[column]), FLOOR) for column in ("value", "null")), more)
        for rows, more in (
            (chosen[chosen["quantity"].isin([*EIGENVALUES])], [second_eigenvalue]),
            (chosen[chosen["quantity"].isin([BEFORE, LATER, AFTER])], []),
        )
    ]
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows = norms[model]
        look = model_look(colours[model], model, initialised)
        for axes, ends in zip(panels, limits, strict=True):
            log_axis(axes.yaxis, ends)
            layer_axis(axes, numbers(shown.rows[model]["layer"]))
        above, below = panels
        above.axhline(second_eigenvalue, **BOUND_LOOK)
        if initial is not None:
            _draw(above, of_quantity(norms[initial], "lambda_2"), BESIDE_LOOK)
            _draw(below, of_quantity(norms[initial], BEFORE), BESIDE_LOOK)
        for quantity, (_, own) in EIGENVALUES.items():
            _draw(above, of_quantity(rows, quantity), look | own)
            _draw(above, of_quantity(rows, quantity), NULL_LOOK, "null")
        _draw(below, of_quantity(rows, LATER), {"color": colours[model]} | LATER_LOOK)
        _draw(below, of_quantity(rows, BEFORE), look)
        _draw(below, of_quantity(rows, AFTER), look | AFTER_LOOK)
        remarks = [AT_INITIALISATION] if model in initialised else []
        kinds = tuple(sorted(set(of_quantity(rows, "takes_mean_off")["value"].dropna())))
        remarks += [KINDS[kinds]] if kinds in KINDS else []
        second = missing(of_quantity(rows, "lambda_2"), "no eigenvalues")
        title_panel(above, style.called(model), second, remarks)
        title_panel(below, "", missing(of_quantity(rows, BEFORE), "no lengths"))
    note = label_columns(
        columns, x="layer", y=("eigenvalue / median", "spread of lengths"), note=shown.note
    )
    small = any(
        (numbers(chosen.loc[chosen["quantity"].isin(drawn), column]) < FLOOR).any()
        for column in ("value", "null")
    )
    grey = {"color": "0.5"} | MEAN_LOOK
    legend_below(
        figure,
        [
            *(Line2D([], [], label=name, **(grey | own)) for name, own in EIGENVALUES.values()),
            Line2D([], [], label="of isotropic vectors, as many", **NULL_LOOK),
            Line2D([], [], label=f"bound {second_eigenvalue:g} of the second", **BOUND_LOOK),
            Line2D([], [], label="below: |x| before the norm, sd over mean", **grey),
            Line2D([], [], color="0.5", label="below: without the first token", **LATER_LOOK),
            Line2D([], [], label="below: |z|²/d after it, sd", **(grey | AFTER_LOOK)),
            *shown.beside_entries("second, and |x|, at initialisation"),
            *([Line2D([], [], label="below $10^{-6}$", **ZERO_LOOK)] if small else []),
        ],
        note,
    )
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, look: dict[str, Any], column: str = "value") -> None:
    values = floored(numbers(rows[column]), FLOOR)
    plot_positive(axes, numbers(rows["place"]), values, **look)
