r"""Layers made to measure: of a prescribed condition number, or Gaussian of any size.

Their numbers are known from how they are made, so that an extraction can be held against the truth
and not only against another extraction.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.operators import HeadOperators

ELEMENTS = ("even", "uneven")

DILUTION = 0.65
"""Of the Gaussian factors beside the pair of uneven elements, when their own are 1."""


@dataclass(frozen=True)
class ConstructedLayer:
    """A layer and the orthonormal basis that it was mixed from.

    Attributes
    ----------
    operators
        The heads, as many as there are elements, on one shared key factor.
    elements
        ``[n, d, d]``, orthonormal in the Frobenius product, and up to signs the basis that the
        heads' singular vectors give.
    """

    operators: HeadOperators
    elements: Float[Tensor, "n d d"]


def conditioned_layer(
    kappa: float, n: int, d: int, *, elements: str, seed: np.random.SeedSequence
) -> ConstructedLayer:
    r"""A layer of n heads whose stacked operators have the condition number kappa.

    The heads are :math:`A_h = \sum_a U_{ha} σ_a E_a` with U Haar-orthogonal and σ falling evenly on
    a logarithmic scale from 1 to 1/κ, so that the singular vectors, all apart, lead back to the E_a
    whatever κ is: only the arithmetic can lose them.

    Parameters
    ----------
    kappa
        Condition number, above 1.
    n, d
        Heads, and rows of each operator; each E_a mixes n products of rank d // n.
    elements
        ``even``: Gaussian factors, so that all brackets are of one size. ``uneven``: to the first
        two products is added an orthonormal pair x yᵀ, y xᵀ, which like raising and lowering
        operators commute with each other least of all. For n = 12 and d = 32 the squared norms of
        the triples then have a coefficient of variation of about 4, nearly that of the first
        layer of all-MiniLM-L6-v2.

    Raises
    ------
    ValueError
        When kappa is not above 1, n is not in 2..d, or ``elements`` is neither word.
    """
    if not kappa > 1 or not 2 <= n <= d or elements not in ELEMENTS:
        raise ValueError(f"kappa = {kappa}, n = {n}, d = {d}, elements = {elements}: no such layer")
    generator = np.random.default_rng(seed)
    rank = d // n
    left, right = (generator.standard_normal((n, d, rank)) for _ in range(2))
    if elements == "uneven":
        pair = np.linalg.qr(generator.standard_normal((d, 2)))[0].T * math.sqrt(d)
        left[:2] *= DILUTION
        right[:2] *= DILUTION
        left[:2, :, 0] += pair
        right[:2, :, 0] += pair[::-1]
    products = np.einsum("adr,aer->ade", left, right)
    gram = np.einsum("ade,bde->ab", products, products)
    orthonormal = np.linalg.inv(np.linalg.cholesky(gram))
    rotation, triangle = np.linalg.qr(generator.standard_normal((n, n)))
    rotation = rotation * np.sign(np.diagonal(triangle))
    sigma = kappa ** -np.linspace(0, 1, n)
    mixture = (rotation * sigma) @ orthonormal
    queries = (mixture[:, :, None, None] * left).transpose(0, 2, 1, 3).reshape(n, d, n * rank)
    keys = right.transpose(1, 0, 2).reshape(1, d, n * rank)
    return ConstructedLayer(
        HeadOperators.from_factors(
            torch.from_numpy(queries), torch.from_numpy(keys), torch.zeros(n, dtype=torch.long)
        ),
        torch.from_numpy(np.einsum("ab,bde->ade", orthonormal, products)),
    )


def gaussian_layer(n: int, d: int, r: int, *, seed: np.random.SeedSequence) -> HeadOperators:
    """n heads with factors of independent normal entries, each of variance 1/d."""
    generator = np.random.default_rng(seed)
    queries, keys = (generator.standard_normal((n, d, r)) / math.sqrt(d) for _ in range(2))
    return HeadOperators.from_factors(torch.from_numpy(queries), torch.from_numpy(keys))
