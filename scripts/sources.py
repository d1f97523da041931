"""Where the weights of a model come from, as its file says."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from headalgebra.checkpoints import (
    Checkpoint,
    Outline,
    initialise,
    initialise_from_hub,
    open_folder,
    open_hub,
    open_package,
)
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import Reading


def convention_of(source: Mapping[str, Any]) -> Convention:
    """How a model file says that operators are built."""
    return Convention(**{field.name: source[field.name] for field in fields(Convention)})


def reading_of(source: Mapping[str, Any]) -> Reading:
    """What a model file says of how a checkpoint's files are read."""
    layers = source["layers"]
    return Reading(
        layers=None if layers is None else tuple(layers),
        adapters=source["adapters"],
        ignore_config=tuple(source["ignore_config"]),
        allow_pickle=source["allow_pickle"],
        fetch=source["fetch"],
        model_type=source["model_type"],
    )


def open_source(source: Mapping[str, Any], seed: int) -> Checkpoint:
    """The checkpoint that a model file names."""
    convention, reading = convention_of(source), reading_of(source)
    stored = {
        "file": source["file"],
        "sha256": source["sha256"],
        "convention": convention,
        "reading": reading,
    }
    match source:
        case {"source": "hub", "id": id_, "revision": revision}:
            return open_hub(id_, revision, **stored)
        case {"source": "path" | "train", "path": path}:
            return open_folder(path, **stored)
        case {"source": "package", "package": package, "folder": folder}:
            return open_package(package, folder or ".", **stored)
        case {"source": "init", "config": dict(config)}:
            return initialise(config, seed=seed, convention=convention, reading=reading)
        case {"source": "init", "id": id_, "revision": revision}:
            return initialise_from_hub(
                id_, revision or "main", seed=seed, convention=convention, reading=reading
            )
    raise ValueError(f"no way to open {source}")


def sizes_of(checkpoint: Checkpoint | Outline) -> dict[str, Any]:
    """What is recorded of a checkpoint's attention, whether or not its weights are there."""
    return {
        "family": checkpoint.family,
        "layers": [*(checkpoint.chosen or range(checkpoint.n_layers))],
        "n_layers": checkpoint.n_layers,
        "n_heads": checkpoint.n_heads,
        "n_kv_heads": checkpoint.n_kv_heads,
        "d_model": checkpoint.d_model,
        "d_head": checkpoint.d_head,
    }
