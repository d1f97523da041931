"""The levels of the algebraic tower by depth."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.plots import FigureStyle, tower_by_depth, write_figure
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    style = FigureStyle(**snakemake.params.style)
    tower = pd.read_csv(snakemake.input.tower)
    figure = tower_by_depth(tower, style)
    with aside(snakemake.output.svg) as svg, aside(snakemake.output.png) as png:
        write_figure(figure, svg, png, style.dpi)
