"""The associator of the deformed product against t."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.plots import FigureStyle, associator_by_parameter, write_figure
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    style = FigureStyle(**snakemake.params.style)
    associator = pd.read_csv(snakemake.input.associator)
    figure = associator_by_parameter(associator, style)
    with aside(snakemake.output.svg) as svg, aside(snakemake.output.png) as png:
        write_figure(figure, svg, png, style.dpi)
