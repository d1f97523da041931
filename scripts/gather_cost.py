"""What the stages of a study cost, from the benchmark of each job."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.tables import cost_table, stack
from stage import job, write_csv

if TYPE_CHECKING:
    snakemake: Any

MEASURED = {"s": "wall_s", "cpu_time": "cpu_s", "max_rss": "max_rss_mb"}
"""Columns of Snakemake's benchmarks, and what they are called here."""

with job(snakemake):
    every = [
        # A job too short to be measured has "NA" or "-" in its place.
        pd.read_csv(path, sep="\t", na_values="-")[[*MEASURED]].assign(rule=rule, model=model)
        for (rule, model), path in zip(
            snakemake.params.jobs, snakemake.input.benchmarks, strict=True
        )
    ]
    costs = cost_table(stack(every).rename(columns=MEASURED))
    write_csv(snakemake.output.cost, costs, columns.COST)
