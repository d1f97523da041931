"""Scores of factors, and how far two evaluations of them can be apart."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headalgebra.checkpoints import Checkpoint, LayerFactors
from headalgebra.checkpoints._assembly import Weights, assemble
from headalgebra.checkpoints._families import Norm, Projection
from headalgebra.checkpoints.convention import Convention

UNIT = 2.0**-53
TABLE_UNIT = 2.0**-24
"""Rotary tables, and norms without a mean, are computed in float32 whatever the model's type."""


def scores(inputs: Tensor, factors: LayerFactors) -> Tensor:
    """Scores [H, n, n] of all pairs of inputs [n, d]."""
    queries = inputs @ factors.queries
    keys = (inputs @ factors.keys)[factors.key_of_head]
    return queries @ keys.mT


@dataclass(frozen=True)
class AbsoluteWeights(Weights):
    """The absolute values of weights, and of the means that are taken off the columns of some."""

    weights: Weights
    centred: frozenset[str]

    def heads(self, projection: Projection) -> Tensor:
        """Of a projection."""
        heads = self.weights.heads(projection).abs()
        mean = heads.mean(dim=2, keepdim=True)
        return heads + mean if projection.heads.tensor in self.centred else heads

    def gamma(self, norm: Norm) -> Tensor:
        """Of a normalisation."""
        return self.weights.gamma(norm).abs()


def absolute_factors(checkpoint: Checkpoint, layer: int) -> LayerFactors:
    """What the absolute values of a layer's weights give without options, in float64.

    Nothing in them cancels, so they bound what rounding can do on the way to the factors.
    """
    circuit = Convention(circuit=checkpoint.convention.circuit)
    means = set()

    def uncentred(side: Projection) -> Projection:
        if side.norm is None or not side.norm.centred:
            return side
        means.add(side.heads.tensor)
        return replace(side, norm=replace(side.norm, centred=False))

    described = checkpoint.layers[layer]
    described = replace(
        described, queries=uncentred(described.queries), keys=uncentred(described.keys)
    )
    weights = AbsoluteWeights(checkpoint._weights(layer), frozenset(means))
    return assemble(weights, described, checkpoint, circuit).astype("float64")


def gamma(terms: int, unit: float = UNIT) -> float:
    """Relative error of an inner product of so many terms (Higham 2002, section 3.1)."""
    return terms * unit / (1 - terms * unit)


def score_rounding(
    inputs: Tensor, bounds: LayerFactors, *, more_terms: int = 0, unit: float = UNIT
) -> Tensor:
    """Bound on the difference of two evaluations of the scores, in any summation order.

    Each evaluation nests inner products of length d, d and r, so it is off by at most
    gamma(2d + r) times the scores of the absolute values, `bounds` (Higham 2002, section 3.5).
    `more_terms` are those of what else is computed: norms, and products with narrow spaces.
    """
    terms = 2 * bounds.queries.shape[1] + bounds.queries.shape[2] + more_terms
    return 2 * gamma(terms, unit) * scores(inputs.abs(), bounds)


def rotation_rounding(queries: Tensor, keys: Tensor, positions: Tensor) -> Tensor:
    """Bound on what float32 tables of sines and cosines change in scores [H, n, n].

    The angle of a position m is off by m units, frequencies being at most 1, and its sine and
    cosine by one more each, so a rotated row [r] moves by at most (m + 2) times sqrt(2) units of
    its length. First order in the unit; doubled for the rest.
    """
    moved = 2**0.5 * (positions + 2) * TABLE_UNIT
    lengths = queries.norm(dim=2)[:, :, None] * keys.norm(dim=2)[:, None, :]
    return 2 * (moved[:, None] + moved[None, :]) * lengths


def deviation(found: Tensor, expected: Tensor) -> float:
    """Relative difference of two sets of scores."""
    return float((found - expected).norm() / expected.norm())


def random_inputs(n: int, d: int, seed: int = 1) -> Tensor:
    """Rows [n, d]."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
