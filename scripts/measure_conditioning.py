"""Dense and sampled extraction of layers made to have a condition number and a known answer."""

from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from headalgebra import columns
from headalgebra.measurement.conditioning import constructed_cases, measure_conditioning
from stage import job, progress, write_csv

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.settings
    rows = []
    for case in progress(list(constructed_cases()), "case"):
        rows.append(
            measure_conditioning(
                case,
                balance_above=settings["balance_above"],
                rank_cutoff=settings["rank_cutoff"],
                gram_floor=settings["gram_floor"],
                probes=settings["probes"],
                seed=settings["seed"],
                **settings["conditioning"],
            )
        )
        print(f"case {case.number}: {case.elements} elements, κ = {rows[-1]['kappa']:.6g}")
    write_csv(snakemake.output[0], pd.DataFrame(rows), columns.CONDITIONING)
