"""Singular values and condition number of each layer."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.plots import FigureStyle, singular_values, write_figure
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    params = snakemake.params
    style = FigureStyle(**snakemake.params.style)
    layers = pd.read_csv(snakemake.input.layers)
    sigma = pd.concat(
        pd.read_parquet(path).assign(model=model)
        for model, path in zip(params.models, snakemake.input.singular_values, strict=True)
    )
    figure = singular_values(sigma, layers, **params.conditioning, style=style)
    with aside(snakemake.output.svg) as svg, aside(snakemake.output.png) as png:
        write_figure(figure, svg, png, style.dpi)
