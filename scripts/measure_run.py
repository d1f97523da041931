"""One measure of a training, from its checkpoints."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from headalgebra import columns
from headalgebra.experiments import MEASURES, Run
from headalgebra.training import load_tokens, read_trained
from stage import job, scratch, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    params = snakemake.params
    torch.set_num_threads(snakemake.threads)
    output = snakemake.output.values
    with scratch(Path(output).with_suffix(".states")) as folder:
        run = Run(
            read_trained(snakemake.input.trained),
            load_tokens(snakemake.input.tokens),
            folder,
            device=params.device,
            seed=params.seed,
        )
        values = MEASURES[params.measure](run)
    write_table(output, [asdict(value) for value in values], columns.RUN_VALUES)
