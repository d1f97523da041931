"""The literal Jacobiator of raw operators and of the basis in four precisions."""

from typing import TYPE_CHECKING, Any

from headalgebra import columns
from headalgebra.measurement.precision import measure_precision
from layers import basis_coefficients, gram_blocks_by_layer, origin, spread_over_depth
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    settings = snakemake.params.settings
    coefficients = basis_coefficients(snakemake.input.coefficients)
    rows = []
    layers = spread_over_depth(snakemake, settings["precision"]["layers"])
    for layer, blocks in gram_blocks_by_layer(snakemake, layers):
        rows += measure_precision(
            layer,
            blocks.operators,
            coefficients[layer],
            triples=settings["precision"]["triples"],
            literal_max_d=settings["literal_max_d"],
            seed=settings["seed"],
        )
    write_table(snakemake.output.precision, rows, columns.PRECISION, origin(snakemake))
