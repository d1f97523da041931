"""The layers of a study as an interactive page."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.plots import FigureStyle
from headalgebra.plots.linf.interactive import layer_explorer
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    layers = pd.read_csv(snakemake.input.layers, dtype={"model": str, "phase": str})
    style = FigureStyle(**snakemake.params.style)
    page = layer_explorer(layers, style, title=snakemake.params.title)
    with aside(snakemake.output.page) as partial:
        partial.write_text(page, encoding="utf-8")
