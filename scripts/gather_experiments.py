"""What the arms of experiments do, from their runs."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.experiments import (
    Experiment,
    compare,
    corrected,
    course_of_losses,
    training_row,
    with_tokens,
)
from headalgebra.tables import stack
from headalgebra.training import read_trained
from stage import job, write_csv

if TYPE_CHECKING:
    snakemake: Any


def described(name: str, settings: Mapping[str, Any]) -> Experiment:
    """An experiment, as its file says."""
    own = {
        field.name: settings[field.name] for field in fields(Experiment) if field.name in settings
    }
    return Experiment(**own | {"name": name, "arms": [*settings["arms"]]})


with job(snakemake):
    params = snakemake.params
    trainings, values = [], []
    for (name, arm, seed, run), folder, measured in zip(
        params.runs, snakemake.input.trained, params.values, strict=True
    ):
        which = {"experiment": name, "arm": arm, "seed": seed, "run": run}
        trained = read_trained(folder)
        provenance = json.loads((Path(folder) / "provenance.json").read_text(encoding="utf-8"))
        trainings.append(which | training_row(trained, size=provenance["training"]["size"]))
        found = [course_of_losses(trained)]
        if measured:
            found.append(with_tokens(pd.read_parquet(measured), trained))
        values += [frame.assign(**which) for frame in found]
    every_training = pd.DataFrame(trainings, columns=list(columns.TRAININGS))
    every_value = stack(values)[list(columns.TRAINING_VALUES)]
    rows = [
        compare(described(name, settings), every_training, every_value, seed=params.seed)
        for name, settings in params.experiments.items()
    ]
    compared = corrected(stack(rows))
    for row in compared.itertuples():
        print(f"{row.experiment} {row.arm}: {row.effect} in [{row.low}, {row.high}], n = {row.n}")
    output = snakemake.output
    write_csv(output.trainings, every_training, columns.TRAININGS)
    write_csv(output.training_values, every_value, columns.TRAINING_VALUES)
    write_csv(output.experiments, compared, columns.EXPERIMENTS)
