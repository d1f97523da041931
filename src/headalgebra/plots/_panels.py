"""Panels side by side: their grid, their titles and reasons, the legend below."""

import re
import textwrap
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._style import FigureStyle
from headalgebra.plots._tables import Values, numbers

PANEL_INCHES = 1.6
"""Width that a panel with its tick labels needs."""

MOST_COLUMNS = 4

AT_INITIALISATION = "(at initialisation)"
"""What is said of a model whose weights were drawn and never trained."""

CHARACTER_POINTS = 4.6
"""Mean width of a character at 7 points."""

LEGEND_ROW = 0.14
"""Inches, height of a row of a legend."""

FORMULAS = 0xE000
"""The first of the characters that have no meaning, which stand for formulas."""


def model_panels(
    n_panels: int, width: float, *, panel_height: float, alike: bool = True
) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, in as few rows as its width allows, `alike` on one y axis."""
    widest = max(1, min(MOST_COLUMNS, int(width / PANEL_INCHES)))
    n_rows = -(-n_panels // widest)
    n_columns = -(-n_panels // n_rows)
    figure = Figure(figsize=(width, panel_height * n_rows + 0.5), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=alike)
    panels = list(grid.flat)
    for spare in panels[n_panels:]:
        spare.remove()
    return figure, panels[:n_panels]


def with_numbers(
    models: Mapping[str, pd.DataFrame],
    columns: Sequence[str],
    style: FigureStyle,
    *,
    otherwise: str,
) -> tuple[dict[str, pd.DataFrame], str]:
    """The models that have a number in one of the columns, and a line that names the others.

    Parameters
    ----------
    models
        The rows of each model.
    columns
        Those that a panel draws.
    style
        What models are called.
    otherwise
        Why a model may have none.

    Raises
    ------
    NothingToShow
        When no model has any.
    """
    drawn = {
        model: rows
        for model, rows in models.items()
        if any(np.isfinite(numbers(rows[column])).any() for column in columns)
    }
    if not drawn:
        raise NothingToShow(otherwise)
    without = [style.called(model) for model in models if model not in drawn]
    return drawn, f"{otherwise}: {', '.join(without)}" if without else ""


def in_last_column(axes: Axes) -> bool:
    """Whether a panel touches the right edge of the grid."""
    place = axes.get_subplotspec()
    assert place is not None
    return place.is_last_col()


def label_outside(panels: Sequence[Axes], *, x: str, y: str) -> None:
    """Name the axes along the left and the lower edge of the panels."""
    places = {_place(axes) for axes in panels}
    for axes in panels:
        row, column = _place(axes)
        if (row, column - 1) not in places:
            axes.set_ylabel(y)
    label_below(panels, x)


def label_below(panels: Sequence[Axes], x: str) -> None:
    """Name the x axis of the panels that have none below them."""
    places = {_place(axes) for axes in panels}
    for axes in panels:
        row, column = _place(axes)
        if (row + 1, column) not in places:
            axes.set_xlabel(x)


def _place(axes: Axes) -> tuple[int, int]:
    """Row and column of a panel."""
    spec = axes.get_subplotspec()
    assert spec is not None
    return spec.rowspan.start, spec.colspan.start


def panel_inches(axes: Axes) -> float:
    """About how wide a panel is, before the figure is laid out."""
    place = axes.get_subplotspec()
    assert place is not None and axes.figure is not None
    share = len(place.colspan) / place.get_gridspec().ncols
    return 0.9 * share * float(axes.figure.bbox.width / axes.figure.dpi)


def title_model(
    axes: Axes,
    model: str,
    style: FigureStyle,
    initialised: Collection[str],
    series: Mapping[str, Values],
) -> None:
    """`title_panel` with a model's name, and a line more for one that was never trained."""
    remarks = [AT_INITIALISATION] if model in initialised else []
    title_panel(axes, style.called(model), series, remarks)


def title_panel(
    axes: Axes, title: str, series: Mapping[str, Values], remarks: Sequence[str] = ()
) -> None:
    """Head a panel, and say which of its series are missing altogether.

    ``series`` is keyed by the reason to give. It goes under the title, or where nothing is left
    to draw, in the place of the panel, which has no frame then.
    """
    characters = _characters(panel_inches(axes))
    missing = [reason for reason, values in series.items() if np.isnan(values).all()]
    if series and len(missing) == len(series):
        lines = [line for reason in missing for line in _wrap(reason, int(0.8 * characters))]
        _leave_bare(axes, "\n".join(lines))
        missing = []
    head = [title, *remarks, *missing]
    axes.set_title("\n".join(line for text in head for line in _wrap(text, characters)))


def _leave_bare(axes: Axes, reason: str) -> None:
    """A reason in the place of a panel, and nothing else."""
    for artist in (*axes.lines, *axes.patches, *axes.collections):
        artist.remove()
    axes.text(
        *(0.5, 0.5),
        reason,
        transform=axes.transAxes,
        ha="center",
        va="center",
        style="italic",
    )
    axes.set_frame_on(False)
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)


def is_bare(axes: Axes) -> bool:
    """Whether a panel has nothing but the reason why."""
    return not axes.get_frame_on()


def wrapped(text: str, inches: float) -> str:
    """The text in lines that fit in so many inches."""
    return "\n".join(_wrap(text, _characters(inches)))


def _characters(inches: float) -> int:
    return int(inches * 72 / CHARACTER_POINTS)


def _wrap(text: str, characters: int) -> list[str]:
    """Lines of at most so many characters; a formula is a word, about as long as its symbols."""
    width = max(characters, 8)
    formulas = re.findall(r"\$.*?\$", text)
    for index, formula in enumerate(formulas):
        symbols = re.sub(r"[$_^{}\\]", "", re.sub(r"\\[a-z]+", "x", formula))
        # No longer than a line, or it would be broken.
        text = text.replace(formula, chr(FORMULAS + index) * min(len(symbols), width), 1)
    lines = "\n".join(textwrap.wrap(text, width))
    for index, formula in enumerate(formulas):
        literal = formula.replace("\\", "\\\\")
        lines = re.sub(f"{chr(FORMULAS + index)}+", literal, lines)
    return lines.split("\n") if lines else []


def _unbroken(text: str, width: float) -> list[str]:
    """Lines that fit in so many inches, no name of a model broken at a hyphen."""
    characters = int(0.95 * width * 72 / CHARACTER_POINTS)
    return textwrap.wrap(text, characters, break_on_hyphens=False)


def legend_below(figure: Figure, handles: Sequence[Artist], note: str = "") -> None:
    """The figure's legend under the panels, in as few rows as its width allows.

    The figure grows by the rows after the first, which would squeeze the panels, and by those of
    a note, which stands above the entries.
    """
    lines = _unbroken(note, figure.get_figwidth())
    for n_columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=list(handles),
            loc="outside lower center",
            ncols=n_columns,
            columnspacing=1.4,
            title="\n".join(lines) or None,
        )
        if n_columns == 1 or legend.get_window_extent().width <= 0.98 * figure.bbox.width:
            tallest = max(
                (str(handle.get_label()).count("\n") + 1 for handle in handles), default=1
            )
            n_rows = -(-len(handles) // n_columns) * tallest + len(lines)
            figure.set_figheight(figure.get_figheight() + (n_rows - 1) * LEGEND_ROW)
            return
        legend.remove()
