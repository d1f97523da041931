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
    pooled_factors,
    with_norms_of,
)
from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import FactorInitialisation, LayerFactors
from headalgebra.defaults import NULL_DRAWS
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed

INTERVAL = (0.025, 0.975)
"""Quantiles of the draws between which 95 % of them lie."""

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
    draws = null_draws_of_heads(operators)
    if model.trained:  # otherwise it is itself a draw of the others
        draws |= _draws_of_a_trained_model(layer, operators, model)
    return compare_with_nulls(
        layer, operators, draws, basis_dim=basis_dim, null_draws=null_draws, seed=seed, **guards
    )


def null_draws_of_heads(operators: HeadOperators) -> dict[str, Draw]:
    """The nulls that need nothing but the heads themselves, the first to look at first."""
    return {
        "pooled": lambda generator: pooled_factors(operators, generator),
        "haar": lambda generator: haar_conjugated(operators, generator),
    }


def compare_with_nulls(
    layer: int,
    operators: HeadOperators,
    draws: Mapping[str, Draw],
    *,
    basis_dim: int,
    null_draws: int = NULL_DRAWS,
    seed: int = 0,
    **guards: float,
) -> list[Row]:
    """A layer's own heads among those that each null draws; otherwise as `measure_nulls`."""
    own = compared_with_chance(operators, max_dim=basis_dim, **guards)
    rows: list[Row] = []
    for null, draw in draws.items():
        drawn = [
            compared_with_chance(draw(np.random.default_rng(stream)), max_dim=basis_dim, **guards)
            for stream in layer_seed(seed, f"{null}_null", layer).spawn(null_draws)
        ]
        rows += [
            {"layer": layer, "quantity": quantity, "null": null}
            | _among(own[quantity], [numbers[quantity] for numbers in drawn])
            for quantity in QUANTITIES
        ]
    return rows


def _draws_of_a_trained_model(
    layer: int, operators: HeadOperators, model: ModelHeads
) -> dict[str, Draw]:
    """The nulls that are no draw of the layer's own, where its model is trained."""

    def of_other_layers(generator: np.random.Generator) -> HeadOperators:
        drawn = draw_foreign_groups(layer, model.layers, model.n_groups, generator)
        return with_norms_of(operators, model.groups(drawn))

    draws: dict[str, Draw] = {"gaussian": lambda generator: gaussian_factors(operators, generator)}
    law = model.initial_law(layer)
    if law is not None:
        draws["init"] = lambda generator: initial_factors(operators, generator, **law)
    if len(model.layers) > 1:
        draws["layers"] = of_other_layers
    return draws


def _among(own: float, drawn: Sequence[float]) -> Row:
    """A number among those of random layers that have the quantity."""
    known = np.array([value for value in drawn if not math.isnan(value)])
    n = len(known)
    low, high = np.quantile(known, INTERVAL) if n else (math.nan, math.nan)
    p_value = math.nan
    if n and not math.isnan(own):
        side = min(int((known <= own).sum()), int((known >= own).sum()))
        p_value = min(1.0, 2 * (1 + side) / (n + 1))
    return {
        "mean": float(np.mean(known)) if n else math.nan,
        "sd": float(np.std(known, ddof=1)) if n > 1 else math.nan,
        "low": float(low),
        "high": float(high),
        "p_value": p_value,
        "n": n,
    }
