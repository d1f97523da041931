"""Compare the arms of an experiment: from runs and their values to rows of ``experiments``."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from headalgebra import columns
from headalgebra.experiments.effects import CONFIDENCE, Effect, Values, mean_effect
from headalgebra.experiments.equal_loss import beyond_placebo
from headalgebra.experiments.experiment import Experiment
from headalgebra.experiments.multiplicity import holm
from headalgebra.experiments.outcomes import LeftOut, Outcomes, Sample, outcomes_of
from headalgebra.experiments.ranks import rank_effect

Row = dict[str, Any]


def compare(
    experiment: Experiment, trainings: pd.DataFrame, values: pd.DataFrame, *, seed: int
) -> pd.DataFrame:
    """A row for each comparison that an experiment makes.

    Runs are paired by seed. One that diverged is left out with its pair and counted in
    ``diverged``; a run or pair that is left out for another reason is counted in ``excluded``, and
    the note says why. Rows of arms that are not judged have no bound and no test. A quantity of a
    run is that of its end: the value without a step or, where there is none, of the last step.

    Parameters
    ----------
    trainings, values
        In the columns of :data:`headalgebra.columns.TRAININGS` and
        :data:`headalgebra.columns.TRAINING_VALUES`; rows of other experiments are passed over.
    seed
        Of bootstraps.

    Returns
    -------
    pandas.DataFrame
        In the columns of :data:`headalgebra.columns.EXPERIMENTS`, arms in the experiment's order.
        ``p_holm`` is empty: see :func:`corrected`.

    Raises
    ------
    ValueError
        If a table lacks a column, a run is there twice or of no arm, or a value is of no run or
        contradicts another.
    """
    outcomes = outcomes_of(experiment, trainings, values)
    compared = _of_ranks if experiment.comparison == "partial_rank" else _of_arms
    floor = experiment.arms if experiment.control is None else [experiment.control]
    of_all: Row = {
        "experiment": experiment.name,
        "claim": experiment.claim,
        "p_holm": math.nan,
        "confidence": CONFIDENCE,
        "above_floor": outcomes.above_floor(floor),
        "parameters": outcomes.parameters,
    }
    rows = [of_all | row for row in compared(experiment, outcomes, seed)]
    table = pd.DataFrame(rows, columns=list(columns.EXPERIMENTS))
    whole = dict.fromkeys(("n", "diverged", "excluded", "above_floor"), "int64")
    return table.astype(
        # A column of empty texts only would be one of numbers.
        dict.fromkeys([name for name in table if name in columns.TEXT], "str")
        | whole
        | {"parameters": "Int64"}
    )


def corrected(table: pd.DataFrame) -> pd.DataFrame:
    """Fill ``p_holm``: Holm's correction over all tests of a study.

    Rows without ``p``, which no bound was set to or whose runs allowed no test, are no part of it.

    Parameters
    ----------
    table
        In the columns of :data:`headalgebra.columns.EXPERIMENTS`, of all experiments together.

    Raises
    ------
    ValueError
        If a p-value is not between 0 and 1.
    """
    p = table["p"].to_numpy(dtype=np.float64, na_value=np.nan)
    tested = np.isfinite(p)
    found = np.full(len(table), math.nan)
    found[tested] = holm(p[tested])
    return table.assign(p_holm=found)


def _of_arms(experiment: Experiment, outcomes: Outcomes, _: int) -> Iterator[Row]:
    """A row for each arm, or each but the control."""
    for arm in experiment.compared:
        control = _control_of(experiment, arm)
        sample = _sample(experiment, outcomes, arm, control)
        judged = experiment.judged is None or arm in experiment.judged
        effect = _effect(experiment, sample.numbers[:, 1], judged)
        notes = _notes(sample, effect, "run" if control is None else "pair")
        yield {
            "statistic": experiment.quantity,
            "arm": arm,
            "control": control or "",
            **_numbers(experiment, effect, sample, judged=judged),
            "note": "; ".join(notes if judged else [*notes, "not judged"]),
        }


def _control_of(experiment: Experiment, arm: str) -> str | None:
    """What an arm is held against, if it is held against another."""
    match experiment.comparison:
        case "mean":
            return None
        case "equal_loss":
            return experiment.placebo_of[arm]
        case _:
            return experiment.control


def _sample(experiment: Experiment, outcomes: Outcomes, arm: str, control: str | None) -> Sample:
    """Of each run or pair the arm's number, and the number whose mean is the effect."""
    quantity = experiment.quantity

    def of_seed(seed: int) -> Sequence[float]:
        if control is None:
            number = outcomes.number(arm, seed, quantity)
            return number, number
        if experiment.comparison == "equal_loss":
            return beyond_placebo(outcomes, arm, control, seed, quantity)
        number, other = (outcomes.number(name, seed, quantity) for name in (arm, control))
        if experiment.comparison == "paired":
            return number, number - other
        if min(number, other) <= 0:
            raise LeftOut(f"{quantity} is not above 0, and has no logarithm")
        return number, math.log(number / other)

    return outcomes.sample([arm] if control is None else [arm, control], of_seed, numbers=2)


def _effect(experiment: Experiment, numbers: Values, judged: bool) -> Effect:
    bound = experiment.bound if judged else None
    if experiment.comparison != "ratio":
        return mean_effect(numbers, bound)
    effect = mean_effect(numbers, None if bound is None else math.log1p(bound))
    # So far from the bound on the side of the claim: on a scale of ratios the sides differ.
    sign = 1 if experiment.side == "above" else -1
    return replace(
        effect,
        value=math.expm1(effect.value),
        low=math.expm1(effect.low),
        high=math.expm1(effect.high),
        detectable=abs((1 + experiment.bound) * math.expm1(sign * effect.detectable)),
    )


def _of_ranks(experiment: Experiment, outcomes: Outcomes, seed: int) -> Iterator[Row]:
    """A row for each quantity that the first is correlated with."""
    for other in experiment.against:
        sample = _cloud(experiment, outcomes, (experiment.quantity, other, *experiment.given))
        x, y, *given = sample.numbers.T
        effect = rank_effect(
            x,
            y,
            np.transpose(given) if given else None,
            bound=experiment.bound,
            side=experiment.side,
            seed=seed,
        )
        notes = _notes(sample, effect, "cell" if experiment.cells else "run")
        yield {
            "statistic": f"{experiment.quantity} ~ {other}",
            "arm": "",
            "control": "",
            **_numbers(experiment, effect, sample, judged=True),
            "note": "; ".join(notes),
        }


def _cloud(experiment: Experiment, outcomes: Outcomes, quantities: Sequence[str]) -> Sample:
    """Several quantities of each run that has them all, or their means over the runs of an arm."""

    def of_arm(arm: str) -> Sample:
        def of_seed(seed: int) -> Sequence[float]:
            return [outcomes.number(arm, seed, name) for name in quantities]

        return outcomes.sample([arm], of_seed, numbers=len(quantities))

    samples = [of_arm(arm) for arm in experiment.arms]
    clouds = [sample.numbers for sample in samples]
    if experiment.cells:
        clouds = [cloud.mean(axis=0, keepdims=True) for cloud in clouds if len(cloud)]
    return Sample(
        numbers=np.concatenate([np.empty((0, len(quantities))), *clouds]),
        diverged=sum(sample.diverged for sample in samples),
        excluded=sum((Counter(sample.excluded) for sample in samples), Counter[str]()),
    )


def _numbers(experiment: Experiment, effect: Effect, sample: Sample, *, judged: bool) -> Row:
    numbers = sample.numbers[:, 0]
    return {
        "n": effect.n,
        "mean": float(numbers.mean()) if len(numbers) else math.nan,
        "effect": effect.value,
        "low": effect.low,
        "high": effect.high,
        "bound": experiment.bound if judged else math.nan,
        "side": experiment.side if judged else "",
        "needs": experiment.needs if judged else "",
        "p": effect.p,
        "detectable": effect.detectable,
        "diverged": sample.diverged,
        "excluded": sum(sample.excluded.values()),
    }


def _notes(sample: Sample, effect: Effect, unit: str) -> list[str]:
    """Why there are fewer numbers than runs, and why what should rest on them does not exist."""
    notes = []
    if not sample.diverged and not sample.excluded and not effect.n:
        notes.append("no runs")
    elif not effect.n:
        notes.append("no run is left")
    elif math.isnan(effect.value):
        notes.append(
            f"a quantity is constant, or no more than what is given, in {effect.n} {unit}s"
        )
    elif effect.n == 1:
        notes.append(f"one {unit}: no interval")
    elif math.isnan(effect.low):
        notes.append(f"no interval: ρ is ±1, or of too few {unit}s")
    elif effect.low == effect.high:
        notes.append(f"all {unit}s give the same: an interval without width")
    if sample.diverged:
        notes.append(f"diverged: {sample.diverged}")
    return notes + [f"left out, {reason}: {count}" for reason, count in sample.excluded.items()]
