r"""Non-commutativity of the heads of a layer: ε, ε̂ and the pairs behind them (paper, section 1).

Frobenius norms of :math:`[A_i, A_j]` come from r×r blocks. Where the two products nearly cancel,
the pair is recomputed from thin QR factors, which loses no more digits than dense float64 does.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headalgebra.algebra.gram import GramBlocks
from headalgebra.algebra.nulls import haar_commutator_norm
from headalgebra.defaults import CANCELLATION_BELOW


@dataclass(frozen=True)
class PairCommutators:
    """Commutators of all P = H(H-1)/2 head pairs i < j of a layer.

    Attributes
    ----------
    i, j
        ``[P]``, the heads of each pair, in the order of the upper triangle's rows.
    norm
        ``[P]``, :math:`||[A_i, A_j]||_F`.
    relative
        ``[P]``, the same over :math:`||A_i||_F ||A_j||_F`, in [0, √2] (Böttcher and Wenzel,
        2008); not a number where a head is zero.
    haar
        ``[P]``, root mean square of the norm under random relative orientation
        (:func:`headalgebra.algebra.nulls.haar_commutator_norm`).
    """

    i: Int[Tensor, "P"]
    j: Int[Tensor, "P"]
    norm: Float[Tensor, "P"]
    relative: Float[Tensor, "P"]
    haar: Float[Tensor, "P"]
    d_model: int

    @property
    def epsilon(self) -> float:
        """ε: mean norm over the model dimension d; not a number for a single head."""
        return float(self.norm.mean()) / self.d_model

    @property
    def epsilon_relative(self) -> float:
        """ε̂: mean relative norm; not a number for a single head or where a head is zero."""
        return float(self.relative.mean())

    @property
    def epsilon_haar(self) -> float:
        """ε that chance alone gives operators of these spectra."""
        return float(self.haar.mean()) / self.d_model


def pair_commutators(
    blocks: GramBlocks, *, cancellation_below: float = CANCELLATION_BELOW
) -> PairCommutators:
    """Commutator norms of every head pair of a layer, with their Haar null.

    ``cancellation_below`` is the ratio of the squared commutator norm to
    :math:`||A_iA_j||^2 + ||A_jA_i||^2` under which a pair is recomputed from QR factors.
    """
    i, j = torch.triu_indices(
        blocks.operators.n_heads,
        blocks.operators.n_heads,
        offset=1,
        device=blocks.query_gram.device,
    )
    norm = commutator_norms(blocks, cancellation_below=cancellation_below)[i, j]
    squared_norm = blocks.inner_products().diagonal()
    diagonal = blocks.diagonal_M()
    trace = diagonal.diagonal(dim1=-2, dim2=-1).sum(-1)
    trace_of_square = (diagonal * diagonal.mT).sum((-2, -1))
    haar = haar_commutator_norm(
        (squared_norm[i], trace[i], trace_of_square[i]),
        (squared_norm[j], trace[j], trace_of_square[j]),
        blocks.operators.d_model,
    )
    relative = norm / (squared_norm[i] * squared_norm[j]).sqrt()
    return PairCommutators(i, j, norm, relative, haar, blocks.operators.d_model)


def commutator_norms(
    blocks: GramBlocks, *, cancellation_below: float = CANCELLATION_BELOW
) -> Float[Tensor, "H H"]:
    """:math:`||[A_i, A_j]||_F` above the diagonal, zero elsewhere.

    Beyond the Gram products this costs about 6 H² r³ flops, r/d of them.
    """
    product_squared, overlap = _products_and_overlaps(blocks)
    total = product_squared + product_squared.T
    squared = (total - 2 * overlap).triu(1)
    cancelled = (squared < cancellation_below * total).triu(1)
    # A pair of vanishing products commutes exactly; QR factors would say the same.
    cancelled &= total > 0
    norms = squared.clamp(min=0).sqrt()
    for i, j in cancelled.nonzero().tolist():
        norms[i, j] = _commutator_norm_from_qr(blocks, i, j)
    return norms


def _products_and_overlaps(blocks: GramBlocks) -> tuple[Tensor, Tensor]:
    """``||A_i A_j||²`` for all i, j and ``<A_i A_j, A_j A_i>`` for i < j."""
    QQ, KK, M = blocks.QQ(), blocks.KK(), blocks.M()
    operators = blocks.operators
    n_heads, r, of_head = operators.n_heads, operators.d_head, operators.key_of_head
    key_diagonal = KK[of_head, of_head]
    product_squared = M.new_zeros(n_heads, n_heads)
    overlap = M.new_zeros(n_heads, n_heads)
    # One head's strip of blocks at a time stays in the cache, and blocks by head, which repeat
    # those of shared keys, are in memory for one strip only.
    for i, key in enumerate(of_head.tolist()):
        later = slice(i + 1, None) if operators.own_keys else of_head[i + 1 :]
        left = torch.bmm(QQ[i, i].expand(n_heads, r, r), M[key])
        right = torch.bmm(M[key], key_diagonal)
        product_squared[i] = torch.linalg.vecdot(left.flatten(1), right.flatten(1))
        left = torch.bmm(QQ[i, i + 1 :], M[later, i])
        right = torch.bmm(M[key, i + 1 :], KK[later, key])
        overlap[i, i + 1 :] = torch.linalg.vecdot(left.flatten(1), right.flatten(1))
    return product_squared, overlap


def _commutator_norm_from_qr(blocks: GramBlocks, i: int, j: int) -> Tensor:
    """``||R_1 diag(M_ij, -M_ji) R_2^T||`` from thin QRs of [Q_i Q_j] and [K_j K_i]."""
    operators = blocks.operators
    key_i, key_j = (int(operators.key_of_head[h]) for h in (i, j))
    queries, keys, M = operators.queries, operators.keys, blocks.M()
    _, left = torch.linalg.qr(torch.cat([queries[i], queries[j]], dim=1), mode="r")
    _, right = torch.linalg.qr(torch.cat([keys[key_j], keys[key_i]], dim=1), mode="r")
    core = torch.block_diag(M[key_i, j], -M[key_j, i])
    return torch.linalg.matrix_norm(left @ core @ right.T)
