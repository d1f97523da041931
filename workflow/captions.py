"""What a caption says of the models behind its figure, in reStructuredText."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template

from headalgebra.provenance import stored_types, versions
from paths import ROOT

DIGITS = 12
"""Of a SHA-256 digest, enough to tell files apart."""

MOST_DIGESTS = 3

CONFIG = "config.json"

TEMPLATES = ROOT / "workflow/report"


def caption(kind: str, counts: Mapping[str, Any], subject: Mapping[str, str | None]) -> str:
    """What a figure of a kind shows.

    Parameters
    ----------
    kind
        The template's name.
    counts
        Numbers of the analysis that it gives.
    subject
        The model, series or experiment that it is of, by which of these it is.
    """
    template = Template(
        (TEMPLATES / f"{kind}.rst").read_text(encoding="utf-8"), undefined=StrictUndefined
    )
    named = {key: name and _escaped(name) for key, name in subject.items()}
    return template.render(counts=counts, **named).strip() + "\n"


def read_provenance(paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The records of what the models were read from, by model, in the order of the paths."""
    records = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    return {record["source"]["name"]: record for record in records}


def provenance_lines(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How many layers of how many models, each model's origin, and the versions that read them."""
    n_layers = sum(len(record["layers"]) for record in records.values())
    return [
        f"n = {_count(n_layers, 'layer')} of {_count(len(records), 'model')}:",
        "",
        *(f"- {_escaped(model)}: {_escaped(_origin(of))}." for model, of in records.items()),
        "",
        f"Weights read with {_escaped('; or '.join(versions(records.values())))}.",
    ]


def quantisations(records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """How the weights of each model that a GGUF file holds are stored there."""
    types = {model: stored_types(record) for model, record in records.items()}
    return {model: of_layers for model, of_layers in types.items() if of_layers}


def _origin(record: Mapping[str, Any]) -> str:
    shape = (
        f"{record['family']}, {_count(len(record['layers']), 'layer')} of "
        f"{record['n_heads']} heads, d = {record['d_model']}"
    )
    parts = [shape, record["source"].get("id", ""), f"revision {record['revision']}"]
    digests = [value[:DIGITS] for name, value in record["files"].items() if name != CONFIG]
    if digests:
        rest = f" and {len(digests) - MOST_DIGESTS} more" if len(digests) > MOST_DIGESTS else ""
        parts.append(f"SHA-256 {', '.join(digests[:MOST_DIGESTS])}{rest}")
    stored = stored_types(record)
    parts.append(f"{record['dtype']} from {stored}" if stored else record["dtype"])
    if record["seed"] is not None:
        parts.append(f"initialised from seed {record['seed']}")
    return "; ".join(filter(None, parts))


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _escaped(text: str) -> str:
    """The text with what reStructuredText would read as markup taken literally."""
    return re.sub(r"([\\*_`|])", r"\\\1", text)
