"""Time and memory of extraction at the sizes that the paper calls feasible and infeasible."""

from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from headalgebra import columns
from headalgebra.measurement.feasibility import RUNS, WIDTH, measure_feasibility
from stage import job, progress, write_csv

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.settings
    rows = []
    for route, n in progress(RUNS, "size"):
        rows.append(
            measure_feasibility(
                route,
                n,
                balance_above=settings["balance_above"],
                rank_cutoff=settings["rank_cutoff"],
                gram_floor=settings["gram_floor"],
                probes=settings["probes"],
                seed=settings["seed"],
            )
        )
        print(f"{route}, n = {n}, d = {WIDTH}: {rows[-1]['wall_s']:.3g} s")
    table = pd.DataFrame(rows).astype({"bytes": "Int64"})
    write_csv(snakemake.output[0], table, columns.FEASIBILITY)
