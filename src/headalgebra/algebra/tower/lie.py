"""The Lie level: the span of the heads and their commutators."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.gram import GramBlocks
from headalgebra.rounding import ROUNDING_MARGIN, UNIT_ROUNDOFF

LIE_TOLERANCE = 1e-6
"""Singular values of the unit elements up to this share of the largest count as zero."""

LOST_BRACKET = 1e-8
"""Squared brackets below this share of their terms' have lost too many digits to span with."""


@dataclass(frozen=True)
class LieSpan:
    """Span of the heads and their commutators.

    Attributes
    ----------
    rank
        Dimension of the span of the unit-normalised {A_h, [A_i, A_j]}.
    n_elements
        How many of these are not zero.
    tolerance
        Singular values up to this share of the largest count as zero: :data:`LIE_TOLERANCE`, or
        more where brackets are so small beside their products that their digits are fewer.
    n_lost
        Brackets left out because cancellation leaves less than :data:`LOST_BRACKET` of them.
    """

    rank: int
    n_elements: int
    tolerance: float
    n_lost: int


def lie_span(blocks: GramBlocks) -> LieSpan:
    """Rank of the Gram matrix of the heads and their commutators, in r×r blocks.

    Costs 4 H³ r³ + 2 H⁴ r² flops.
    """
    n_heads = blocks.operators.n_heads
    inner = blocks.inner_products()
    of_heads, of_products = _word_products(blocks)
    i, j = torch.triu_indices(n_heads, n_heads, offset=1, device=inner.device)
    # <[A_i,A_j], A_l> and <[A_i,A_j],[A_k,A_l]>, the brackets as differences of two words.
    mixed = of_heads[i, j] - of_heads[j, i]
    ahead, behind = of_products[i, j], of_products[j, i]
    straight, reversed_ = ahead[:, i, j], behind[:, j, i]
    brackets = straight - ahead[:, j, i] - behind[:, i, j] + reversed_
    terms = straight.diagonal() + reversed_.diagonal()
    squares = brackets.diagonal()
    rounding = ROUNDING_MARGIN * UNIT_ROUNDOFF[torch.float64]
    commute = squares <= rounding * terms
    lost = ~commute & (squares <= LOST_BRACKET * terms)
    used = ~(commute | lost)
    gram = torch.cat(
        [torch.cat([inner, mixed.T[:, used]], 1), torch.cat([mixed, brackets[:, used]], 1)[used]]
    )
    gram = gram[gram.diagonal() > 0][:, gram.diagonal() > 0]
    if not len(gram):
        return LieSpan(0, 0, LIE_TOLERANCE, int(lost.sum()))
    unit = gram.diagonal().rsqrt()
    eigenvalues = torch.linalg.eigvalsh(unit[:, None] * (gram + gram.T) / 2 * unit)
    smallest_share = float((squares / terms)[used].amin()) if used.any() else 1.0
    tolerance = max(LIE_TOLERANCE, math.sqrt(rounding / smallest_share))
    rank = int((eigenvalues > tolerance**2 * eigenvalues[-1]).sum())
    return LieSpan(rank, len(gram), tolerance, int(lost.sum()))


def _word_products(blocks: GramBlocks) -> tuple[Float[Tensor, "H H H"], Float[Tensor, "H H H H"]]:
    """``<A_i A_j, A_l>`` at [i, j, l] and ``<A_i A_j, A_k A_l>`` at [i, j, k, l]."""
    QQ, KK, M = blocks.QQ(), blocks.KK_of_heads(), blocks.M_of_heads()
    n_heads, r = blocks.operators.n_heads, blocks.operators.d_head
    of_heads = QQ.new_zeros(n_heads, n_heads, n_heads)
    of_products = QQ.new_zeros(n_heads, n_heads, n_heads, n_heads)
    for j in range(n_heads):
        left = M[:, j].mT[:, None] @ QQ  # [i, k]: M_ijᵀ QQ_ik
        right = M @ KK[:, j]  # [k, l]: M_kl KK_lj
        of_heads[:, j] = torch.einsum("ilxy,lyx->il", left, KK[:, j])
        by_k = left.reshape(n_heads, n_heads, r * r).transpose(0, 1)
        words = by_k @ right.mT.reshape(n_heads, n_heads, r * r).mT  # [k, i, l]
        of_products[:, j] = words.transpose(0, 1)
    return of_heads, of_products
