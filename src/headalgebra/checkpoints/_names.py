"""The tensors that factors are made of, found among a model's tensors by name."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import torch

from headalgebra.checkpoints._assembly import matrices, norms, sides
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import Attention
from headalgebra.checkpoints.convention import Convention

QUANTISED = (
    ".SCB",
    ".absmax",
    ".qweight",
    ".weight_packed",
    ".weight_scale",
    ".weight_scale_inv",
)
FORMER = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
"""How names ended once, and end still where transformers saves a model that it did not load."""


def former_name(name: str) -> str:
    """The former name of a tensor, or its name if it had no other."""
    for present, former in FORMER.items():
        if name.endswith(present):
            return name.removesuffix(present) + former
    return name


def present_name(name: str, names: Collection[str]) -> str:
    """The present name of a tensor, unless another of the names is that already."""
    for present, former in FORMER.items():
        if name.endswith(former) and (renamed := name.removesuffix(former) + present) not in names:
            return renamed
    return name


@dataclass(frozen=True)
class WantedTensors:
    """What the factors of every layer are made of.

    Names are those of the family, without the prefix of the model around them.

    Attributes
    ----------
    projections
        The shape of each projection's matrix, by name.
    gammas
        The shape of each norm's weights, by name.
    """

    projections: Mapping[str, tuple[int, ...]]
    gammas: Mapping[str, tuple[int, ...]]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all of them, by name."""
        return {**self.projections, **self.gammas}


def wanted_tensors(
    attention: Attention,
    convention: Convention,
    layers: Collection[int] | None = None,
    where: str = "",
) -> WantedTensors:
    """What a convention takes of a model's attention, of all layers or of some.

    Raises
    ------
    CheckpointError
        If one of the layers is not there; `where` is the model.
    """
    chosen = range(attention.shape.n_layers) if layers is None else sorted(layers)
    if not chosen or not 0 <= chosen[0] <= chosen[-1] < attention.shape.n_layers:
        raise CheckpointError(
            where,
            f"layers {[*chosen]} are asked for, and it has layers 0 to "
            f"{attention.shape.n_layers - 1}",
            "ask for some of these",
        )
    of_layers = [attention.layers[layer] for layer in chosen]
    return WantedTensors(
        {
            slices.tensor: slices.shape
            for layer in of_layers
            for side in sides(layer, convention)
            for slices in matrices(side)
        },
        {
            name: shape
            for layer in of_layers
            for norm in norms(layer, convention)
            for name, shape in norm.shapes.items()
        },
    )


def find_prefix(
    wanted: WantedTensors, names: Collection[str], other_parts: frozenset[str], where: str
) -> str:
    """What stands before the family's own tensor names, such as ``bert.``, or nothing.

    Raises
    ------
    CheckpointError
        If the first wanted tensor is missing or there under two prefixes; `where` is the
        model.
    """
    suffix = next(iter(wanted.projections))
    matches = sorted(
        name
        for name in names
        if name == suffix
        or (name.endswith(f".{suffix}") and other_parts.isdisjoint(name.split(".")))
    )
    if not matches:
        raise CheckpointError(
            where, f"tensor {suffix} is missing", "use a checkpoint with this family's own names"
        )
    if len(matches) > 1:
        raise CheckpointError(
            where,
            f"tensor {suffix} is ambiguous: {matches[0]} or {matches[1]}",
            "save the model that is meant in a folder of its own",
        )
    return matches[0].removesuffix(suffix)


def find_quantised(names: Iterable[str]) -> str | None:
    """The first tensor, by name, that only quantised models have."""
    return min((name for name in names if name.endswith(QUANTISED)), default=None)


def refuse_mixed_types(types: Mapping[str, torch.dtype], where: Mapping[str, str]) -> None:
    """Raise unless all projections have the type of the first.

    Parameters
    ----------
    types
        Their types, by name.
    where
        Where each is, by name.

    Raises
    ------
    CheckpointError
        Names the first that differs.
    """
    first = next(iter(types))
    for name, dtype in types.items():
        if dtype != types[first]:
            raise CheckpointError(
                where[name],
                f"{name} is {dtype}, but {first} is {types[first]}",
                "use a checkpoint with one type throughout",
            )
