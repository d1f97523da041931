"""What a model's layers have, beside what chance gives them."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.plots import FigureStyle, beside_chance, write_figure
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    style, model = FigureStyle(**snakemake.params.style), snakemake.wildcards.model
    measured = pd.read_parquet(snakemake.input.epsilon).merge(
        pd.read_parquet(snakemake.input.coherence), on="layer", validate="1:1"
    )
    figure = beside_chance(measured, pd.read_parquet(snakemake.input.nulls), style, model=model)
    with aside(snakemake.output.svg) as svg, aside(snakemake.output.png) as png:
        write_figure(figure, svg, png, style.dpi)
