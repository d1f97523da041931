"""The literal Jacobiator against unit roundoff."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.claims import JACOBIATOR_RANGE
from headalgebra.plots import FigureStyle, jacobiator_by_precision, write_figure
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    style = FigureStyle(**snakemake.params.style)
    precision = pd.read_csv(snakemake.input.precision)
    figure = jacobiator_by_precision(precision, style, claimed_range=JACOBIATOR_RANGE)
    with aside(snakemake.output.svg) as svg, aside(snakemake.output.png) as png:
        write_figure(figure, svg, png, style.dpi)
