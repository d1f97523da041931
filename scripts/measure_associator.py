"""The associator of the deformed product a ⋆_t b = ab + t[a,b] of basis elements, against t."""

from typing import TYPE_CHECKING, Any

from headalgebra import columns
from headalgebra.measurement.associator import measure_associator
from layers import basis_coefficients, gram_blocks_by_layer, origin, spread_over_depth
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    settings = snakemake.params.settings
    coefficients = basis_coefficients(snakemake.input.coefficients)
    rows = []
    layers = spread_over_depth(snakemake, settings["precision.layers"])
    for layer, blocks in gram_blocks_by_layer(snakemake, layers):
        basis = coefficients[layer]
        rows += measure_associator(
            layer,
            blocks.operators,
            basis,
            literal_max_d=settings["literal_max_d"],
            seed=settings["seed"],
        )
    write_table(snakemake.output.associator, rows, columns.ASSOCIATOR, origin(snakemake))
