"""The arms of an experiment: their runs, how many are left, and how each looks."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from headalgebra.plots._course import LOSS, Curve
from headalgebra.plots._style import FigureStyle
from headalgebra.plots._tables import require_columns

FLOORS = ("unigram", "bigram", "trigram")
TRAININGS = (
    *("experiment", "arm", "seed", "test_loss", "diverged"),
    *(f"validation_{it}" for it in FLOORS),
)
VALUES = ("experiment", "arm", "seed", "step", "tokens", "layer", "quantity", "value")


@dataclass(frozen=True)
class Arms:
    """The arms of one experiment, in the order of its runs.

    Attributes
    ----------
    curves
        Look of each arm; the legend's entry says of how many runs it is.
    rows
        Values of the runs that did not diverge, with columns ``run``, one a seed of an arm, and
        ``time``, tokens.
    floors
        Losses of n-gram models on the tokens of the validation, as means over runs.
    test_losses
        Columns ``arm``, ``seed`` and ``value``, of the runs that did not diverge.
    """

    curves: dict[str, Curve]
    rows: pd.DataFrame
    floors: dict[str, float]
    test_losses: pd.DataFrame

    def of_runs(self, quantity: str) -> pd.DataFrame:
        """Columns ``arm``, ``seed`` and ``value``: without a step, or else of the last one.

        The test loss is that of trainings, whether or not a measure has it as well.
        """
        if quantity == "test_loss":
            return self.test_losses.dropna()
        rows = self.rows[(self.rows["quantity"] == quantity) & self.rows["layer"].isna()]
        ends = rows.sort_values("step", kind="stable").groupby(["arm", "seed"], sort=False).tail(1)
        return ends[["arm", "seed", "value"]].dropna()


def arms_of(
    trainings: pd.DataFrame,
    training_values: pd.DataFrame,
    style: FigureStyle,
    *,
    experiment: str,
    control: str | None = None,
) -> Arms:
    """The runs of an experiment by arm.

    Raises
    ------
    ValueError
        When a table lacks a column, or the trainings the experiment.
    """
    require_columns(trainings, "trainings", TRAININGS)
    require_columns(training_values, "training_values", VALUES)
    runs = trainings[trainings["experiment"] == experiment]
    if runs.empty:
        raise ValueError(f"the table trainings lacks the experiment {experiment}; give its runs")
    arms = [str(arm) for arm in runs["arm"].unique()]
    table = pd.DataFrame({"model": arms})
    colours, markers = style.model_colours(table), style.model_markers(table)
    curves = {}
    for arm in arms:
        diverged = runs.loc[runs["arm"] == arm, "diverged"].notna()
        said = counted(int((~diverged).sum()), diverged=int(diverged.sum()))
        beside = "control, " if arm == control else ""
        look = {"color": colours[arm], "marker": markers[arm]}
        curves[arm] = Curve(f"{arm} ({beside}{said})", look)
    finished = runs.loc[runs["diverged"].isna(), ["arm", "seed"]].drop_duplicates()
    of_experiment = training_values[training_values["experiment"] == experiment]
    values = of_experiment[list(VALUES[1:])].merge(finished, on=["arm", "seed"])
    return Arms(
        curves,
        values.assign(
            run=values["arm"].astype(str) + "/" + values["seed"].astype(str),
            time=values["tokens"].astype(float),
        ),
        {name: float(runs[f"validation_{name}"].mean()) for name in FLOORS},
        runs.loc[runs["diverged"].isna(), ["arm", "seed", "test_loss"]].rename(
            columns={"test_loss": "value"}
        ),
    )


def losses(arms: Arms) -> pd.DataFrame:
    """The validation losses of an experiment's runs."""
    found = arms.rows[arms.rows["quantity"] == LOSS]
    return found[found["time"].notna() & found["value"].notna()]


def counted(n: int, *, diverged: int = 0, excluded: int = 0, noun: str = "") -> str:
    """How many are left of what was run, and why the others are not, where there are others."""
    nouns = f" {noun}{'s' * (n != 1)}" if noun else ""
    parts: Sequence[str] = (
        f"n = {n}{nouns}",
        f"{diverged} diverged" if diverged else "",
        f"{excluded} excluded" if excluded else "",
    )
    return ", ".join(filter(None, parts))
