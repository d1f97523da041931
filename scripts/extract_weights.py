"""The canonical query and key factors of each layer, and where they came from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from headalgebra.checkpoints import (
    Checkpoint,
    CheckpointError,
    initialise,
    initialise_from_hub,
    open_folder,
    open_hub,
    open_package,
    save_factors,
)
from headalgebra.convention import Convention
from stage import aside, job, progress

if TYPE_CHECKING:
    snakemake: Any

PACKAGES = ("headalgebra", "torch", "numpy", "safetensors", "transformers", "huggingface_hub")


def open_source(source: Mapping[str, Any], seed: int, convention: Convention) -> Checkpoint:
    """The checkpoint that a model file names."""
    match source:
        case {"source": "hub", "id": id_, "revision": revision, "sha256": sha256}:
            return open_hub(id_, revision, sha256=sha256, convention=convention)
        case {"source": "path", "path": path, "sha256": sha256}:
            return open_folder(path, sha256=sha256, convention=convention)
        case {"source": "package", "package": package, "folder": folder, "sha256": sha256}:
            return open_package(package, folder, sha256=sha256, convention=convention)
        case {"source": "init", "config": dict(config)}:
            return initialise(config, seed=seed, convention=convention)
        case {"source": "init", "id": id_, "revision": revision}:
            return initialise_from_hub(id_, revision or "main", seed=seed, convention=convention)
    raise ValueError(f"no way to open {source}")


def layers_to_read(checkpoint: Checkpoint, asked: list[int] | None, model: str) -> list[int]:
    """The layers asked for, or all of them."""
    if asked is None:
        return list(range(checkpoint.n_layers))
    if max(asked) >= checkpoint.n_layers:
        raise CheckpointError(
            f"config/model/{model}.yaml",
            f"layers: {max(asked)} was asked for and {checkpoint.origin} has "
            f"{checkpoint.n_layers} layers",
            f"use layers below {checkpoint.n_layers}",
        )
    return asked


with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    source, seed = snakemake.params.source, snakemake.params.seed
    convention = Convention(**{field.name: source[field.name] for field in fields(Convention)})
    checkpoint = open_source(source, seed, convention)
    layers = layers_to_read(checkpoint, source["layers"], source["name"])
    dtype = source["dtype"] or str(checkpoint.dtype).removeprefix("torch.")
    with aside(snakemake.output.factors) as folder:
        folder.mkdir()
        for layer in progress(layers, f"extract_weights {source['name']}"):
            # Given no name: it would keep this layer while the next one is read.
            save_factors(
                folder / f"{layer:03d}.safetensors",
                checkpoint.read_layer(layer, source["dtype"]),
                {"family": checkpoint.family, "layer": str(layer)},
            )
    provenance = {
        "family": checkpoint.family,
        # Known now without reading anything twice.
        "revision": checkpoint.revision,
        "source": {key: value for key, value in source.items() if value},
        "files": checkpoint.files,
        "hashed": checkpoint.hashed,
        "convention": asdict(convention),
        "initialisation": {
            str(layer): law and asdict(law)
            for layer, law in ((layer, checkpoint.initialisation(layer)) for layer in layers)
        },
        "layers": layers,
        "n_layers": checkpoint.n_layers,
        "n_heads": checkpoint.n_heads,
        "n_kv_heads": checkpoint.n_kv_heads,
        "d_model": checkpoint.d_model,
        "d_head": checkpoint.d_head,
        "dtype": dtype,
        "device": "cpu",
        "threads": snakemake.threads,
        "seed": seed,
        "packages": {package: version(package) for package in PACKAGES},
    }
    with aside(snakemake.output.provenance) as partial:
        partial.write_text(json.dumps(provenance, indent=2, sort_keys=True) + "\n")
