"""The page of a made-up study."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from claim_studies import THRESHOLDS, TRAINED, Tables, of_model
from headalgebra.claims.ledger import ledger
from headalgebra.pages.index import index_page
from headalgebra.pages.origins import Origin
from headalgebra.pages.pictures import LeftOut, Picture
from headalgebra.pages.tables import SHOWN, Table

RECORD: dict[str, Any] = {
    "source": {"name": "m", "source": "package", "package": "some-package"},
    "family": "bert",
    "layers": list(range(9)),
    "n_heads": 12,
    "n_kv_heads": 4,
    "d_model": 64,
    "revision": "v1",
    "files": {"model.safetensors": "0123456789abcdef" * 4},
    "dtype": "float32",
    "quantisation": {"0": "Q4_1", "1": ""},
    "seed": None,
    "note": "",
    "packages": {"torch": "2.0"},
}
LEFT_OUT = {"size": LeftOut(title="ε by size", reason="fewer than three sizes")}


def png(width: int = 40, height: int = 20, *, noise: bool = False) -> bytes:
    pixels = np.random.default_rng(0).integers(256, size=(height, width, 3)) * noise
    written = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(written, "PNG")
    return written.getvalue()


def picture(name: str, **other: Any) -> Picture:
    plain: dict[str, Any] = {
        "title": f"Title of {name}",
        "category": "Phases",
        "caption": f"**Of {name}.** What it is.\n\nHow to read it.",
        "png": png(),
        "href": f"figures/{name}.svg",
    }
    return Picture(name=name, **(plain | other))


def tables_of(tables: Tables, models: pd.DataFrame = TRAINED) -> list[Table]:
    """Claims and evidence of a study, and the layers with every column that the page shows."""
    claims, evidence = ledger(tables, models, THRESHOLDS)
    layers = tables["layers"].reindex(columns=list(SHOWN["layers"]))
    named = {"layers": layers, "evidence": evidence, "claims": claims}
    return [
        Table(name=name, rows=rows, n_bytes=1234, href=f"tables/{name}.csv")
        for name, rows in named.items()
    ]


DEFAULT_TABLES = tables_of(of_model())


def page(
    figures: Iterable[str | Picture] = ("epsilon", "jacobiator", "tower"),
    tables: list[Table] | None = None,
    left_out: Mapping[str, LeftOut] = LEFT_OUT,
    records: Iterable[Mapping[str, Any]] = (RECORD,),
    **other: Any,
) -> str:
    named: dict[str, Any] = {
        "study": "made-up",
        "title": "A made-up study",
        "links": {"The configuration": "config.yaml"},
    }
    return index_page(
        DEFAULT_TABLES if tables is None else tables,
        [one if isinstance(one, Picture) else picture(one) for one in figures],
        left_out,
        [Origin(record=record, href="../models/m/provenance.json") for record in records],
        **(named | other),
    )
