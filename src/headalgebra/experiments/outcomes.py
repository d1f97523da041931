"""What each run of an experiment gave, or why it gave nothing."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headalgebra import columns
from headalgebra.experiments.effects import Values
from headalgebra.experiments.experiment import Experiment

RUN = ["arm", "seed"]


class LeftOut(Exception):  # noqa: N818
    """A run, or a pair of runs, does not count; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Numbers of the runs, or pairs of runs, that count, and how many others there are.

    Attributes
    ----------
    numbers
        One or more of each, shape (n, k).
    diverged
        Runs that diverged.
    excluded
        Runs or pairs, none of which diverged, that are left out, by the reason.
    """

    numbers: Values
    diverged: int
    excluded: Mapping[str, int]


@dataclass(frozen=True)
class Outcomes:
    """An experiment's runs and what was measured of them.

    Attributes
    ----------
    trainings
        By arm and seed.
    values
        Those of all layers, by arm, seed and quantity; those without a step last.
    """

    trainings: pd.DataFrame
    values: Mapping[tuple[str, int, str], pd.DataFrame]

    def seeds(self, arm: str) -> list[int]:
        """From which an arm was trained."""
        found = self.trainings.index.get_level_values("arm") == arm
        return self.trainings.index[found].get_level_values("seed").tolist()

    def diverged(self, arm: str, seed: int) -> bool:
        """Whether a run came to a loss that was not finite."""
        return bool(self.trainings["diverged"].notna()[arm, seed])

    def above_floor(self, arms: Iterable[str]) -> int:
        """Runs of some arms that did not diverge, and did not get below the bigram floor."""
        runs = self.trainings[self.trainings.index.isin(list(arms), level="arm")]
        runs = runs[runs["diverged"].isna()]
        # A loss that is missing is not below it either.
        return int((~(_numbers(runs["test_loss"]) < _numbers(runs["bigram"]))).sum())

    @property
    def parameters(self) -> float:
        """Of the largest model; not a number where there is none."""
        return float(pd.to_numeric(self.trainings["parameters"]).max())

    def number(self, arm: str, seed: int, quantity: str) -> float:
        """A quantity of a run at its end: without a step, or else at the last one.

        The test loss is that of trainings, whether or not a measure has it as well.

        Raises
        ------
        LeftOut
            If it was not measured, or has no value.
        """
        if quantity == "test_loss":
            value = float(pd.to_numeric(self.trainings["test_loss"])[arm, seed])
        elif (rows := self.values.get((arm, seed, quantity))) is not None:
            value = float(rows["value"].iloc[-1])
        else:
            raise LeftOut(f"{quantity} was not measured")
        if not math.isfinite(value):
            raise LeftOut(f"{quantity} has no value (not reached, or not defined)")
        return value

    def curve(self, arm: str, seed: int, quantity: str) -> pd.DataFrame:
        """A quantity of a run and its validation loss, by the step of each of its checkpoints.

        Raises
        ------
        LeftOut
            If there is none.
        """
        both = {}
        for name, measured in (("value", quantity), ("loss", "validation_loss")):
            rows = self.values.get((arm, seed, measured))
            if rows is None:
                raise LeftOut(f"{measured} was not measured")
            rows = rows[rows["step"].notna()]
            both[name] = rows.set_index("step")["value"]
        # Validations between two checkpoints have no value of the quantity.
        curve = pd.DataFrame(both).loc[both["value"].index]
        if curve.empty:
            raise LeftOut(f"{quantity} was measured at no checkpoint")
        return curve

    def sample(
        self, arms: Sequence[str], of_seed: Callable[[int], Sequence[float]], *, numbers: int
    ) -> Sample:
        """The numbers of each seed that all of some arms were trained from without diverging.

        Parameters
        ----------
        arms
            One, or the two of which pairs are made.
        of_seed
            Gives the numbers of a seed's run or pair; raises LeftOut where there are none.
        numbers
            How many it gives.
        """
        found: list[Sequence[float]] = []
        diverged, excluded = 0, Counter[str]()
        for seed in sorted({seed for arm in arms for seed in self.seeds(arm)}):
            trained = [arm for arm in arms if (arm, seed) in self.trainings.index]
            if lost := sum(self.diverged(arm, seed) for arm in trained):
                diverged += lost
                continue
            try:
                if len(trained) < len(arms):
                    raise LeftOut("no run of the same seed to pair with")
                found.append(of_seed(seed))
            except LeftOut as reason:
                excluded[str(reason)] += 1
        table = np.array(found, dtype=np.float64).reshape(len(found), numbers)
        return Sample(numbers=table, diverged=diverged, excluded=excluded)


def outcomes_of(experiment: Experiment, trainings: pd.DataFrame, values: pd.DataFrame) -> Outcomes:
    """Those of one experiment, from the tables of all.

    Parameters
    ----------
    trainings, values
        In the columns of :data:`headalgebra.columns.TRAININGS` and
        :data:`headalgebra.columns.TRAINING_VALUES`.

    Raises
    ------
    ValueError
        If a table lacks a column, a run is there twice or of no arm, or a value is of no run or
        contradicts another.
    """
    called = experiment.name
    for name, table, needed in (
        ("trainings", trainings, columns.TRAININGS),
        ("training_values", values, columns.TRAINING_VALUES),
    ):
        if lost := [column for column in needed if column not in table]:
            raise ValueError(f"{name} lacks {', '.join(lost)}: gather the experiments again")
    runs = trainings[trainings["experiment"] == called]
    for arm in runs["arm"]:
        if arm not in experiment.arms:
            raise ValueError(f"{called}: runs of {arm!r}, which is none of its arms: name it there")
    if (twice := runs.duplicated(RUN)).any():
        raise ValueError(f"{called}: {_told(runs[twice])} is there twice: gather them again")
    runs = runs.set_index(RUN)

    measured = values[(values["experiment"] == called) & values["layer"].isna()]
    measured = measured[[*RUN, "quantity", "step", "value"]]
    strangers = ~pd.MultiIndex.from_frame(measured[RUN]).isin(runs.index)
    if strangers.any():
        raise ValueError(f"{called}: values of {_told(measured[strangers])}, which is no run")
    # A measure may report again what the training itself wrote down.
    measured = measured.assign(
        step=_numbers(measured["step"]), value=_numbers(measured["value"])
    ).drop_duplicates()
    if (twice := measured.duplicated([*RUN, "quantity", "step"])).any():
        row = measured[twice].iloc[0]
        raise ValueError(
            f"{called}: two values of {row['quantity']} of {_told(measured[twice])}: keep one"
        )
    measured = measured.sort_values("step", na_position="last", kind="stable")
    groups = measured.groupby([*RUN, "quantity"], sort=False)
    return Outcomes(trainings=runs, values={_key(key): rows for key, rows in groups})


def _key(key: Any) -> tuple[str, int, str]:
    arm, seed, quantity = key
    return str(arm), int(seed), str(quantity)


def _numbers(column: pd.Series) -> Values:
    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)


def _told(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    return f"arm {row['arm']!r}, seed {row['seed']}"
