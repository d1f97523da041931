"""What becomes of the operators of each arm of an experiment while it trains."""

import pandas as pd
from matplotlib.figure import Figure

from headalgebra.plots._course import draw_course
from headalgebra.plots._style import FigureStyle, paper_style
from headalgebra.plots.training._arms import arms_of


@paper_style()
def course_over_training(
    trainings: pd.DataFrame,
    training_values: pd.DataFrame,
    *,
    style: FigureStyle,
    experiment: str,
    title: str,
) -> Figure:
    """Loss, ε, ρ₃ and errors of partial Dyson sums over the tokens read, a curve an arm.

    Curves are means over runs with their 95 % intervals, of the logarithms but for the loss. A
    single run has a thin line for each layer beside.

    Parameters
    ----------
    trainings
        Columns ``experiment``, ``arm``, ``seed``, ``validation_unigram``,
        ``validation_bigram``, ``validation_trigram`` and ``diverged``; a run that diverged is
        counted and not drawn.
    training_values
        Columns ``experiment``, ``arm``, ``seed``, ``step``, ``tokens``, ``layer``, ``quantity``
        and ``value``. A quantity without numbers has no panel.
    style
        How it looks.
    experiment
        Which one; rows of others are left out.
    title
        Title of the figure.

    Raises
    ------
    NothingToShow
        When fewer than two checkpoints have numbers.
    ValueError
        When a table lacks a column, or ``trainings`` the experiment.
    """
    arms = arms_of(trainings, training_values, style, experiment=experiment)
    values = arms.rows[arms.rows["time"].notna() & arms.rows["step"].notna()]
    return draw_course(
        values, arms.curves, arms.floors, style, title=title, time="tokens read in training"
    )
