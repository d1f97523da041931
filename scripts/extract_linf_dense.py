"""L∞ extraction by dense arrays, of the layers that basis routed to it."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.devices import compute_device
from headalgebra.measurement.linf_dense import extract_linf_dense
from layers import basis_coefficients, gram_blocks_by_layer, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    settings = snakemake.params.settings
    device = compute_device(settings["device"])
    basis = pd.read_parquet(snakemake.input.basis)
    coefficients = basis_coefficients(snakemake.input.coefficients)
    routed = basis.loc[basis["route"].isin(["dense", "mixed"]), "layer"].tolist()
    rows, literal = [], []
    for layer, blocks in gram_blocks_by_layer(snakemake, routed):
        row, relations = extract_linf_dense(
            layer,
            blocks,
            coefficients[layer],
            dtype=settings["dense_dtype"],
            device=device,
            jacobi_triples=settings["jacobi_triples"],
            literal_max_d=settings["literal_max_d"],
            literal_tolerance=settings["literal_tolerance"],
            seed=settings["seed"],
        )
        rows.append(row)
        literal.append(relations)
    computed_on = origin(snakemake, device) | {"dense_dtype": settings["dense_dtype"]}
    write_table(snakemake.output.literal, literal, columns.LITERAL, computed_on)
    write_table(snakemake.output.linf_dense, rows, columns.LINF, computed_on)
