"""Structure constants, closure, projected Jacobiator and two-term L∞ relations of each layer."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.measurement.coherence import verify_coherence
from layers import basis_coefficients, gram_blocks_by_layer, layers_of, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    settings = snakemake.params.settings
    kappa_used = pd.read_parquet(snakemake.input.basis).set_index("layer")["kappa_used"]
    coefficients = basis_coefficients(snakemake.input.coefficients)
    layers = layers_of(snakemake)
    rows = [
        verify_coherence(
            layer,
            blocks,
            coefficients[layer],
            kappa_used=kappa_used[layer],
            well_below=settings["conditioning.well_below"],
            cancellation_below=settings["cancellation_below"],
            gram_floor=settings["gram_floor"],
            relation_tuples=settings["relation_tuples"],
            relation_exhaustive_max_dim=settings["relation_exhaustive_max_dim"],
            seed=settings["seed"],
        )
        for layer, blocks in gram_blocks_by_layer(snakemake, layers)
    ]
    write_table(snakemake.output.coherence, rows, columns.COHERENCE, origin(snakemake))
