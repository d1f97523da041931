"""The figures of a study: tables in, one function of `headalgebra.plots` each, SVG and PNG out."""

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.csv_files import read_csv
from headalgebra.plots import FigureStyle, NothingToShow, write_figure
from stage import aside, job, progress

if TYPE_CHECKING:
    snakemake: Any


@cache
def read_table(path: str) -> pd.DataFrame:
    """A table of a study or of a model, or that of the steps of a training."""
    if Path(path).is_dir():
        return pd.read_parquet(Path(path) / "metrics.parquet")
    return read_csv(path) if Path(path).suffix == ".csv" else pd.read_parquet(path)


def read_models(paths: dict[str, str]) -> pd.DataFrame:
    """One table of several models from one of each."""
    return pd.concat(read_table(path).assign(model=model) for model, path in paths.items())


def draw(name: str, drawing: dict[str, Any], folder: Path) -> None:
    """Write the two files of one figure."""
    tables = {
        # Plots may change what they are given, and others are given the same.
        name: read_table(source).copy() if isinstance(source, str) else read_models(source)
        for name, source in drawing["tables"].items()
    }
    # Not imported by name: what is drawn is described by the rule.
    package, _, plot = drawing["plot"].rpartition(".")
    function = getattr(import_module(f"headalgebra.plots.{package}"), plot)
    figure = function(**tables, style=style, **drawing["settings"])
    write_figure(figure, folder / f"{name}.svg", folder / f"{name}.png", style.dpi)


with job(snakemake):
    params = snakemake.params
    style = FigureStyle(**params.style, quantised=params.quantised)
    listing: dict[str, dict[str, Any]] = {"drawn": {}, "left_out": {}}
    with aside(snakemake.output.figures) as folder:
        folder.mkdir()
        for name in progress([*params.drawings], "figure"):
            drawing, legend = params.drawings[name], params.legends[name]
            try:
                draw(name, drawing, folder)
            except NothingToShow as reason:
                listing["left_out"][name] = legend | {"reason": str(reason)}
                print(f"{name} is not drawn: {reason}")
                continue
            listing["drawn"][name] = legend
    with aside(snakemake.output.listing) as partial:
        partial.write_text(json.dumps(listing, indent=1, ensure_ascii=False) + "\n", "utf-8")
