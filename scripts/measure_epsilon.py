"""Commutator norms of every head pair, and ε, of each layer."""

from typing import TYPE_CHECKING, Any

from headalgebra import columns
from headalgebra.algebra.commutators import pair_commutators
from layers import gram_blocks_by_layer, layers_of, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    rows, pairs = [], []
    layers = layers_of(snakemake.input.factors, snakemake.params.layers)
    for layer, blocks in gram_blocks_by_layer(snakemake, layers):
        measured = pair_commutators(
            blocks, cancellation_below=snakemake.params.settings["cancellation_below"]
        )
        del blocks  # or this layer would be kept while the next one is read
        row = (layer, measured.epsilon, measured.epsilon_relative, measured.epsilon_haar)
        rows.append(dict(zip(columns.EPSILON, row, strict=True)))
        by_pair = (measured.i, measured.j, measured.norm, measured.relative, measured.haar)
        pairs += [
            dict(zip(columns.PAIRS, (layer, *pair), strict=True))
            for pair in zip(*(values.tolist() for values in by_pair), strict=True)
        ]
    write_table(snakemake.output.pairs, pairs, columns.PAIRS, origin(snakemake))
    write_table(snakemake.output.epsilon, rows, columns.EPSILON, origin(snakemake))
