"""ε of each layer with the phase bands and the Haar null."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.plots import FigureStyle, epsilon_by_depth, write_figure
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    style = FigureStyle(**snakemake.params.style)
    layers = pd.read_csv(snakemake.input.layers)
    figure = epsilon_by_depth(layers, **snakemake.params.phases, style=style)
    with aside(snakemake.output.svg) as svg, aside(snakemake.output.png) as png:
        write_figure(figure, svg, png, style.dpi)
