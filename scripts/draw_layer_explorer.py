"""The layers of a study as an interactive page."""

from typing import TYPE_CHECKING, Any

from headalgebra.pages.layers import layer_explorer
from headalgebra.plots import FigureStyle
from headalgebra.tables import read_csv
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    layers = read_csv(snakemake.input.layers)
    style = FigureStyle(**snakemake.params.style, quantised=snakemake.params.quantised)
    page = layer_explorer(layers, style, title=snakemake.params.title)
    with aside(snakemake.output.page) as partial:
        partial.write_text(page, encoding="utf-8")
