"""Singular values, basis, conditioning and route of each layer."""

from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file

from headalgebra import columns
from headalgebra.measurement.basis import decompose_basis
from layers import gram_blocks_by_layer, layers_of, origin
from stage import aside, job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    settings = snakemake.params.settings
    conditioned, singular_values, coefficients = [], [], {}
    layers = layers_of(snakemake)
    for layer, blocks in gram_blocks_by_layer(snakemake, layers):
        basis, row, values = decompose_basis(
            layer,
            blocks,
            rank_cutoff=settings["rank_cutoff"],
            gram_floor=settings["gram_floor"],
            max_dim=settings["max_dim"],
            dense_max_dim=settings["dense_max_dim"],
            exact_up_to_probes=settings["exact_up_to_probes"],
            census_max_triples=settings["census_max_triples"],
            **settings["conditioning"],
        )
        conditioned.append(row)
        singular_values += values
        coefficients[str(layer)] = basis.coefficients
        print(f"layer {layer}: {row['basis_dim']} elements, route {row['route']}")
    output = snakemake.output
    with aside(output.coefficients) as partial:
        save_file(coefficients, partial)
    write_table(output.singular_values, singular_values, columns.SINGULAR_VALUES, origin(snakemake))
    write_table(output.basis, conditioned, columns.BASIS, origin(snakemake))
