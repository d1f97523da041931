"""A figure: tables in, one function of `headalgebra.plots`, SVG and PNG out."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.plots import FigureStyle, write_figure
from headalgebra.tables import read_csv
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any


def read_table(path: str) -> pd.DataFrame:
    """A table of a study or of a model, or that of the steps of a training."""
    if Path(path).is_dir():
        return pd.read_parquet(Path(path) / "metrics.parquet")
    return read_csv(path) if Path(path).suffix == ".csv" else pd.read_parquet(path)


def read_models(paths: list[str], models: list[str]) -> pd.DataFrame:
    """One table of all models from one of each."""
    return pd.concat(
        read_table(path).assign(model=model) for model, path in zip(models, paths, strict=True)
    )


with job(snakemake):
    params = snakemake.params
    style = FigureStyle(**params.style, quantised=params.quantised)
    tables = {
        name: read_table(source) if isinstance(source, str) else read_models(source, params.models)
        for name, source in snakemake.input.items()
        if name not in ("code", "provenance") and source
    }
    # Not imported by name: the rule's inputs are the modules behind this figure, and no other's.
    package, _, name = params.plot.rpartition(".")
    plot = getattr(import_module(f"headalgebra.plots.{package}"), name)
    figure = plot(**tables, style=style, **params.settings)
    with aside(snakemake.output.svg) as svg, aside(snakemake.output.png) as png:
        write_figure(figure, svg, png, style.dpi)
