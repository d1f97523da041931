"""The canonical query and key factors of each layer, and where they came from."""

import json
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from headalgebra.checkpoints import save_factors
from sources import open_source, sizes_of
from stage import aside, job, progress

if TYPE_CHECKING:
    snakemake: Any

PACKAGES = (
    *("headalgebra", "torch", "numpy", "safetensors", "gguf", "transformers", "huggingface_hub"),
)


with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    source, seed = snakemake.params.source, snakemake.params.seed
    checkpoint = open_source(source, seed)
    sizes = sizes_of(checkpoint)
    layers = sizes["layers"]
    shown = {name: size for name, size in sizes.items() if name != "layers"}
    print(", ".join(f"{name} {size}" for name, size in shown.items()))
    dtype = source["dtype"] or str(checkpoint.dtype).removeprefix("torch.")
    with aside(snakemake.output.factors) as folder:
        folder.mkdir()
        for layer in progress(layers):
            # Given no name: it would keep this layer while the next one is read.
            save_factors(
                folder / f"{layer:03d}.safetensors",
                checkpoint.read_layer(layer, source["dtype"]),
                {"family": checkpoint.family, "layer": str(layer)},
            )
    print(f"revision {checkpoint.revision}, {dtype}")
    if checkpoint.provenance.note:
        print(checkpoint.provenance.note)
    provenance = {
        **sizes,
        # Known now without reading anything twice.
        "revision": checkpoint.revision,
        "source": {key: value for key, value in source.items() if value},
        "files": checkpoint.files,
        "hashed": checkpoint.hashed,
        "unread_keys": checkpoint.unread_keys,
        "note": checkpoint.provenance.note,
        "convention": asdict(checkpoint.convention),
        "initialisation": {
            str(layer): law and asdict(law)
            for layer, law in ((layer, checkpoint.initialisation(layer)) for layer in layers)
        },
        "dtype": dtype,
        "quantisation": {str(layer): checkpoint.quantisation(layer) for layer in layers},
        "device": "cpu",
        "threads": snakemake.threads,
        "seed": seed,
        "packages": {package: version(package) for package in PACKAGES},
    }
    with aside(snakemake.output.provenance) as partial:
        partial.write_text(json.dumps(provenance, indent=2, sort_keys=True) + "\n")
