"""Growth of perturbations through the blocks, and what may foretell it (section VI)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._axes import layer_axis, log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import legend_below, title_model, title_panel
from headalgebra.plots._runs import (
    BESIDE_LOOK,
    label_columns,
    model_columns,
    models_with_rows,
)
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns

GROWTH: dict[str, tuple[str, dict[str, Any]]] = {
    "growth": (
        "growth of random perturbations",
        {"marker": "o", "markeredgecolor": INK, "zorder": 3},
    ),
    "product_of_radii": (
        "product of spectral radii",
        {"color": INK, "marker": "x", "linestyle": ":"},
    ),
    "product_of_pseudospectral_radii": (
        "product of pseudospectral radii",
        {"color": INK, "marker": "^", "markerfacecolor": "white", "linestyle": (0, (5, 1))},
    ),
    "norm_of_product": (
        "norm of the product",
        {"color": INK, "marker": "_", "linestyle": (0, (6, 1, 1, 1))},
    ),
}
"""Quantities through the first blocks: what was measured, then what may foretell it."""

BLOCKS: dict[str, tuple[str, dict[str, Any]]] = {
    "norm": ("norm of a block", {"marker": "D"}),
    "radius": ("its spectral radius", {"marker": "x"}),
}
"""Quantities of single blocks."""

OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "frozen block": ("frozen", {"linestyle": (0, (1, 1))}),
    "tangent block": ("tangent", {"linestyle": (0, (5, 1)), "markerfacecolor": "white"}),
}
"""Which linear map of a block it is of."""


@paper_style()
def growth_by_depth(
    normality: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
) -> Figure:
    """Growth of small random perturbations beside its predictors, and below it single blocks.

    Parameters
    ----------
    normality
        Columns ``model``, ``layer``, ``operator``, ``quantity`` and ``value``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks.
    initialised
        Models that were never trained.
    initialisations
        For trained models the one of these whose growth is drawn in the same panel.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(normality, "normality", ("model", "layer", "operator", "quantity", "value"))
    of_blocks = normality[normality["operator"].isin(["growth", *OPERATORS])]
    of_blocks = of_blocks[of_blocks["quantity"].isin([*GROWTH, *BLOCKS])]
    shown = models_with_rows(
        of_blocks,
        runs,
        initialisations=initialisations,
        otherwise="no blocks measured",
        nothing="no growth to draw",
    )
    through = of_blocks[of_blocks["operator"] == "growth"]
    single = of_blocks[of_blocks["operator"] != "growth"]
    colours = style.model_colours(runs)
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.5, 1.2))
    limits = [log_limits(numbers(rows["value"]), [1.0]) for rows in (through, single)]
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows = shown.rows[model]
        above, below = panels
        for axes, ends in zip(panels, limits, strict=True):
            log_axis(axes.yaxis, ends)
            layer_axis(axes, numbers(rows["layer"]))
            axes.axhline(1, color="0.55", linewidth=0.5, zorder=1)
        grown = rows[rows["operator"] == "growth"]
        if initial is not None:
            of_initial = shown.rows[initial]
            _draw(above, of_initial[of_initial["operator"] == "growth"], "growth", BESIDE_LOOK)
        face = {"markerfacecolor": "white"} if model in initialised else {}
        for quantity, (_, look) in GROWTH.items():
            own = face if quantity == "growth" else {}
            _draw(above, grown, quantity, {"color": colours[model]} | look | own)
        for operator, (_, line) in OPERATORS.items():
            of_operator = rows[rows["operator"] == operator]
            for quantity, (_, look) in BLOCKS.items():
                _draw(below, of_operator, quantity, {"color": colours[model]} | look | line)
        title_model(above, model, style, initialised, {"no growth": _values(grown)})
        title_panel(below, "", {"no block measured": _values(rows.drop(grown.index))})
    note = label_columns(columns, x="layer", y=("growth so far", "of one block"), note=shown.note)
    found = set(through["quantity"])
    legend_below(
        figure,
        [
            *(
                Line2D([], [], label=name, **({"color": "0.5"} | look))
                for quantity, (name, look) in GROWTH.items()
                if quantity in found
            ),
            *(
                [Line2D([], [], label="growth at initialisation", **BESIDE_LOOK)]
                if any(shown.beside.values())
                else []
            ),
            *(
                Line2D([], [], color="0.5", label=f"{called}, {how}", **(look | line))
                for operator, (how, line) in OPERATORS.items()
                for quantity, (called, look) in BLOCKS.items()
                if len(_of(single[single["operator"] == operator], quantity))
            ),
            *zero_legend(of_blocks["value"]),
        ],
        note,
    )
    return figure


def _of(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    return rows[rows["quantity"] == quantity].sort_values("layer")


def _values(rows: pd.DataFrame) -> Any:
    values = numbers(rows["value"])
    return values if len(values) else np.array([np.nan])


def _draw(axes: Axes, rows: pd.DataFrame, quantity: str, look: dict[str, Any]) -> None:
    of_quantity = _of(rows, quantity)
    plot_positive(axes, numbers(of_quantity["layer"]), numbers(of_quantity["value"]), **look)
