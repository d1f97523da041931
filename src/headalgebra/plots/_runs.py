"""Models that read a text: who has a column of panels, beside whom, and who has none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._panels import MOST_COLUMNS, PANEL_INCHES
from headalgebra.plots._style import INITIAL_LINE
from headalgebra.plots._tables import require_columns

NOT_RUN = "could not be run"
"""What is said of a model that a guard or its checkpoint kept from reading."""

BESIDE_LOOK: dict[str, Any] = {
    "color": "0.35",
    "linestyle": INITIAL_LINE,
    "marker": "s",
    "markersize": 2.8,
    "markerfacecolor": "white",
    "zorder": 2.6,
}
"""A trained model's architecture at initialisation, in the panel of the trained one."""


@dataclass(frozen=True)
class Shown:
    """Which models a figure shows.

    Attributes
    ----------
    rows
        The rows of each model that has any, in the order of the runs.
    beside
        Every model that has a column, and the initialisation that is drawn in it, if there is one.
    note
        Those that are left out, and why; empty where none is.
    """

    rows: dict[str, pd.DataFrame]
    beside: dict[str, str | None]
    note: str

    def beside_entries(self, label: str = "the architecture at initialisation") -> list[Line2D]:
        """What a legend says of the initialisations in the panels; nothing where there is none."""
        return [Line2D([], [], label=label, **BESIDE_LOOK)] if any(self.beside.values()) else []


def models_with_rows(
    table: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    initialisations: Mapping[str, str],
    otherwise: str,
) -> Shown:
    """The models of the runs that have rows; an initialisation stands beside its trained model.

    Parameters
    ----------
    table
        Rows with a column ``model``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    initialisations
        For trained models the model that is the same architecture before training.
    otherwise
        Why a model that was run has no rows.
    """
    require_columns(runs, "runs", ("model", "kind"))
    by_model = {str(model): rows for model, rows in table.groupby("model", sort=False)}
    kinds = dict(zip(runs["model"].astype(str), runs["kind"], strict=True))
    rows = {model: by_model[model] for model in kinds if model in by_model}
    paired = {
        initial for model, initial in initialisations.items() if model in rows and initial in rows
    }
    left_out: dict[str, list[str]] = {}
    for model, kind in kinds.items():
        if model not in rows:
            left_out.setdefault(otherwise if kind else NOT_RUN, []).append(model)
    return Shown(
        rows,
        {
            model: initial if (initial := initialisations.get(model)) in rows else None
            for model in rows
            if model not in paired
        },
        "; ".join(f"{reason}: {', '.join(models)}" for reason, models in left_out.items()),
    )


def nothing_to_draw(shown: Shown, reason: str) -> str:
    """One line of why a figure shows no model."""
    return f"{reason} ({shown.note})" if shown.note else reason


def model_columns(
    n_models: int, width: float, *, heights: Sequence[float]
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a column of panels for each model, in as few rows of columns as fit.

    Panels of the same place in their columns share a y axis only where they stand in one row:
    set their limits.

    Parameters
    ----------
    heights
        Inches of the panels of a column, from the top.
    """
    widest = max(1, min(MOST_COLUMNS, int(width / PANEL_INCHES)))
    n_bands = -(-n_models // widest)
    n_columns = -(-n_models // n_bands)
    inches = [*heights] * n_bands
    figure = Figure(figsize=(width, sum(inches) + 0.5), layout="constrained")
    grid = figure.subplots(
        *(len(inches), n_columns),
        squeeze=False,
        sharey="row",
        gridspec_kw={"height_ratios": inches},
    )
    columns = [
        [*grid[band * len(heights) : (band + 1) * len(heights), column]]
        for band in range(n_bands)
        for column in range(n_columns)
    ]
    for spare in columns[n_models:]:
        for axes in spare:
            axes.remove()
    for panels in columns[:n_models]:
        for axes in panels[:-1]:
            axes.tick_params(labelbottom=False)
    return figure, columns[:n_models]


def label_columns(columns: Sequence[Sequence[Axes]], *, x: str, y: Sequence[str]) -> None:
    """Name the x axis below every column, and the y axes left of the first of a row."""
    for panels in columns:
        panels[-1].set_xlabel(x)
        for axes, name in zip(panels, y, strict=True):
            place = axes.get_subplotspec()
            assert place is not None
            if place.is_first_col():
                axes.set_ylabel(name)
