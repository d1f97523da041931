"""The table `nulls` of one layer: what chance alone gives."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from headalgebra.algebra.coherence.chance import QUANTITIES, compared_with_chance
from headalgebra.algebra.nulls import (
    draw_foreign_groups,
    gaussian_factors,
    haar_conjugated,
    initial_factors,
    with_norms_of,
)
from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import FactorInitialisation, LayerFactors
from headalgebra.defaults import NULL_DRAWS
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed

Draw = Callable[[np.random.Generator], HeadOperators]


@dataclass(frozen=True, kw_only=True)
class ModelHeads:
    """The heads of a model's layers.

    Attributes
    ----------
    circuit
        ``"qk"`` or ``"ov"``, as in `headalgebra.checkpoints.convention.Convention`.
    layers
        Numbers of the layers there are.
    n_groups, group_size
        Of heads that share a factor: how many groups in a layer, how many heads in a group.
    trained
        Whether the weights are other than a draw of the model's own initialisation.
    read_layer
        Gives the factors of a layer.
    read_heads
        Gives the factors of some heads of a layer.
    initialisation
        Gives the law of a layer's factors at initialisation; None where it is not known.
    """

    circuit: str
    layers: Sequence[int]
    n_groups: int
    group_size: int
    trained: bool
    read_layer: Callable[[int], LayerFactors]
    read_heads: Callable[[int, range], LayerFactors]
    initialisation: Callable[[int], FactorInitialisation | None]

    def layer(self, layer: int) -> HeadOperators:
        """All heads of a layer, the factor that several share on the right."""
        return sharing_operators([self.read_layer(layer)], self.circuit, self.group_size)

    def groups(self, drawn: Sequence[tuple[int, int]]) -> HeadOperators:
        """The heads of some (layer, group), side by side."""
        size = self.group_size
        parts = [
            self.read_heads(layer, range(group * size, (group + 1) * size))
            for layer, group in drawn
        ]
        return sharing_operators(parts, self.circuit, size)

    def initial_law(self, layer: int) -> Mapping[str, Any] | None:
        """The law at initialisation, as the arguments of `initial_factors`."""
        law = self.initialisation(layer)
        if law is None:
            return None
        left, right = (law.query_std, law.query_centred), (law.key_std, law.key_centred)
        if self.circuit == "ov":
            left, right = right, left
        return {
            "query_std": left[0],
            "query_centred": left[1],
            "key_std": right[0],
            "key_centred": right[1],
        }


def sharing_operators(
    parts: Sequence[LayerFactors], circuit: str, group_size: int
) -> HeadOperators:
    """Operators of heads side by side, the factor that several of them share on the right.

    In the circuit ``"ov"`` heads share the left factor, which is stored once a head. Everything
    that is compared with chance is the same for the transposed operators, so they are taken there.
    """
    if circuit == "ov":
        left = torch.cat([part.keys for part in parts])
        right = torch.cat([part.queries for part in parts])[::group_size]
        return HeadOperators.from_factors(left, right, torch.arange(len(left)) // group_size)
    first = np.cumsum([0, *(len(part.keys) for part in parts)])
    key_of_head = [part.key_of_head + int(n) for part, n in zip(parts, first, strict=False)]
    return HeadOperators.from_factors(
        torch.cat([part.queries for part in parts]),
        torch.cat([part.keys for part in parts]),
        torch.cat(key_of_head),
    )


def measure_nulls(
    layer: int,
    model: ModelHeads,
    *,
    basis_dim: int,
    null_draws: int = NULL_DRAWS,
    seed: int = 0,
    **guards: float,
) -> list[Row]:
    """Mean and spread of what is compared with chance, over random layers of each kind.

    Parameters
    ----------
    basis_dim
        Dimension of the layer's own basis, at which those of the random layers are cut.
    null_draws
        Random layers of each kind.
    guards
        As in `compared_with_chance`.

    Returns
    -------
    list
        A row of :data:`headalgebra.columns.NULLS` for each kind of random layer and quantity.
    """
    operators = model.layer(layer)
    return [
        row
        for null, draw in _draws(layer, operators, model).items()
        for row in measure_null(
            layer, null, draw, basis_dim=basis_dim, null_draws=null_draws, seed=seed, **guards
        )
    ]


def measure_null(
    layer: int,
    null: str,
    draw: Draw,
    *,
    basis_dim: int,
    null_draws: int = NULL_DRAWS,
    seed: int = 0,
    **guards: float,
) -> list[Row]:
    """The rows of one kind of random layer, which `draw` draws; otherwise as `measure_nulls`."""
    measured = [
        compared_with_chance(draw(np.random.default_rng(stream)), max_dim=basis_dim, **guards)
        for stream in layer_seed(seed, f"{null}_null", layer).spawn(null_draws)
    ]
    return [
        {"layer": layer, "quantity": quantity, "null": null}
        | _spread([numbers[quantity] for numbers in measured])
        for quantity in QUANTITIES
    ]


def _draws(layer: int, operators: HeadOperators, model: ModelHeads) -> dict[str, Draw]:
    """The nulls that a layer has, by name."""

    def of_other_layers(generator: np.random.Generator) -> HeadOperators:
        drawn = draw_foreign_groups(layer, model.layers, model.n_groups, generator)
        return with_norms_of(operators, model.groups(drawn))

    draws: dict[str, Draw] = {"haar": lambda generator: haar_conjugated(operators, generator)}
    if not model.trained:  # it is itself a draw of the others
        return draws
    draws["gaussian"] = lambda generator: gaussian_factors(operators, generator)
    law = model.initial_law(layer)
    if law is not None:
        draws["init"] = lambda generator: initial_factors(operators, generator, **law)
    if len(model.layers) > 1:
        draws["layers"] = of_other_layers
    return draws


def _spread(values: Sequence[float]) -> dict[str, object]:
    """Mean and standard deviation over the draws that have the quantity, and how many they are."""
    known = [value for value in values if not math.isnan(value)]
    return {
        "mean": float(np.mean(known)) if known else math.nan,
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else math.nan,
        "n": len(known),
    }
