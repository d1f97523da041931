"""The paper's phase table with what was counted (section 5)."""

import textwrap
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from headalgebra.algebra.phases import PHASES
from headalgebra.claims.linf.paper import PHASE_CLAIMS, PhaseClaim
from headalgebra.plots._panels import AT_INITIALISATION
from headalgebra.plots._style import FigureStyle, paper_style
from headalgebra.plots._tables import require_columns, rows_by_model

LAYER_COLUMNS = ("model", "layer", "phase")
PHASE_COLUMNS = (
    *("model", "phase", "n_layers", "epsilon_min", "epsilon_max"),
    *("jacobi_rms_max", "rho3_mean"),
)

LINE = 0.145
"""Inches, height of a line of the table."""

BOLD_CHARACTER = 0.068
"""Inches, mean width of a character of a block's heading."""

MARGIN = 0.08
"""Inches at the edges of the figure and between its blocks."""

HEADINGS = ("phase", "n", "layers", "ε", r"max $\|J\|_F$", r"mean $ρ_3$")
STARTS = (0.0, 0.1, 0.17, 0.4, 0.665, 0.835)
"""Where the columns begin, as shares of a block's width."""

TWO_BLOCKS_FROM = 6.0
"""Inches from which two blocks stand side by side."""

LONGEST_RUNS = 14
"""Characters from which runs of successive layers are given by their ends alone."""

Row = tuple[str, ...]


@paper_style()
def phase_counts(
    layers: pd.DataFrame, phases: pd.DataFrame, style: FigureStyle, *, initialised: Collection[str]
) -> Figure:
    """For each model the layers in each phase, their ε, Jacobiator and ρ₃, below the paper's table.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer`` and ``phase``, empty where ε does not exist.
    phases
        Columns ``model``, ``phase``, ``n_layers``, ``epsilon_min``, ``epsilon_max``,
        ``jacobi_rms_max`` and ``rho3_mean``. A phase without a row has no layers.
    style
        How it looks.
    initialised
        Models that were never trained, as their headings say.

    Raises
    ------
    ValueError
        When ``layers`` has no rows or a table lacks a column.
    """
    require_columns(layers, "layers", LAYER_COLUMNS)
    require_columns(phases, "phases", PHASE_COLUMNS)
    blocks = [("the paper", [_claimed(phase, claim) for phase, claim in PHASE_CLAIMS.items()])]
    for model, rows in rows_by_model(layers, "layers").items():
        of_model = phases[phases["model"].astype(str) == model].set_index("phase")
        blocks.append(
            (
                _heading(style.called(model), rows, model in initialised),
                [_measured(phase, rows, of_model) for phase in PHASES],
            )
        )
    in_a_row = 2 if style.width_inches >= TWO_BLOCKS_FROM and len(blocks) > 2 else 1
    width = (style.width_inches - MARGIN) / in_a_row - MARGIN
    n_rows = -(-len(blocks) // in_a_row)
    columns = [blocks[start : start + n_rows] for start in range(0, len(blocks), n_rows)]
    wrapped = [
        [(textwrap.wrap(heading, int(width / BOLD_CHARACTER)), rows) for heading, rows in column]
        for column in columns
    ]
    n_lines = max(sum(map(_height, column)) for column in wrapped)
    figure = Figure(figsize=(style.width_inches, LINE * (n_lines + 1.2)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, style.width_inches)
    axes.set_ylim(n_lines + 0.9, -0.3)
    for index, column in enumerate(wrapped):
        left, top = MARGIN + index * (width + MARGIN), 0.0
        _write(axes, left, width, top, HEADINGS, style="italic")
        for block in column:
            heading, rows_of_block = block
            for line, text in enumerate(heading, start=1):
                axes.text(left, top + line + 0.6, text, va="center", weight="bold")
            for line, cells in enumerate(rows_of_block, start=len(heading) + 1):
                axes.add_patch(
                    Rectangle(
                        *((left, top + line), width, 1),
                        facecolor=style.phase_colours[cells[0]],
                        edgecolor="white",
                    )
                )
                _write(axes, left, width, top + line, cells)
            top += _height(block)
    return figure


def _height(block: tuple[list[str], list[Row]]) -> float:
    """Lines of a block: its heading, its rows and the space after them."""
    heading, rows = block
    return len(heading) + len(rows) + 0.6


def _write(axes: Axes, left: float, width: float, top: float, cells: Row, **look: Any) -> None:
    for start, cell in zip(STARTS, cells, strict=True):
        axes.text(left + 0.03 + start * width, top + 0.5, cell, va="center", fontsize=6, **look)


def _claimed(phase: str, claim: PhaseClaim) -> Row:
    return (
        phase,
        "",
        claim.depth,
        _interval(*claim.epsilon),
        _interval(*claim.jacobiator),
        claim.ternary,
    )


def _interval(low: float, high: float) -> str:
    if low == 0:
        return f"< {high:g}"
    return f"> {low:g}" if high == np.inf else f"{low:g}–{high:g}"


def _heading(model: str, rows: pd.DataFrame, initial: bool) -> str:
    without = int((~rows["phase"].isin(PHASES)).sum())
    parts = [model, f"{len(rows)} layers" if len(rows) > 1 else "1 layer"]
    parts += [f"{without} without ε"] * (without > 0)
    return ", ".join(parts) + f" {AT_INITIALISATION}" * initial


def _measured(phase: str, rows: pd.DataFrame, of_model: pd.DataFrame) -> Row:
    if phase not in of_model.index:
        return (phase, "0", "–", "–", "–", "–")
    found = of_model.loc[phase].to_dict()
    low, high = (_short(found[name]) for name in ("epsilon_min", "epsilon_max"))
    return (
        phase,
        str(found["n_layers"]),
        runs(rows.loc[rows["phase"] == phase, "layer"].tolist()),
        low if low == high else f"{low}–{high}",
        _number(found["jacobi_rms_max"], ".0e"),
        _number(found["rho3_mean"], ".2f"),
    )


def _short(value: float) -> str:
    """Three digits in at most seven characters."""
    if value == 0 or value >= 1e-3:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _number(value: float, form: str) -> str:
    return "–" if np.isnan(value) else format(value, form)


def runs(layers: Iterable[int]) -> str:
    """Layers as runs of successive ones, ``0–3, 7``; where that is long, ``in`` first–last."""
    found: list[list[int]] = []
    for layer in sorted(layers):
        if found and layer == found[-1][-1] + 1:
            found[-1].append(layer)
        else:
            found.append([layer])
    whole = ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in found)
    return whole if len(whole) <= LONGEST_RUNS else f"in {found[0][0]}–{found[-1][-1]}"
