"""What the first states, or the first orders, tell of the last state (section VI)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from headalgebra.plots._axes import log_axis, log_limits, plot_positive, zero_legend
from headalgebra.plots._panels import legend_below, title_model, title_panel
from headalgebra.plots._runs import label_columns, model_columns, models_with_rows
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns

COLUMNS = ("model", "sequence", "m", "method", "median", "q1", "q3")
SEQUENCES = ("states", "orders")
"""Of which the terms are: a row of panels each."""

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "last": ("the last term", {"marker": "o", "linewidth": 1.4}),
    "linear": ("and its last difference", {"marker": "x", "linestyle": ":"}),
    "rre": ("reduced rank (DIIS)", {"marker": "s", "linestyle": (0, (5, 1))}),
    "anderson": ("Anderson", {"marker": "D", "linestyle": "-"}),
    "epsilon": ("vector ε (Padé)", {"marker": "^", "linestyle": (0, (3, 1.5))}),
    "borel": ("Borel", {"marker": "v", "linestyle": (0, (6, 1, 1, 1))}),
}
"""What the methods are called, and their looks; the first two resum nothing."""

APART = 0.09
"""Of the distance of two numbers of terms, that between the bars of two methods."""


@paper_style()
def resummation_by_terms(
    resummation: pd.DataFrame,
    runs: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
) -> Figure:
    """Errors of every method's estimate of the last state, by the number of terms it is from.

    Medians over tokens, and bars between the quartiles; a column a model, the terms states above
    and partial sums of orders below, each on one log scale.

    Parameters
    ----------
    resummation
        Columns ``model``, ``sequence``, ``m``, ``method``, ``median``, ``q1`` and ``q3``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    style
        How it looks; ``model_palette`` tells the methods apart.
    initialised
        Models that were never trained, as their titles say.

    Raises
    ------
    NothingToShow
        When no model has rows.
    ValueError
        When a table lacks a column.
    """
    require_columns(resummation, "resummation", COLUMNS)
    shown = models_with_rows(
        resummation,
        runs,
        initialisations={},
        otherwise="too few blocks",
        nothing="nothing is resummed",
        values=("median",),
    )
    palette = sns.color_palette(style.model_palette, len(METHODS) - 1)
    looks = {
        method: {"color": colour, "markersize": 2.6, **look}
        for colour, (method, (_, look)) in zip([INK, *palette], METHODS.items(), strict=True)
    }
    figure, columns = model_columns(len(shown.beside), style.width_inches, heights=(1.35, 1.35))
    limits = [
        log_limits(*(numbers(rows[name]) for name in ("median", "q1", "q3")))
        for rows in (resummation[resummation["sequence"] == name] for name in SEQUENCES)
    ]
    for panels, model in zip(columns, shown.beside, strict=True):
        rows = shown.rows[model]
        for axes, sequence, ends in zip(panels, SEQUENCES, limits, strict=True):
            of_sequence = rows[rows["sequence"] == sequence]
            log_axis(axes.yaxis, ends)
            _draw_methods(axes, of_sequence, looks)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
            missing = {"no estimates": numbers(of_sequence["median"])}
            if axes is panels[0]:
                title_model(axes, model, style, initialised, missing)
            else:
                title_panel(axes, "", missing)
    note = label_columns(
        columns,
        x="last term $m$",
        y=tuple(f"error, {name}" for name in ("states", "sums")),
        note=shown.note,
    )
    legend_below(
        figure,
        [
            *(Line2D([], [], label=METHODS[method][0], **look) for method, look in looks.items()),
            *zero_legend(resummation["median"]),
        ],
        note,
    )
    return figure


def _draw_methods(axes: Axes, rows: pd.DataFrame, looks: dict[str, dict[str, Any]]) -> None:
    terms = np.unique(numbers(rows["m"]))
    between = float(np.diff(terms).min()) if len(terms) > 1 else 1.0
    if len(terms):
        axes.set_xlim(terms[0] - between / 2, terms[-1] + between / 2)
    for place, (method, look) in enumerate(looks.items()):
        of_method = rows[rows["method"] == method].sort_values("m")
        m = numbers(of_method["m"]) + (place - (len(looks) - 1) / 2) * APART * between
        q1, q3 = numbers(of_method["q1"]), numbers(of_method["q3"])
        axes.vlines(m, q1, q3, color=look["color"], linewidth=0.6, alpha=0.7, zorder=2)
        plot_positive(axes, m, numbers(of_method["median"]), zorder=3, **look)
