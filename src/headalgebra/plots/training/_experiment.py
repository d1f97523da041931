"""An experiment at a glance: the losses of its arms, and what the claim is judged by."""

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from headalgebra.plots._course import (
    by_time,
    curve_entries,
    draw_mean,
    interval_of_mean,
)
from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._panels import legend_below
from headalgebra.plots._style import SIDE_BY_SIDE_FROM, FigureStyle, paper_style
from headalgebra.plots._tables import numbers, require_columns
from headalgebra.plots._training_axis import loss_axis, training_axis
from headalgebra.plots.training._arms import Arms, arms_of, losses
from headalgebra.plots.training._effects import draw_effects, effect_entries, row_labels
from headalgebra.plots.training._scatter import draw_scatter

EXPERIMENTS = (
    *("experiment", "claim", "statistic", "arm", "control", "n", "effect", "low", "high"),
    *("bound", "side", "needs", "diverged", "excluded", "above_floor"),
)

PANEL_HEIGHT = 2.3
LINE_HEIGHT = 0.115
"""Inches of a line of what stands beside a row."""


@paper_style()
def experiment(
    trainings: pd.DataFrame,
    training_values: pd.DataFrame,
    experiments: pd.DataFrame,
    *,
    style: FigureStyle,
    experiment: str,
    title: str,
    quantity: str,
    comparison: str,
    control: str | None,
    cells: bool = False,
) -> Figure:
    """Losses over training by arm, and beside them what the claim is judged by.

    That is a row an arm with its effect, or for rank correlations a panel for each.

    Parameters
    ----------
    trainings
        Columns ``experiment``, ``arm``, ``seed``, ``test_loss``, ``validation_unigram``,
        ``validation_bigram``, ``validation_trigram`` and ``diverged``.
    training_values
        Columns ``experiment``, ``arm``, ``seed``, ``step``, ``tokens``, ``layer``, ``quantity``
        and ``value``.
    experiments
        Columns ``experiment``, ``claim``, ``statistic``, ``arm``, ``control``, ``n``,
        ``effect``, ``low``, ``high``, ``bound``, ``side``, ``needs``, ``diverged``,
        ``excluded`` and ``above_floor``.
    style
        How it looks.
    experiment
        Which one; rows of others are left out.
    title
        Title of the figure.
    quantity
        What is compared.
    comparison
        ``mean``, ``paired``, ``ratio``, ``equal_loss`` or ``partial_rank``.
    control
        The arm that others are compared with, if there is one.
    cells
        Whether a rank correlation is over means of the runs of an arm, and not over runs.

    Raises
    ------
    NothingToShow
        When there are no losses and nothing was compared.
    ValueError
        When a table lacks a column, or ``trainings`` the experiment or one of its arms.
    """
    require_columns(experiments, "experiments", EXPERIMENTS)
    arms = arms_of(trainings, training_values, style, experiment=experiment, control=control)
    judged = experiments[experiments["experiment"] == experiment]
    ranked = comparison == "partial_rank"
    if ranked:
        judged = judged[judged["statistic"].astype(str).str.startswith(f"{quantity} ~ ")]
    else:
        judged = judged[judged["statistic"] == quantity]
    if strange := sorted({*judged["arm"].dropna().astype(str)} - {"", *arms.curves}):
        raise ValueError(
            f"the table trainings lacks the arm {strange[0]} of {experiment}; give its runs"
        )
    n_right = len(judged) if ranked else min(len(judged), 1)
    n_left = int(len(losses(arms)) > 0)
    if not n_left + n_right:
        raise NothingToShow("no losses, and nothing that was compared")
    lines = [] if ranked else [text.count("\n") + 1 for text in row_labels(judged, comparison)]
    height = max(PANEL_HEIGHT, 0.7 + LINE_HEIGHT * len(lines) * (max(lines, default=0) + 0.5))
    figure, panels = _panels(n_left + n_right, style.width_inches, height)
    figure.suptitle(title)
    bands = any([_draw_losses(axes, arms) for axes in panels[:n_left]])
    right = panels[n_left:]
    entries: list[Artist] = curve_entries(arms.curves, style.width_inches, bands=bands)
    if ranked:
        for axes, (_, row) in zip(right, judged.iterrows(), strict=True):
            draw_scatter(axes, arms, row, cells=cells)
    elif n_right:
        draw_effects(right[0], arms, judged, quantity, comparison)
        entries += effect_entries(judged, comparison)
    notes = [
        "" if n_left else "no losses",
        "" if n_right else "not compared",
        _above_floor(judged),
    ]
    legend_below(figure, entries, "; ".join(filter(None, notes)))
    return figure


def _above_floor(judged: pd.DataFrame) -> str:
    """What keeps the experiment from being judged, if there is anything."""
    above = judged["above_floor"].max()
    if pd.isna(above) or above == 0:
        return ""
    runs = "1 run" if above == 1 else f"{above:g} runs"
    return f"not judged: the test loss of {runs} is not below that of bigrams"


def _panels(n_panels: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """So many panels beside one another, or below where the figure is narrow."""
    beside = width >= SIDE_BY_SIDE_FROM
    figure = Figure(
        figsize=(width, (height if beside else height * n_panels) + 0.5),
        layout=ConstrainedLayoutEngine(w_pad=0.08),
    )
    shape: Any = (1, n_panels) if beside else (n_panels, 1)
    return figure, [*figure.subplots(*shape, squeeze=False).flat]


def _draw_losses(axes: Axes, arms: Arms) -> bool:
    """The validation losses of each arm; whether intervals of their means can be seen."""
    rows = losses(arms)
    means = {
        arm: interval_of_mean(by_time(of_arm), logarithms=False)
        for arm, of_arm in rows.groupby("arm", sort=False)
    }
    training_axis(axes, numbers(rows["time"]))
    loss_axis(axes, arms.floors, numbers(rows["value"]))
    axes.set_xlabel("tokens read in training")
    axes.set_ylabel("validation loss, nats a token")
    return any(
        [
            draw_mean(axes, means[arm], curve.look, place=index / len(arms.curves))
            for index, (arm, curve) in enumerate(arms.curves.items())
            if arm in means
        ]
    )
