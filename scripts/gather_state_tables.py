"""The study's tables of what states do, from those of its models."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.tables import stack
from stage import job, write_csv

if TYPE_CHECKING:
    snakemake: Any

GATHERED = {
    "runs": (("runs",), columns.MODEL_RUNS),
    "guards": (("guards",), columns.MODEL_GUARDS),
    "states": (("states",), columns.MODEL_STATES),
    "dyson": (("dyson",), columns.MODEL_DYSON),
    "resummation": (("resummation",), columns.MODEL_RESUMMATION),
    "normality": (("head_normality", "block_normality"), columns.MODEL_NORMALITY),
    "convolution": (("convolution",), columns.MODEL_CONVOLUTION),
    "geometry": (("geometry",), columns.MODEL_GEOMETRY),
    "axes": (("axes",), columns.MODEL_AXES),
    "drift": (("drift",), columns.MODEL_DRIFT),
}
"""For each table of the study, those of a model that it is made of, and its columns."""

with job(snakemake):
    for table, (parts, names) in GATHERED.items():
        frames = [
            pd.read_parquet(snakemake.input[part][index]).assign(model=model)
            for index, model in enumerate(snakemake.params.models)
            for part in parts
        ]
        # Numbers of which one model has none come as objects, which no format would shorten.
        write_csv(snakemake.output[table], stack(frames).infer_objects(), names)
