"""Maps of the head pairs' relative commutators, layer by layer."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.plots import FigureStyle, commutator_maps, write_figure
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    style = FigureStyle(**snakemake.params.style)
    pairs = pd.read_parquet(snakemake.input.pairs)
    figure = commutator_maps(pairs, style, model=snakemake.wildcards.model)
    with aside(snakemake.output.svg) as svg, aside(snakemake.output.png) as png:
        write_figure(figure, svg, png, style.dpi)
