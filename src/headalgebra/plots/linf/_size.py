"""ε by the size of the model (section 5)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.claims.linf.phases import block_parameters
from headalgebra.plots._axes import log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import legend_below, title_panel
from headalgebra.plots._style import INK, SIDE_BY_SIDE_FROM, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

PANELS = {
    "largest": ("largest ε of a layer", "no ε: it needs two heads"),
    "step": ("largest step |Δε| between layers", "no steps: they need two layers"),
}

FEWEST_SIZES = 3
"""Of one family; two points make no trend."""

TRAINED_LOOK: dict[str, Any] = {"markeredgecolor": INK, "zorder": 3}
INITIAL_LOOK: dict[str, Any] = {"markerfacecolor": "white", "linestyle": "none", "zorder": 2.5}


def sizes(layers: pd.DataFrame) -> pd.DataFrame:
    """Parameters, largest ε and largest step of ε between successive layers of each model.

    A model's parameters are those of its blocks, in millions.
    """
    rows = {}
    for model, of_model in rows_by_model(layers, "layers").items():
        epsilon, layer = numbers(of_model["epsilon"]), numbers(of_model["layer"])
        shape = map(int, of_model[["n_layers", "d_model"]].iloc[0])
        steps = np.abs(np.diff(epsilon))[np.diff(layer) == 1]
        rows[model] = {
            "parameters": block_parameters(*shape) / 1e6,
            "largest": np.fmax.reduce(epsilon),
            "step": np.fmax.reduce(steps) if len(steps) else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


@paper_style()
def epsilon_by_size(
    layers: pd.DataFrame,
    style: FigureStyle,
    *,
    families: Mapping[str, str],
    initialised: Collection[str],
) -> Figure:
    """Largest ε of each model, and its largest step between layers, against size, by family.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``n_layers``, ``d_model`` and ``epsilon``.
    style
        How it looks.
    families
        The family of each model: a colour and a marker, and a line through those that are trained.
    initialised
        Models that were never trained, whose markers are open.

    Raises
    ------
    NothingToShow
        When no family has trained models of three sizes.
    ValueError
        When the table has no rows or lacks a column, or a model has no family.
    """
    require_columns(layers, "layers", ("model", "layer", "n_layers", "d_model", "epsilon"))
    table = sizes(layers).sort_values("parameters", kind="stable")
    if missing := [model for model in table.index if model not in families]:
        raise ValueError(f"families lacks {missing[0]}; give the family of every model")
    names = list(dict.fromkeys(families[str(model)] for model in layers["model"].unique()))
    by_family = pd.DataFrame({"model": names})
    colours, markers = style.model_colours(by_family), style.model_markers(by_family)
    looks: dict[str, dict[str, Any]] = {
        family: {"color": colours[family], "marker": markers[family]} for family in names
    }
    family_of = table.index.map(families)
    initial = table.index.isin(list(initialised))
    drawn = table[~initial & table["largest"].notna()]
    n_sizes = drawn["parameters"].groupby(drawn.index.map(families)).nunique()
    if n_sizes.empty or n_sizes.max() < FEWEST_SIZES:
        raise NothingToShow("fewer than three sizes of a family that is trained and has an ε")
    beside = style.width_inches >= SIDE_BY_SIDE_FROM
    figure = Figure(figsize=(style.width_inches, 2.6 if beside else 4.4), layout="constrained")
    for axes, (column, (name, reason)) in zip(
        figure.subplots(*((1, 2) if beside else (2, 1))), PANELS.items(), strict=True
    ):
        log_axis(axes.xaxis, log_limits(table["parameters"]))
        log_axis(axes.yaxis, log_limits(numbers(table[column])))
        for family, look in looks.items():
            for chosen, more in (
                ((family_of == family) & ~initial, TRAINED_LOOK),
                ((family_of == family) & initial, INITIAL_LOOK),
            ):
                of_family = table[chosen]
                plot_positive(
                    axes,
                    numbers(of_family["parameters"]),
                    numbers(of_family[column]),
                    **look,
                    **more,
                )
        title_panel(axes, "", {reason: numbers(table[column])})
        axes.set_xlabel(r"parameters $12\,L\,d^2$, millions")
        axes.set_ylabel(name)
    legend_below(
        figure,
        [
            *(
                Line2D([], [], label=family, **look, **TRAINED_LOOK)
                for family, look in looks.items()
            ),
            *(
                [Line2D([], [], label="at initialisation", color="0.4", marker="o", **INITIAL_LOOK)]
                if initial.any()
                else []
            ),
            *zero_legend(table["largest"], table["step"]),
        ],
    )
    return figure
