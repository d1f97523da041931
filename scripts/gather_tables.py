"""The study's tables, from the stages of its models."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.tables import layer_table, phase_table, sampling_table, stack, tower_table
from stage import aside, job, write_csv

if TYPE_CHECKING:
    snakemake: Any

STAGES = (
    *("basis", "epsilon", "linf_dense", "linf_sampled", "sampling", "precision", "literal"),
    *("associator", "coherence", "nulls", "tower", "gauge"),
)

CONSTRUCTED = ("conditioning", "feasibility")
"""Of layers that are in no model, measured once for all studies."""

with job(snakemake):
    layers, sampling, tower = [], [], []
    as_measured: dict[str, list[pd.DataFrame]]
    as_measured = {stage: [] for stage in ("precision", "literal", "associator", "nulls")}
    for index, model in enumerate(snakemake.params.models):
        provenance = json.loads(Path(snakemake.input.provenance[index]).read_text(encoding="utf-8"))
        stages = {stage: pd.read_parquet(snakemake.input[stage][index]) for stage in STAGES}
        layers.append(layer_table(model, provenance, stages, **snakemake.params.phases))
        sampling.append(sampling_table(model, stages))
        tower.append(tower_table(model, stages))
        for stage, frames in as_measured.items():
            frames.append(stages[stage].assign(model=model))
    every_layer = stack(layers)
    output = snakemake.output
    write_csv(output.layers, every_layer, columns.LAYERS)
    write_csv(output.phases, phase_table(every_layer), columns.PHASES)
    write_csv(output.sampling, stack(sampling), columns.MODEL_SAMPLING)
    write_csv(output.tower, stack(tower), columns.MODEL_TOWER)
    write_csv(output.precision, stack(as_measured["precision"]), columns.MODEL_PRECISION)
    write_csv(output.literal, stack(as_measured["literal"]), columns.MODEL_LITERAL)
    write_csv(output.associator, stack(as_measured["associator"]), columns.MODEL_ASSOCIATOR)
    write_csv(output.nulls, stack(as_measured["nulls"]), columns.MODEL_NULLS)
    for table in CONSTRUCTED:
        with aside(output[table]) as partial:
            shutil.copyfile(snakemake.input[table], partial)
