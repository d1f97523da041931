"""What chance alone gives each layer: the measured quantities over draws of random layers."""

from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from headalgebra import columns
from headalgebra.checkpoints import FactorInitialisation, load_factors, load_group
from headalgebra.measurement.nulls import ModelHeads, measure_nulls
from layers import factors_file, layers_of, origin, provenance_of
from stage import job, progress, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.settings
    provenance = provenance_of(snakemake)
    basis_dim = pd.read_parquet(snakemake.input.basis).set_index("layer")["basis_dim"]
    file_of = partial(factors_file, snakemake.input.factors)
    laws = {
        int(layer): law and FactorInitialisation(**law)
        for layer, law in provenance["initialisation"].items()
    }
    model = ModelHeads(
        circuit=provenance["convention"]["circuit"],
        layers=provenance["layers"],
        n_groups=provenance["n_kv_heads"],
        group_size=provenance["n_heads"] // provenance["n_kv_heads"],
        trained=provenance["source"]["source"] != "init",
        read_layer=lambda layer: load_factors(file_of(layer)),
        read_heads=lambda layer, heads: load_group(file_of(layer), heads),
        initialisation=laws.__getitem__,
    )
    rows = []
    layers = layers_of(snakemake)
    for layer in progress(layers):
        rows += measure_nulls(
            layer,
            model,
            basis_dim=int(basis_dim[layer]),
            null_draws=settings["null_draws"],
            seed=settings["seed"],
            balance_above=settings["balance_above"],
            cancellation_below=settings["cancellation_below"],
            rank_cutoff=settings["rank_cutoff"],
            gram_floor=settings["gram_floor"],
            well_below=settings["conditioning.well_below"],
        )
    write_table(snakemake.output.nulls, rows, columns.NULLS, origin(snakemake))
