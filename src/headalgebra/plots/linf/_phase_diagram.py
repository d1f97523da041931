"""The phase diagram: obstruction and projected Jacobiator against ε (section 5)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from headalgebra.algebra.phases import PHASES
from headalgebra.claims.linf.paper import OBSTRUCTION_AT, OBSTRUCTION_RANGE, PHASE_CLAIMS
from headalgebra.defaults import TOPOLOGICAL_ABOVE, WEAK_BELOW
from headalgebra.plots._axes import band_limits, log_axis, log_limits, shade_phases
from headalgebra.plots._panels import legend_below, title_panel, with_numbers
from headalgebra.plots._style import (
    INITIAL_LINE,
    INK,
    SIDE_BY_SIDE_FROM,
    TRAINED_LINE,
    FigureStyle,
    paper_style,
)
from headalgebra.plots._tables import numbers, require_columns, rows_by_model

PANELS = {
    "obstruction_rms": (r"obstruction $\|[E_b,[E_c,E_a]]\|_F$", "it needs two basis elements"),
    "jacobi_projected_rms": (r"projected Jacobiator $\|J_P\|_F$", "it needs three basis elements"),
}
"""The columns on the y axes, their names, and why they may be missing."""

CLAIM_LOOK: dict[str, Any] = {
    "facecolor": "none",
    "edgecolor": "0.4",
    "hatch": "///",
    "linewidth": 0.8,
    "alpha": 0.45,
    "zorder": 1.5,
}
PATH_LOOK: dict[str, Any] = {"linewidth": 0.7, "zorder": 2}
POINT_LOOK: dict[str, Any] = {"s": 15, "linewidths": 0.6, "zorder": 3}

Box = tuple[tuple[float, float], tuple[float, float]]

CLAIMS: dict[str, list[Box]] = {
    "obstruction_rms": [(OBSTRUCTION_AT, OBSTRUCTION_RANGE)],
    "jacobi_projected_rms": [(c.epsilon, c.jacobiator) for c in PHASE_CLAIMS.values()],
}
"""Where the paper has layers, intervals of ε and of the y axis."""


@paper_style()
def phase_diagram(
    layers: pd.DataFrame,
    style: FigureStyle,
    *,
    initialised: Collection[str],
    weak_below: float = WEAK_BELOW,
    topological_above: float = TOPOLOGICAL_ABOVE,
) -> Figure:
    """Every layer at its ε and its obstruction or projected Jacobiator.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``epsilon``, ``obstruction_rms`` and
        ``jacobi_projected_rms``. A line joins the layers of a model; layers without both numbers
        are left out, and those with a zero are counted in the title.
    style
        How it looks; ``map_colours`` is the depth in a trained model.
    weak_below, topological_above
        Ends of phase II.
    initialised
        Models that were never trained, whose layers differ by chance alone: open markers and
        dashed lines in the model's colour.

    Raises
    ------
    NothingToShow
        When no model has pairs of heads.
    ValueError
        When the table has no rows or lacks a column.
    """
    require_columns(layers, "layers", ("model", "layer", "epsilon", *PANELS))
    layers = layers.assign(
        **{column: np.where(layers["epsilon"].isna(), np.nan, layers[column]) for column in PANELS}
    )
    models, note = with_numbers(
        rows_by_model(layers, "layers"), [*PANELS], style, otherwise="no pairs of heads"
    )
    shown = {name: it for name, it in PANELS.items() if np.isfinite(numbers(layers[name])).any()}
    missing = [f"no {PANELS[name][0]}: {PANELS[name][1]}" for name in PANELS if name not in shown]
    beside = style.width_inches >= SIDE_BY_SIDE_FROM
    shape = (1, len(shown)) if beside else (len(shown), 1)
    size = (style.width_inches, 2.9 if beside else 2.4 * len(shown))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(*shape, squeeze=False)
    edges = (weak_below, topological_above)
    limits = band_limits(edges, layers["epsilon"])
    shades = style.depth_colours()
    looks = _looks(layers, style, initialised)
    for axes, (column, (name, _)) in zip(panels.flat, shown.items(), strict=True):
        ends = [end for _, box in CLAIMS[column] for end in box]
        log_axis(axes.xaxis, limits)
        log_axis(axes.yaxis, _room_for(log_limits(numbers(layers[column]), ends), ends))
        shade_phases(axes.xaxis, edges, [style.phase_colours[phase] for phase in PHASES])
        _draw_claims(axes, CLAIMS[column])
        for model, rows in models.items():
            x, y = numbers(rows["epsilon"]), numbers(rows[column])
            depth = numbers(rows["layer"]) / max(float(rows["layer"].max()), 1.0)
            there = (x > 0) & (y > 0)
            axes.plot(x[there], y[there], **{**looks[model], "marker": ""}, **PATH_LOOK)
            initial = model in initialised
            axes.scatter(
                *(x[there], y[there]),
                marker=looks[model]["marker"],
                facecolors="white" if initial else shades(depth[there]),
                edgecolors=looks[model]["color"] if initial else INK,
                **POINT_LOOK,
            )
        every = numbers(layers["epsilon"]) * numbers(layers[column])
        zeros = int((every == 0).sum())
        remarks = [f"not shown: {zeros} with an exact 0"] if zeros else []
        title_panel(axes, "", {}, remarks)
        axes.set_xlabel("ε")
        axes.set_ylabel(name)
        _name_phases(axes, edges)
    bar = figure.colorbar(
        ScalarMappable(cmap=shades), ax=panels, ticks=[0, 1], shrink=0.6, aspect=18, pad=0.02
    )
    bar.ax.set_yticklabels(["first\nlayer", "last\nlayer"])
    legend_below(
        figure,
        [
            *(
                Line2D([], [], label=style.called(model), linewidth=1.2, **look)
                for model, look in looks.items()
                if model in models
            ),
            Patch(label="where the paper has it", **CLAIM_LOOK),
        ],
        "; ".join(filter(None, [*missing, note])),
    )
    return figure


def _looks(
    layers: pd.DataFrame, style: FigureStyle, initialised: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Line and marker of each model."""
    markers = style.model_markers(layers)
    return {
        model: {
            "color": colour,
            "marker": markers[model],
            "linestyle": INITIAL_LINE if model in initialised else TRAINED_LINE,
            "markerfacecolor": "white" if model in initialised else colour,
        }
        for model, colour in style.model_colours(layers).items()
    }


def _room_for(limits: tuple[float, float], ends: list[float]) -> tuple[float, float]:
    """Limits with half a decade more where a claim has no end."""
    low, high = limits
    return (low / 3 if 0 in ends else low), (high * 3 if np.inf in ends else high)


def _draw_claims(axes: Axes, boxes: list[Box]) -> None:
    """The paper's boxes, those without an end up to the edge of the panel."""
    for x, y in boxes:
        left, right = np.clip(x, *axes.get_xlim())
        low, high = np.clip(y, *axes.get_ylim())
        axes.add_patch(Rectangle((left, low), right - left, high - low, **CLAIM_LOOK))


def _name_phases(axes: Axes, edges: tuple[float, float]) -> None:
    """The phases' names as labels of a second axis, above which the title stands."""
    left, right = axes.get_xlim()
    ends = np.log10(np.clip([left, *edges, right], left, right))
    centres = {
        phase: float(10 ** ((low + high) / 2))
        for phase, low, high in zip(PHASES, ends[:-1], ends[1:], strict=True)
        if high > low
    }
    above = axes.secondary_xaxis("top")
    above.xaxis.set_major_locator(FixedLocator(list(centres.values())))
    above.xaxis.set_major_formatter(FixedFormatter(list(centres)))
    above.xaxis.set_minor_locator(NullLocator())
    above.tick_params(length=0)
