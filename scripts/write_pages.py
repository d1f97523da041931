"""What a person opens first: the page of a study, and that of its layers."""

import json
from collections.abc import Mapping
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headalgebra.csv_files import read_csv
from headalgebra.pages.index import index_page
from headalgebra.pages.layers import layers_page
from headalgebra.pages.origins import Origin
from headalgebra.pages.pictures import LeftOut, Picture
from headalgebra.pages.tables import Table
from headalgebra.plots import FigureStyle
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any


def read_json(path: str) -> Any:
    """What a file in JSON says."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def titled(figure: Mapping[str, Any]) -> str:
    """A figure's title, with what it is of where there are several."""
    return ", ".join(filter(None, (figure["title"], figure["subject"])))


with job(snakemake):
    given, params, output = snakemake.input, snakemake.params, snakemake.output
    folder = Path(output.index).parent
    listing = read_json(given.listing)
    tables = [
        Table(
            name=Path(path).stem,
            rows=read_csv(path),
            n_bytes=Path(path).stat().st_size,
            href=relpath(path, folder),
        )
        for path in given.tables
    ]
    pictures = [
        Picture(
            name=name,
            title=titled(drawn),
            category=drawn["category"],
            caption=drawn["caption"],
            png=(Path(given.figures) / f"{name}.png").read_bytes(),
            href=relpath(f"{given.figures}/{name}.svg", folder),
        )
        for name, drawn in listing["drawn"].items()
    ]
    left_out = {
        name: LeftOut(title=titled(absent), reason=absent["reason"])
        for name, absent in listing["left_out"].items()
    }
    links = {"The configuration": relpath(given.configuration, folder)}
    if output.get("layers"):
        links["ε by layer, to point at"] = relpath(output.layers, folder)
        rows = {table.name: table.rows for table in tables}
        layers = layers_page(
            rows["layers"],
            rows["nulls"],
            FigureStyle(**params.style, quantised=params.quantised),
            title=params.title,
            initialised=params.initialised,
            **params.phases,
        )
        with aside(output.layers) as partial:
            partial.write_text(layers, encoding="utf-8")
    index = index_page(
        tables,
        pictures,
        left_out,
        [Origin(record=read_json(path), href=relpath(path, folder)) for path in given.provenance],
        study=params.study,
        title=params.title,
        links=links,
    )
    with aside(output.index) as partial:
        partial.write_text(index, encoding="utf-8")
    print(f"{len(tables)} tables, {len(pictures)} figures, {len(left_out)} left out")
