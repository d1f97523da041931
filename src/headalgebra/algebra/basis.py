r"""Orthonormal basis of the span of a layer's head operators, and its conditioning (section 4).

The heads are vectors :math:`vec(A_h)` in R^{d²}; their singular values say how many directions the
layer really has and how well a basis of them can be computed.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.gram import GramBlocks
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import (
    DENSE_MAX_DIM,
    GRAM_FLOOR,
    POOR_FROM,
    RANK_CUTOFF,
    WELL_BELOW,
)

PANEL_NUMBERS = 8_000_000
"""Numbers held at once when the stacked operators are factorised, 64 MB."""


@dataclass(frozen=True)
class OperatorBasis:
    """Basis :math:`E_a = sum_h c_{ah} A_h` of the heads' span, orthonormal in Frobenius product.

    Attributes
    ----------
    singular_values
        ``[H]``, of the stacked operators, largest first.
    coefficients
        ``[n, H]``, the c above. Signs are fixed (the largest entry of each singular vector is
        positive); inside a cluster of equal singular values the basis is not unique.
    rank
        How many singular values exceed the cutoff.
    """

    singular_values: Float[Tensor, "H"]
    coefficients: Float[Tensor, "n H"]
    rank: int

    @property
    def dimension(self) -> int:
        """n, the number of basis elements kept."""
        return len(self.coefficients)

    @property
    def kappa(self) -> float:
        """Condition number of all directions above the cutoff; not a number at rank 0."""
        return self._condition_number(self.rank)

    @property
    def kappa_used(self) -> float:
        """Condition number of the directions kept; not a number at rank 0."""
        return self._condition_number(self.dimension)

    def _condition_number(self, directions: int) -> float:
        if directions == 0:
            return math.nan
        return float(self.singular_values[0] / self.singular_values[directions - 1])


def orthonormal_basis(
    blocks: GramBlocks,
    *,
    rank_cutoff: float = RANK_CUTOFF,
    gram_floor: float = GRAM_FLOOR,
    max_dim: int | None = None,
) -> OperatorBasis:
    """Singular values and leading basis elements of a layer.

    Parameters
    ----------
    blocks
        Gram blocks of the layer.
    rank_cutoff
        Directions with a singular value at most this fraction of the largest are dropped.
    gram_floor
        The Gram matrix of the operators squares their condition number. Where its smallest
        eigenvalue is below this fraction of the largest, the stacked operators themselves are
        factorised, panel of rows by panel of rows.
    max_dim
        Keep no more than this many leading directions.
    """
    gram = blocks.inner_products()
    eigenvalues, vectors = torch.linalg.eigh((gram + gram.T) / 2)
    if eigenvalues[0] < gram_floor * eigenvalues[-1]:
        singular_values, vectors = _svd_of_stacked_operators(blocks.operators)
    else:
        singular_values, vectors = eigenvalues.clamp(min=0).sqrt().flip(0), vectors.flip(1)
    rank = int((singular_values > rank_cutoff * singular_values[0]).sum())
    kept = rank if max_dim is None else min(rank, max_dim)
    leading = vectors[:, :kept]
    largest = leading.abs().argmax(dim=0, keepdim=True)
    leading = leading * leading.gather(0, largest).sign()
    return OperatorBasis(singular_values, (leading / singular_values[:kept]).T.contiguous(), rank)


def conditioning(
    kappa: float, *, well_below: float = WELL_BELOW, poor_from: float = POOR_FROM
) -> str:
    """Band of a condition number: ``well``, ``moderate`` or ``poor``; empty where there is none."""
    if math.isnan(kappa):
        return ""
    if kappa < well_below:
        return "well"
    return "moderate" if kappa < poor_from else "poor"


def extraction_route(
    dimension: int, band: str, *, exact_affordable: bool, dense_max_dim: int = DENSE_MAX_DIM
) -> str:
    """How L∞ data of a layer is extracted: ``dense``, ``sampled``, ``mixed`` (both) or ``exact``.

    The paper samples what it does not extract densely. Where every norm can be had exactly, nothing
    is left to chance.
    """
    if dimension > dense_max_dim or band == "poor":
        return "exact" if exact_affordable else "sampled"
    return "mixed" if band == "moderate" else "dense"


def basis_elements(
    operators: HeadOperators, coefficients: Float[Tensor, "n H"]
) -> Float[Tensor, "n d d"]:
    """The dense basis elements, n d² numbers."""
    d = operators.d_model
    elements = coefficients.new_empty(len(coefficients), d, d)
    for a, row in enumerate(coefficients):
        elements[a] = operators.combine(row)
    return elements


def _svd_of_stacked_operators(
    operators: HeadOperators,
) -> tuple[Float[Tensor, "H"], Float[Tensor, "H H"]]:
    """Singular values and right vectors of [vec A_1 … vec A_H], by QR of stacked row panels."""
    n_heads, d = operators.n_heads, operators.d_model
    rows = max(1, PANEL_NUMBERS // (n_heads * d))
    triangle = operators.query_matrix.new_zeros(0, n_heads)
    keys = operators.keys[operators.key_of_head]
    for start in range(0, d, rows):
        panel = operators.queries[:, start : start + rows] @ keys.mT
        stacked = torch.cat([triangle, panel.reshape(n_heads, -1).T])
        _, triangle = torch.linalg.qr(stacked, mode="r")
    _, singular_values, Vh = torch.linalg.svd(triangle, full_matrices=True)
    # Fewer than H rows when d² < H: the missing directions are exact zeros.
    missing = n_heads - len(singular_values)
    return torch.nn.functional.pad(singular_values, (0, missing)), Vh.T
