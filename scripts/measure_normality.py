"""How far from normal heads are; pictures of the least and of the most normal one."""

from typing import TYPE_CHECKING, Any

import torch

from headalgebra import columns
from headalgebra.measurement.normality import draw_portrait, measure_normality
from layers import factors_file, layers_of, operators_in, origin
from stage import job, progress, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    factors = snakemake.input.factors
    layers = layers_of(snakemake)
    rows = []
    for layer in progress(layers):
        rows += measure_normality(layer, operators_in(factors_file(factors, layer)))
    departures = [
        (row["value"], row["layer"], int(row["operator"].removeprefix("head ")))
        for row in rows
        if row["quantity"] == "henrici"
    ]
    portraits = []
    for henrici, layer, head in dict.fromkeys(
        (min(departures), max(departures)) if departures else ()
    ):
        operators = operators_in(factors_file(factors, layer))
        portraits += draw_portrait(layer, head, henrici, operators)
    write_table(snakemake.output.pseudospectra, portraits, columns.PORTRAIT, origin(snakemake))
    write_table(snakemake.output.head_normality, rows, columns.NORMALITY, origin(snakemake))
