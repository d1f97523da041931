"""Gauge observables and the levels of the algebraic tower of each layer."""

from typing import TYPE_CHECKING, Any

from headalgebra import columns
from headalgebra.measurement.tower import measure_tower
from layers import gram_blocks_by_layer, layers_of, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    settings = snakemake.params.settings
    tower, gauge, spectra = [], [], []
    layers = layers_of(snakemake)
    for layer, blocks in gram_blocks_by_layer(snakemake, layers):
        levels, observables, of_heads = measure_tower(
            layer,
            blocks,
            cancellation_below=settings["cancellation_below"],
            commutant_max_d=settings["commutant_max_d"],
            lie_max_heads=settings["lie_max_heads"],
            seed=settings["seed"],
        )
        tower += levels
        gauge.append(observables)
        spectra += of_heads
    write_table(snakemake.output.spectra, spectra, columns.SPECTRA, origin(snakemake))
    write_table(snakemake.output.tower, tower, columns.TOWER, origin(snakemake))
    write_table(snakemake.output.gauge, gauge, columns.GAUGE, origin(snakemake))
