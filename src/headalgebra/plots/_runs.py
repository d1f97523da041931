"""Models that read a text: who has a column of panels, beside whom, and who has none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import MOST_COLUMNS, PANEL_INCHES, is_bare
from headalgebra.plots._style import INITIAL_LINE
from headalgebra.plots._tables import numbers, require_columns

NO_HEIGHT = 1e-6
"""Inches of a row of panels that was taken away."""

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
    nothing: str,
    values: Sequence[str] = ("value",),
) -> Shown:
    """The models of the runs that have numbers; an initialisation stands beside its trained model.

    Parameters
    ----------
    table
        Rows with a column ``model``.
    runs
        Columns ``model`` and ``kind``, a row for each model of the study.
    initialisations
        For trained models the model that is the same architecture before training.
    otherwise
        Why a model that was run has none, where its rows have no single ``note`` that says so.
    nothing
        What is said where no model has any.
    values
        Columns of numbers, of which a model needs one.

    Raises
    ------
    NothingToShow
        When no model has numbers.
    ValueError
        When the runs lack a column.
    """
    require_columns(runs, "runs", ("model", "kind"))
    by_model = {str(model): rows for model, rows in table.groupby("model", sort=False)}
    kinds = dict(zip(runs["model"].astype(str), runs["kind"], strict=True))
    rows = {
        model: by_model[model]
        for model in kinds
        if model in by_model
        and any(np.isfinite(numbers(by_model[model][column])).any() for column in values)
    }
    paired = {
        initial for model, initial in initialisations.items() if model in rows and initial in rows
    }
    left_out: dict[str, list[str]] = {}
    for model, kind in kinds.items():
        if model not in rows:
            reason = _noted(by_model.get(model), otherwise) if kind else NOT_RUN
            left_out.setdefault(reason, []).append(model)
    note = "; ".join(f"{reason}: {', '.join(models)}" for reason, models in left_out.items())
    if not rows:
        raise NothingToShow(f"{nothing} ({note})" if note else nothing)
    return Shown(
        rows,
        {
            model: initial if (initial := initialisations.get(model)) in rows else None
            for model in rows
            if model not in paired
        },
        note,
    )


def _noted(rows: pd.DataFrame | None, otherwise: str) -> str:
    """What all notes of some rows say, or else a reason."""
    if rows is None or "note" not in rows:
        return otherwise
    notes = set(rows["note"].fillna("").astype(str)) - {""}
    return notes.pop() if len(notes) == 1 else otherwise


def model_columns(
    n_models: int, width: float, *, heights: Sequence[float], alike: bool = True
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a column of panels for each model, in as few rows of columns as fit.

    Parameters
    ----------
    heights
        Inches of the panels of a column, from the top.
    alike
        Whether panels of one row share a y axis; those of the same place in different rows of
        columns never do: set their limits.
    """
    widest = max(1, min(MOST_COLUMNS, int(width / PANEL_INCHES)))
    n_bands = -(-n_models // widest)
    n_columns = -(-n_models // n_bands)
    inches = [*heights] * n_bands
    figure = Figure(figsize=(width, sum(inches) + 0.5), layout="constrained")
    grid = figure.subplots(
        *(len(inches), n_columns),
        squeeze=False,
        sharey="row" if alike else False,
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


def label_columns(
    columns: Sequence[Sequence[Axes]], *, x: str, y: Sequence[str], note: str = ""
) -> str:
    """Name the x axis below every column, and the y axes left of the first of a row.

    Panels that have nothing to show in any column are taken away.

    Parameters
    ----------
    columns
        Those of `model_columns`, drawn.
    x, y
        What the axes are called, from the top.
    note
        What stands below the panels already.

    Returns
    -------
    The note, and behind it what was taken away and why.

    Raises
    ------
    NothingToShow
        When nothing is left.
    """
    bare = [all(map(is_bare, panels)) for panels in zip(*columns, strict=True)]
    notes = [note] if note else []
    for place, name in enumerate(y):
        panels = [column[place] for column in columns]
        if bare[place]:
            reasons = dict.fromkeys(axes.texts[-1].get_text().replace("\n", " ") for axes in panels)
            notes.append(f"{name}: {' or '.join(reasons)}")
            continue
        for axes in _first_of_rows([axes for axes in panels if not is_bare(axes)]):
            axes.set_ylabel(name)
            axes.tick_params(labelleft=True)
    if all(bare):
        raise NothingToShow("; ".join(notes))
    kept = [place for place, empty in enumerate(bare) if not empty]
    for column in columns:
        column[kept[0]].set_title(column[0].get_title())
        # Below the lowest that has a frame; a column may have none.
        lowest = max((place for place in kept if not is_bare(column[place])), default=kept[-1])
        column[lowest].tick_params(labelbottom=True)
        column[lowest].set_xlabel(x)
        _take_away([axes for axes, empty in zip(column, bare, strict=True) if empty])
    return "; ".join(notes)


def _first_of_rows(panels: Sequence[Axes]) -> list[Axes]:
    """The leftmost panel of each row; they stand in the order of the columns."""
    first: dict[int, Axes] = {}
    for axes in panels:
        spec = axes.get_subplotspec()
        assert spec is not None
        first.setdefault(spec.rowspan.start, axes)
    return list(first.values())


def _take_away(panels: Sequence[Axes]) -> None:
    """Remove panels, and their rows from the figure's height."""
    for axes in panels:
        spec, figure = axes.get_subplotspec(), axes.figure
        assert spec is not None and isinstance(figure, Figure)
        grid = spec.get_gridspec()
        inches: list[float] = np.asarray(grid.get_height_ratios()).tolist()
        if inches[spec.rowspan.start] > NO_HEIGHT:
            # The first of the row: ratios are inches as `model_columns` sets them.
            figure.set_figheight(figure.get_figheight() - inches[spec.rowspan.start])
            inches[spec.rowspan.start] = NO_HEIGHT
            grid.set_height_ratios(inches)
        axes.remove()
