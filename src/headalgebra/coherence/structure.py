r"""Structure constants of a layer's basis and how far its span is from closed.

With P the orthogonal projection onto the span of the basis, :math:`P[E_a,E_b] = \sum_c f_{abc}
E_c` and :math:`f_{abc} = <[E_a,E_b], E_c>`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.basis import basis_elements
from headalgebra.operators import GramBlocks
from headalgebra.rounding import ROUNDING_MARGIN, UNIT_ROUNDOFF

UNIT = UNIT_ROUNDOFF[torch.float64]


@dataclass(frozen=True)
class StructureConstants:
    r"""Projected bracket of a basis, and the size of the unprojected one.

    Attributes
    ----------
    f
        ``[n, n, n]``, :math:`f_{abc} = <[E_a,E_b],E_c>`, skew in the first two indices.
    commutator_squared
        :math:`\sum_{ab} ||[E_a,E_b]||^2`.
    d_model
        Dimension the operators act on.
    kappa
        Condition number of the basis: its elements carry that multiple of the unit roundoff.
    """

    f: Float[Tensor, "n n n"]
    commutator_squared: float
    d_model: int
    kappa: float

    @property
    def vanish(self) -> bool:
        """Whether the n² brackets of unit operators are no more than the rounding of zeros.

        Then f is rounding as well, and no ratio of it means anything.
        """
        rounding = ROUNDING_MARGIN * UNIT * self.kappa * len(self.f)
        return not self.commutator_squared > rounding**2

    @property
    def closure_defect(self) -> float:
        """χ, the share of the brackets that leaves the span; not a number if all vanish."""
        if self.vanish:
            return math.nan
        return 1.0 - float(self.f.square().sum()) / self.commutator_squared

    @property
    def closure_isotropy(self) -> float:
        """(1 - χ) d²/n, which is 1 when the brackets point anywhere in R^{d×d} alike."""
        return (1.0 - self.closure_defect) * self.d_model**2 / max(len(self.f), 1)


def structure_constants(
    blocks: GramBlocks,
    coefficients: Float[Tensor, "n H"],
    *,
    kappa_used: float,
    well_below: float,
    cancellation_below: float,
) -> StructureConstants:
    """Structure constants by r×r blocks, or from dense operators where blocks lose digits.

    The blocks are those of the heads, not of the basis: their rounding error is multiplied by
    κ³ in f and κ⁴ in the squared commutators. Outside the well-conditioned band, and where the
    commutators are a small difference of large products, the basis elements are formed
    (n d² numbers, n² d³ flops).
    """
    if kappa_used < well_below:
        constants, products_squared = _from_blocks(blocks, coefficients, kappa_used)
        if constants.commutator_squared > cancellation_below * products_squared:
            return constants
    return dense_structure_constants(basis_elements(blocks.operators, coefficients), kappa_used)


def dense_structure_constants(
    elements: Float[Tensor, "n d d"], kappa: float = 1.0
) -> StructureConstants:
    """Structure constants of dense orthonormal operators, one bracket at a time.

    ``kappa`` is the condition number of what the elements were computed from.
    """
    n, d, _ = elements.shape
    flat = elements.reshape(n, d * d)
    f = elements.new_zeros(n, n, n)
    squared = 0.0
    for a in range(n):
        for b in range(a + 1, n):
            bracket = elements[a] @ elements[b] - elements[b] @ elements[a]
            f[a, b] = flat @ bracket.flatten()
            squared += 2 * float(bracket.square().sum())
    return StructureConstants(f - f.transpose(0, 1), squared, d, kappa)


def _from_blocks(
    blocks: GramBlocks, coefficients: Float[Tensor, "n H"], kappa: float
) -> tuple[StructureConstants, float]:
    r"""Structure constants and :math:`\sum_{ab} (||E_aE_b||^2 + ||E_bE_a||^2)`, 8 (Hr)³ flops.

    With :math:`T_{hkl} = <A_hA_k, A_l>` and :math:`P = \sum_a c_a c_a^T`,

    .. math:: \sum_{ab} ||[E_a,E_b]||^2 = 2 \sum_{hklm} (P_{hl}P_{km} - P_{hm}P_{kl})
              <A_hA_k, A_lA_m>.
    """
    n_heads, r = blocks.operators.n_heads, blocks.operators.d_head
    QQ, KK, M = blocks.QQ(), blocks.KK_of_heads(), blocks.M_of_heads()
    P = coefficients.T @ coefficients
    T = QQ.new_zeros(n_heads, n_heads, n_heads)
    straight = crossed = 0.0
    for k in range(n_heads):
        # U[h, l] = M_hk^T QQ_hl, so that <A_hA_k, A_lA_m> = tr(U[h, l] M_lm KK_mk).
        U = M[:, k].mT[:, None] @ QQ
        T[:, k] = torch.einsum("hlxy,lxy->hl", U, KK[k])
        # V[l, m] = (M_lm KK_mk)^T
        V = KK[k] @ M.mT
        straight += float(
            torch.einsum(
                "lxy,lxy->",
                torch.einsum("hl,hlxy->lxy", P, U),
                torch.einsum("m,lmxy->lxy", P[k], V),
            )
        )
        mixed = (P @ U.reshape(n_heads, -1)).view(n_heads, n_heads, r, r)
        crossed += float(torch.einsum("l,mlxy,lmxy->", P[k], mixed, V))
    by_basis = torch.einsum("hkl,ah,bk,cl->abc", T, coefficients, coefficients, coefficients)
    constants = StructureConstants(
        f=by_basis - by_basis.transpose(0, 1),
        commutator_squared=2 * (straight - crossed),
        d_model=blocks.operators.d_model,
        kappa=kappa,
    )
    return constants, 2 * straight
