"""Scores of factors, and how far two evaluations of them can be apart."""

import torch
from torch import Tensor

from headalgebra.checkpoints import LayerFactors

UNIT = 2.0**-53
TABLE_UNIT = 2.0**-24
"""Rotary tables, and norms without a mean, are computed in float32 whatever the model's type."""


def scores(inputs: Tensor, factors: LayerFactors) -> Tensor:
    """Scores [H, n, n] of all pairs of inputs [n, d]."""
    queries = inputs @ factors.queries
    keys = (inputs @ factors.keys)[factors.key_of_head]
    return queries @ keys.mT


def absolute(factors: LayerFactors) -> LayerFactors:
    """Factors of the absolute values."""
    return LayerFactors(factors.queries.abs(), factors.keys.abs(), factors.key_of_head)


def gamma(terms: int, unit: float = UNIT) -> float:
    """Relative error of an inner product of so many terms (Higham 2002, section 3.1)."""
    return terms * unit / (1 - terms * unit)


def score_rounding(
    inputs: Tensor, factors: LayerFactors, *, more_terms: int = 0, unit: float = UNIT
) -> Tensor:
    """Bound on the difference of two evaluations of the scores, in any summation order.

    Each evaluation nests inner products of length d, d and r, so it is off by at most
    gamma(2d + r) times the scores of the absolute values (Higham 2002, section 3.5); `more_terms`
    are those of what else is computed.
    """
    terms = 2 * factors.queries.shape[1] + factors.queries.shape[2] + more_terms
    return 2 * gamma(terms, unit) * scores(inputs.abs(), absolute(factors))


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
