"""Which axes of the state heads keep to, and how far they read the same (001 III.4, 002 5.2)."""

from collections.abc import Collection, Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.defaults import OWN_BLOCK
from headalgebra.plots._axes import layer_axis, log_axis, log_limits, zero_legend
from headalgebra.plots._panels import legend_below, title_model, title_panel
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
    HEADS_LOOK,
    MEAN_LOOK,
    NULL_LOOK,
    draw_heads,
    draw_median,
    model_look,
    of_quantity,
    values_of,
)

PANELS = {
    "own_block_share": ("share in own block", "no shares", "own_block_chance"),
    "query_overlap": ("overlap, queries", "no overlaps", "overlap_chance"),
    "key_overlap": ("overlap, keys", "no overlaps", "overlap_chance"),
}
"""Quantities from the top: their names, what is said where there are none, and their chance."""


@paper_style()
def head_axes_by_layer(
    normality: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    initialisations: Mapping[str, str],
    own_block: float = OWN_BLOCK,
) -> Figure:
    """Share of each head's operator in its own block of axes, and overlaps of what heads read.

    Small points are heads, the line their median; dotted is what chance gives.

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
        For trained models the one of these whose medians are drawn in the same panels.
    own_block
        A line across the shares: from it on a head keeps to its block.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(normality, "normality", ("model", "layer", "operator", "quantity", "value"))
    heads_alone = normality[normality["operator"].str.startswith("head ")]
    chosen = heads_alone[heads_alone["quantity"].isin([*PANELS])]
    shown = models_with_rows(
        chosen,
        runs,
        initialisations=initialisations,
        otherwise="query and key weights are not read",
        nothing="no heads to draw",
    )
    colours = style.model_colours(runs)
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.4, 1.1, 1.1))
    limits = {}
    for quantity, (_, _, chance) in PANELS.items():
        rows = of_quantity(heads_alone, quantity)
        by_chance = of_quantity(heads_alone, chance)
        bound = [own_block] if quantity == "own_block_share" else []
        limits[quantity] = log_limits(numbers(rows["value"]), numbers(by_chance["value"]), bound)
    for panels, (model, initial) in zip(columns, shown.beside.items(), strict=True):
        rows, of_model = shown.rows[model], heads_alone[heads_alone["model"] == model]
        look = model_look(colours[model], model, initialised)
        panels[0].axhline(own_block, **BOUND_LOOK)
        for axes, (quantity, (_, reason, chance)) in zip(panels, PANELS.items(), strict=True):
            heads = of_quantity(rows, quantity)
            log_axis(axes.yaxis, limits[quantity])
            layer_axis(axes, numbers(rows["layer"]))
            draw_heads(axes, heads, colours[model])
            if initial is not None:
                draw_median(axes, of_quantity(shown.rows[initial], quantity), BESIDE_LOOK)
            draw_median(axes, of_quantity(of_model, chance), NULL_LOOK)
            draw_median(axes, heads, look)
            if axes is panels[0]:
                title_model(axes, model, style, initialised, {reason: values_of(heads)})
            else:
                title_panel(axes, "", {reason: values_of(heads)})
    note = label_columns(
        columns, x="layer", y=[name for name, *_ in PANELS.values()], note=shown.note
    )
    legend_below(
        figure,
        [
            Line2D([], [], color="0.5", label="median of the heads", **MEAN_LOOK),
            Line2D([], [], color="0.5", label="a head", **HEADS_LOOK),
            Line2D([], [], label="chance", **NULL_LOOK),
            *shown.beside_entries("median, at initialisation"),
            Line2D([], [], label=f"bound {own_block:g} of the share", **BOUND_LOOK),
            *zero_legend(chosen["value"]),
        ],
        note,
    )
    return figure
