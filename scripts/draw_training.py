"""ε of each layer over the checkpoints of a training run."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.plots import FigureStyle, epsilon_over_training, write_figure
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    style, series = FigureStyle(**snakemake.params.style), snakemake.wildcards.series
    checkpoints = {name.removeprefix(f"{series}."): name for name in snakemake.params.models}
    layers = pd.read_csv(snakemake.input.layers, dtype={"model": str})
    figure = epsilon_over_training(layers, style, checkpoints=checkpoints, title=series)
    with aside(snakemake.output.svg) as svg, aside(snakemake.output.png) as png:
        write_figure(figure, svg, png, style.dpi)
