"""L∞ extraction without dense arrays, exact or by probes, of the layers that basis routed to it."""

from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from headalgebra import columns
from headalgebra.devices import compute_device
from headalgebra.measurement.linf_sampled import extract_linf_sampled
from layers import basis_coefficients, gram_blocks_by_layer, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    settings = snakemake.params.settings
    basis = pd.read_parquet(snakemake.input.basis)
    coefficients = basis_coefficients(snakemake.input.coefficients)
    routes = basis.set_index("layer")["route"]
    routed = routes.index[routes.isin(["exact", "sampled", "mixed"])].tolist()
    rows, sampling = [], []
    device = torch.device("cpu")
    for layer, blocks in gram_blocks_by_layer(snakemake, routed):
        if blocks.operators.d_model >= settings["sampled_gpu_from_d"]:
            device = compute_device(settings["device"])
        row, estimates = extract_linf_sampled(
            layer,
            blocks,
            coefficients[layer],
            route=routes[layer],
            probes=settings["probes"],
            device=device,
            jacobi_triples=settings["jacobi_triples"],
            literal_max_d=settings["literal_max_d"],
            census_max_triples=settings["census_max_triples"],
            weighted_triples=settings["weighted_triples"],
            uniform_tuples=settings["uniform_tuples"],
            seed=settings["seed"],
        )
        rows.append(row)
        sampling += estimates
    write_table(snakemake.output.sampling, sampling, columns.SAMPLING, origin(snakemake, device))
    write_table(snakemake.output.linf_sampled, rows, columns.LINF, origin(snakemake, device))
