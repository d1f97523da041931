"""Experiments, and tables of their runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from headalgebra import columns
from headalgebra.experiments import Experiment, compare

Run = tuple[str, int]
Curve = Mapping[int, float]


def experiment(**changed: Any) -> Experiment:
    """A paired one of two arms but for what is changed."""
    described: dict[str, Any] = {
        "name": "e",
        "claim": "c",
        "arms": ["default", "other"],
        "control": "default",
        "quantity": "q",
        "comparison": "paired",
        "bound": 0.0,
        "side": "below",
        "needs": "all",
    }
    return Experiment(**described | changed)


def training(arm: str, seed: int, **changed: Any) -> dict[str, Any]:
    """A row of trainings, of a run that is below the floor."""
    return {
        "experiment": "e",
        "arm": arm,
        "seed": seed,
        "run": f"{arm}-{seed}",
        "size": "tiny",
        "parameters": 1000,
        "tokens": 64_000,
        "test_loss": 3.0,
        "unigram": 5.0,
        "bigram": 4.0,
        "trigram": 2.0,
        "validation_unigram": 5.1,
        "validation_bigram": 4.1,
        "validation_trigram": 2.1,
        "diverged": None,
    } | changed


def value(arm: str, seed: int, number: float | None, **changed: Any) -> dict[str, Any]:
    """A row of training_values, of a run as a whole."""
    return {
        "experiment": "e",
        "arm": arm,
        "seed": seed,
        "run": f"{arm}-{seed}",
        "step": None,
        "tokens": None,
        "layer": None,
        "quantity": "q",
        "value": number,
    } | changed


def table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pd.DataFrame:
    """Rows in columns of the type that they have without rows as well."""
    whole = ("seed", "parameters")
    types = {
        name: "str" if name in {*columns.TEXT, "quantity"} else "int64" if name in whole else float
        for name in names
    }
    return pd.DataFrame(rows, columns=list(names)).astype(types)


def trainings(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return table(rows, columns.TRAININGS)


def values(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return table(rows, columns.TRAINING_VALUES)


def found(
    asked: Experiment, numbers: Mapping[Run, float | None], **of_run: Mapping[Run, Any]
) -> pd.DataFrame:
    """What is found of runs that all have a number, which may be None.

    Parameters
    ----------
    of_run
        Other columns of trainings, for some runs.
    """
    runs = [
        training(*run, **{name: cells[run] for name, cells in of_run.items() if run in cells})
        for run in numbers
    ]
    rows = [value(*run, number) for run, number in numbers.items()]
    return compare(asked, trainings(runs), values(rows), seed=0)


def numbered(arm: str, numbers: Sequence[float | None]) -> dict[Run, float | None]:
    """Numbers of the runs of an arm, from seed 0 on."""
    return {(arm, seed): number for seed, number in enumerate(numbers)}
