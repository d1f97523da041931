r"""Structure constants of a layer's basis and how far its span is from closed.

With P the orthogonal projection onto the span of the basis, :math:`P[E_a,E_b] = \sum_c f_{abc}
E_c` and :math:`f_{abc} = <[E_a,E_b], E_c>`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.basis import basis_elements
from headalgebra.algebra.gram import GramBlocks
from headalgebra.defaults import CANCELLATION_BELOW, WELL_BELOW
from headalgebra.rounding import ROUNDING_MARGIN, UNIT_ROUNDOFF


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
    def abelian(self) -> bool:
        """Whether the n² brackets of unit operators are no more than the rounding of zeros.

        Then f is rounding as well, and no ratio of it means anything.
        """
        unit = UNIT_ROUNDOFF[self.f.dtype]
        rounding = ROUNDING_MARGIN * unit * self.kappa * len(self.f)
        return not self.commutator_squared > rounding**2

    @property
    def closure_defect(self) -> float:
        """χ, the share of the brackets that leaves the span; not a number if all vanish."""
        if self.abelian:
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
    well_below: float = WELL_BELOW,
    cancellation_below: float = CANCELLATION_BELOW,
) -> StructureConstants:
    """Structure constants by r×r blocks, or from dense operators where blocks lose digits.

    The blocks are those of the heads, not of the basis: their rounding error is multiplied by
    κ³ in f and κ⁴ in the squared commutators. Outside the well-conditioned band, and where the
    commutators are a small difference of large products, the basis elements are formed
    (n d² numbers, n² d³ flops).
    """
    if kappa_used < well_below:
        form = _from_blocks if blocks.operators.own_keys else _from_shared_blocks
        constants, products_squared = form(blocks, coefficients, kappa_used)
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
    squared = torch.zeros((), dtype=torch.float64, device=elements.device)
    for a in range(n):
        for b in range(a + 1, n):
            bracket = elements[a] @ elements[b] - elements[b] @ elements[a]
            f[a, b] = flat @ bracket.flatten()
            # By rows first: a sum over all d² entries in float32 would lose digits.
            squared += 2 * torch.linalg.vector_norm(bracket, dim=1).double().square().sum()
    return StructureConstants(f - f.transpose(0, 1), float(squared), d, kappa)


def projected_bracket(
    blocks: GramBlocks, coefficients: Float[Tensor, "n H"]
) -> Float[Tensor, "n n n"]:
    """The structure constants f alone, by r×r blocks: 2 (Hr)³ flops, (Hr)² numbers held.

    For bases whose condition is known to be good: the rounding error grows as its cube, and
    nothing is recomputed (see :func:`structure_constants`).
    """
    KK = _rows(blocks.KK_of_heads())
    T = KK.new_zeros(len(KK), len(KK), len(KK))
    for k, U in enumerate(_left_words(blocks)):
        T[:, k] = _block_sums(U.mul_(KK[k]))
    return _skew(T, coefficients)


def _from_blocks(
    blocks: GramBlocks, coefficients: Float[Tensor, "n H"], kappa: float
) -> tuple[StructureConstants, float]:
    r"""Structure constants and :math:`\sum_{ab} (||E_aE_b||^2 + ||E_bE_a||^2)`.

    With :math:`T_{hkl} = <A_hA_k, A_l>` and :math:`P = \sum_a c_a c_a^T`,

    .. math:: \sum_{ab} ||[E_a,E_b]||^2 = 2 \sum_{hklm} (P_{hl}P_{km} - P_{hm}P_{kl})
              <A_hA_k, A_lA_m>.

    The summands do not change under (h,k) ↔ (l,m), so m ≥ k is enough: 3 (Hr)³ + H⁴r² flops.
    """
    n_heads, r = blocks.operators.n_heads, blocks.operators.d_head
    KK, M = _rows(blocks.KK_of_heads()), _rows(blocks.M_of_heads())
    by_key = KK.view(n_heads, r, n_heads, r).transpose(1, 2)
    by_column = M.view(n_heads * r, n_heads, r).permute(1, 2, 0)  # [m, :, (l, :)], M_lm^T
    P = coefficients.T @ coefficients
    T = KK.new_zeros(n_heads, n_heads, n_heads)
    straight, crossed = KK.new_zeros(()), KK.new_zeros(())
    for k, U in enumerate(_left_words(blocks)):
        weight = KK.new_full((n_heads - k,), 2.0)
        weight[0] = 1.0
        # V[m, :, l] = (M_lm KK_mk)^T, so that <A_hA_k, A_lA_m> is the sum of U[h, :, l] V[m, :, l].
        V = torch.bmm(by_key[k, k:], by_column[k:])
        inner = ((weight * P[k, k:]) @ V.flatten(1)).view(r, n_heads * r)
        V *= (P[k:] @ U.flatten(1)).view_as(V)
        crossed += weight @ _block_sums(V) @ P[k]
        straight += (P * _block_sums(U * inner)).sum()
        T[:, k] = _block_sums(U.mul_(KK[k]))
    constants = StructureConstants(
        f=_skew(T, coefficients),
        commutator_squared=2 * float(straight - crossed),
        d_model=blocks.operators.d_model,
        kappa=kappa,
    )
    return constants, 2 * float(straight)


def _from_shared_blocks(
    blocks: GramBlocks, coefficients: Float[Tensor, "n H"], kappa: float
) -> tuple[StructureConstants, float]:
    r"""The same as `_from_blocks` where heads share keys, in about 4 G H² r³ flops for G keys.

    Products with blocks of the queries are formed for some heads at a time.

    In ``<A_hA_k, A_lA_m> = tr(M_hk^T QQ_hl M_lm KK_mk)`` only QQ has a block for every two heads.
    Of the heads k on one key, and with g(h) the key of h, the sums of `_from_blocks` need

    .. math:: D_{hg} = \sum_m P_{hm} M_{gm} KK_{g(m),g(k)}, \qquad C_{gl} = \sum_k P_{kl} M_{gk}.
    """
    QQ, KK, M = blocks.QQ(), blocks.KK(), blocks.M()
    of_head, r = blocks.operators.key_of_head, blocks.operators.d_head
    n_heads, n_keys = len(QQ), len(KK)
    P = coefficients.T @ coefficients
    strips = blocks.operators.strips(n_heads * r * r)
    # By key on either side: the sum of P_hl QQ_hl over the heads h on one and l on another.
    by_key = QQ.new_zeros(n_keys, n_heads, r, r)
    for strip in strips:
        by_key.index_add_(0, of_head[strip], QQ[strip] * P[strip][:, :, None, None])
    R = QQ.new_zeros(n_keys, n_keys, r, r).index_add_(1, of_head, by_key)
    T = KK.new_zeros(n_heads, n_heads, n_heads)
    straight, crossed = KK.new_zeros(()), KK.new_zeros(())
    for key in range(n_keys):
        heads = (of_head == key).nonzero()[:, 0]
        M_of_key, KK_of_key = M[:, heads], KK[of_head, key]
        D = torch.tensordot(P, M @ KK_of_key, ([1], [1]))
        C = torch.tensordot(M_of_key, P[heads], ([1], [0])).permute(0, 3, 1, 2)
        straight += (M_of_key * torch.einsum("gcij,kcjl->gkil", R, D[heads])).sum()
        for strip in strips:
            at_key = of_head[strip]
            crossed += (C[at_key] * (QQ[strip] @ D[strip][:, of_head])).sum()
            words = (QQ[strip] @ KK_of_key).flatten(2)
            T[strip, heads] = torch.bmm(M_of_key[at_key].flatten(2), words.mT)
    constants = StructureConstants(
        f=_skew(T, coefficients),
        commutator_squared=2 * float(straight - crossed),
        d_model=blocks.operators.d_model,
        kappa=kappa,
    )
    return constants, 2 * float(straight)


def _left_words(blocks: GramBlocks) -> Iterator[Float[Tensor, "H r Hr"]]:
    """``U[h, :, l] = M_hk^T QQ_hl`` for every k, so that ``<A_hA_k, A_l> = tr(U[h, :, l] KK_lk)``.

    Each is the caller's to overwrite.
    """
    QQ, M = _rows(blocks.QQ()), blocks.M_of_heads()
    for k in range(len(QQ)):
        yield torch.bmm(M[:, k].mT, QQ)


def _rows(blocks: Float[Tensor, "H H r r"]) -> Float[Tensor, "H r Hr"]:
    """Rows of blocks as strips, side by side; a view of a whole Gram matrix."""
    n_heads, _, r, _ = blocks.shape
    return blocks.transpose(1, 2).reshape(n_heads, r, n_heads * r)


def _block_sums(strips: Float[Tensor, "m r Hr"]) -> Float[Tensor, "m H"]:
    m, r, width = strips.shape
    return strips.view(m, r, width // r, r).sum((1, 3))


def _skew(T: Float[Tensor, "H H H"], coefficients: Float[Tensor, "n H"]) -> Float[Tensor, "n n n"]:
    """f from :math:`T_{hkl} = <A_hA_k, A_l>`."""
    by_basis = torch.einsum("hkl,ah,bk,cl->abc", T, coefficients, coefficients, coefficients)
    return by_basis - by_basis.transpose(0, 1)
