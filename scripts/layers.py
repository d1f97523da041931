"""The operators of the layers that a job works on, one layer at a time."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from headalgebra.algebra.gram import GramBlocks, gram_blocks
from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import load_factors
from headalgebra.measurement import depth
from stage import progress


def factors_file(factors: str, layer: int) -> Path:
    """The factors of one layer.

    Raises
    ------
    FileNotFoundError
        When they are gone; it says what to do.
    """
    path = Path(factors) / f"{layer:03d}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is gone: delete the folder {factors}, and give the same command again"
        )
    return path


def layers_of(snakemake: Any) -> list[int]:
    """Layers whose factors were extracted, or those of them that the job works on."""
    layers: list[int] = provenance_of(snakemake)["layers"]
    only = snakemake.params.layers
    return layers if only is None else [layer for layer in layers if layer in set(only)]


def spread_over_depth(snakemake: Any, at_most: int) -> list[int]:
    """So many of the model's layers from the first to the last, those that the job works on."""
    layers = provenance_of(snakemake)["layers"]
    chosen = {layers[place] for place in depth.spread_over_depth(len(layers), at_most)}
    return [layer for layer in layers_of(snakemake) if layer in chosen]


def provenance_of(snakemake: Any) -> dict[str, Any]:
    """What is recorded of the model that a job works on."""
    found: dict[str, Any] = json.loads(Path(snakemake.input.provenance).read_text(encoding="utf-8"))
    return found


def gram_blocks_by_layer(snakemake: Any, layers: Sequence[int]) -> Iterator[tuple[int, GramBlocks]]:
    """Gram blocks of each layer, on the threads the rule was given."""
    torch.set_num_threads(snakemake.threads)
    balance_above = snakemake.params.settings["balance_above"]
    for layer in progress(layers):
        path = factors_file(snakemake.input.factors, layer)
        # Nothing here keeps what is yielded, nor what it was made of.
        yield layer, gram_blocks(operators_in(path), balance_above=balance_above)


def operators_in(path: Path) -> HeadOperators:
    """The head operators of a layer's factors, in float64."""
    factors = load_factors(path)
    return HeadOperators.from_factors(factors.queries, factors.keys, factors.key_of_head)


def basis_coefficients(path: str) -> dict[int, torch.Tensor]:
    """Coefficients [n, H] of the basis of each layer."""
    return {int(layer): tensor for layer, tensor in load_file(path).items()}


def origin(snakemake: Any, device: torch.device | None = None) -> dict[str, Any]:
    """What a stage's numbers were computed on."""
    return {
        "device": str(device or "cpu"),
        "threads": snakemake.threads,
        "torch": torch.__version__,
    }
