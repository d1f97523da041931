"""What was measured: the models, where their weights are from, and what read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from headalgebra.provenance import stored_types


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What is known of a model's weights.

    Attributes
    ----------
    record
        Its provenance: ``source``, ``family``, ``layers``, ``n_heads``, ``n_kv_heads``,
        ``d_model``, ``revision``, ``files``, ``dtype``, ``quantisation``, ``seed`` and
        ``packages``.
    href
        Where this lies, as seen from the page.
    """

    record: Mapping[str, Any]
    href: str


def models(origins: Sequence[Origin], runs: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Each model as a row: its shape, how its weights are stored, and what they were read from.

    Parameters
    ----------
    runs
        How each was run on a text, in the columns of :data:`headalgebra.columns.MODEL_RUNS`,
        where any was.
    """
    ran = {} if runs is None else {str(row["model"]): row for row in runs.to_dict("records")}
    return [_model(origin, ran.get(origin.record["source"]["name"], {})) for origin in origins]


def _model(origin: Origin, run: Mapping[Any, Any]) -> dict[str, Any]:
    record = origin.record
    source = record["source"]
    return {
        "name": source["name"],
        "kind": " ".join(filter(None, (record["family"], _text(run.get("kind"))))),
        "initialised": source["source"] == "init",
        "n_layers": len(record["layers"]),
        "n_heads": record["n_heads"],
        "n_kv_heads": record["n_kv_heads"],
        "d_model": record["d_model"],
        "parameters": _millions(run.get("parameters")),
        "stored": stored_types(record),
        "dtype": record["dtype"],
        "source": _source(source),
        "revision": record["revision"],
        "seed": record["seed"],
        "files": record["files"],
        "note": record["note"],
        "packages": record["packages"],
        "href": origin.href,
    }


def _source(source: Mapping[str, Any]) -> str:
    """Where weights are from, in a few words."""
    kind = source["source"]
    named = {"hub": "id", "package": "package", "path": "path", "train": "name"}.get(kind, "")
    words = {
        "hub": "model hub",
        "package": "Python package",
        "path": "local folder",
        "train": "trained here",
        "init": "drawn at random",
    }
    return " ".join(filter(None, (words.get(kind, kind), str(source.get(named) or ""))))


def texts(runs: pd.DataFrame | None) -> list[dict[str, Any]]:
    """What text models read, and how much of it."""
    if runs is None:
        return []
    columns = ["text", "text_sha256", "sequences", "tokens"]
    return [
        {str(key): value for key, value in row.items()}
        for row in runs[columns].dropna().drop_duplicates().to_dict("records")
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _millions(parameters: Any) -> str:
    return "" if parameters is None or pd.isna(parameters) else f"{parameters / 1e6:.3g} M"
