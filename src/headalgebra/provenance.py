"""What a record of a model's weights says in words; a record is a model's provenance.json."""

from collections.abc import Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]


def stored_types(record: Record) -> str:
    """How a GGUF file has a model's weights, each type once; empty where there is none."""
    # A record that an older version left, and that is about to be made anew, has none.
    of_layers = record.get("quantisation", {}).values()
    return ", ".join(dict.fromkeys(filter(None, of_layers)))


def versions(records: Iterable[Record]) -> list[str]:
    """The packages that read the weights: one line, or one for each that differs."""
    return list(
        dict.fromkeys(
            ", ".join(f"{name} {version}" for name, version in record["packages"].items())
            for record in records
        )
    )
