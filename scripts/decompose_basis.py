"""Singular values, basis, conditioning and route of each layer."""

from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file

from headalgebra import columns
from headalgebra.algebra.basis import conditioning, extraction_route, orthonormal_basis
from layers import gram_blocks_by_layer, layers_of, origin
from stage import aside, job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    settings = snakemake.params.settings
    rows, singular_values, coefficients = [], [], {}
    layers = layers_of(snakemake.input.factors, snakemake.params.layers)
    for layer, blocks in gram_blocks_by_layer(snakemake, layers):
        basis = orthonormal_basis(
            blocks,
            rank_cutoff=settings["rank_cutoff"],
            gram_floor=settings["gram_floor"],
            max_dim=settings["max_dim"],
        )
        band = conditioning(basis.kappa_used, **settings["conditioning"])
        route = extraction_route(basis.dimension, band, dense_max_dim=settings["dense_max_dim"])
        row = (
            layer,
            basis.rank,
            basis.kappa,
            basis.dimension,
            basis.kappa_used,
            conditioning(basis.kappa, **settings["conditioning"]),
            route,
        )
        rows.append(dict(zip(columns.BASIS, row, strict=True)))
        singular_values += [
            dict(zip(columns.SINGULAR_VALUES, (layer, index, sigma), strict=True))
            for index, sigma in enumerate(basis.singular_values.tolist())
        ]
        coefficients[str(layer)] = basis.coefficients
    with aside(snakemake.output.coefficients) as partial:
        save_file(coefficients, partial)
    write_table(
        snakemake.output.singular_values,
        singular_values,
        columns.SINGULAR_VALUES,
        origin(snakemake),
    )
    write_table(snakemake.output.basis, rows, columns.BASIS, origin(snakemake))
