"""Commutator norms of every head pair, and ε, of each layer."""

from typing import TYPE_CHECKING, Any

from headalgebra import columns
from headalgebra.measurement.epsilon import measure_epsilon
from layers import gram_blocks_by_layer, layers_of, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    cancellation_below = snakemake.params.settings["cancellation_below"]
    rows, pairs = [], []
    layers = layers_of(snakemake)
    for layer, blocks in gram_blocks_by_layer(snakemake, layers):
        row, of_pairs = measure_epsilon(layer, blocks, cancellation_below=cancellation_below)
        del blocks  # or this layer would be kept while the next one is read
        rows.append(row)
        pairs += of_pairs
    write_table(snakemake.output.pairs, pairs, columns.PAIRS, origin(snakemake))
    write_table(snakemake.output.epsilon, rows, columns.EPSILON, origin(snakemake))
