"""Gram matrices of a layer's factors, and their r×r blocks.

Every product of head operators is a chain of r×r blocks between query and key factors, so that
traces and norms of products need these blocks and no d×d matrix.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import BALANCE_ABOVE


@dataclass(frozen=True)
class GramBlocks:
    """Gram blocks of one layer: ``QQ_ij = Q_i^T Q_j``, ``KK_ij``, ``M_ij = K_i^T Q_j``.

    ``KK`` and the rows of ``M`` are indexed by key factor, not by head.

    Attributes
    ----------
    operators
        The factors the blocks were formed from, badly scaled heads rebuilt.
    query_gram
        ``[H*r, H*r]``.
    key_gram
        ``[G*r, G*r]``.
    cross_gram
        ``[G*r, H*r]``.
    """

    operators: HeadOperators
    query_gram: Float[Tensor, "Hr Hr"]
    key_gram: Float[Tensor, "Gr Gr"]
    cross_gram: Float[Tensor, "Gr Hr"]

    def QQ(self) -> Float[Tensor, "H H r r"]:  # noqa: N802
        """View ``[i, j] -> Q_i^T Q_j``."""
        return _blocks(self.query_gram, self.operators.d_head)

    def KK(self) -> Float[Tensor, "G G r r"]:  # noqa: N802
        """View ``[i, j] -> K_i^T K_j`` by key factor."""
        return _blocks(self.key_gram, self.operators.d_head)

    def M(self) -> Float[Tensor, "G H r r"]:  # noqa: N802
        """View ``[i, j] -> K_i^T Q_j``, the first index by key factor."""
        return _blocks(self.cross_gram, self.operators.d_head)

    def KK_of_heads(self) -> Float[Tensor, "H H r r"]:  # noqa: N802
        """``[i, j] -> K_i^T K_j`` by head; a view unless heads share keys."""
        of_head = self.operators.key_of_head
        return self.KK() if self.operators.own_keys else self.KK()[of_head][:, of_head]

    def M_of_heads(self) -> Float[Tensor, "H H r r"]:  # noqa: N802
        """``[i, j] -> K_i^T Q_j`` by head; a view unless heads share keys."""
        return self.M() if self.operators.own_keys else self.M()[self.operators.key_of_head]

    def inner_products(self) -> Float[Tensor, "H H"]:
        """Frobenius inner products ``<A_i, A_j> = tr(QQ_ij KK_ji)``."""
        QQ, KK, operators = self.QQ(), self.KK(), self.operators
        products = self.query_gram.new_empty(operators.n_heads, operators.n_heads)
        # A head at a time: the products of all blocks would take the room of the queries' Gram.
        for head, key in enumerate(operators.key_of_head.tolist()):
            row = KK[key] if operators.own_keys else KK[key, operators.key_of_head]
            torch.sum(QQ[head] * row, (-2, -1), out=products[head])
        return products

    def diagonal_M(self) -> Float[Tensor, "H r r"]:  # noqa: N802
        """``M_hh``, whose eigenvalues are the nonzero eigenvalues of ``A_h``."""
        heads = torch.arange(self.operators.n_heads, device=self.cross_gram.device)
        return self.M()[self.operators.key_of_head, heads]


def gram_blocks(operators: HeadOperators, *, balance_above: float = BALANCE_ABOVE) -> GramBlocks:
    """Three Gram products of the layer's factors, in their dtype.

    A head whose ``Q_h^T Q_h`` or ``K_h^T K_h`` has a condition number above ``balance_above`` is
    first rebuilt (:func:`balance`): the operator depends on the product of its factors alone, but
    the rounding error of the blocks grows with the factors' norms.

    Raises
    ------
    ValueError
        When a factor holds infinities or NaNs, or its squared norm overflows.
    """
    query_gram = symmetric_gram(operators.query_matrix)
    key_gram = symmetric_gram(operators.key_matrix)
    for name, gram in (("queries", query_gram), ("keys", key_gram)):
        if not gram.diagonal().isfinite().all():
            raise ValueError(f"the {name} hold infinities or NaNs, or overflow; read them again")
    r = operators.d_head
    badly_scaled = _ill_conditioned(_diagonal(query_gram, r), balance_above)
    badly_scaled |= _ill_conditioned(_diagonal(key_gram, r), balance_above)[operators.key_of_head]
    if badly_scaled.any():
        operators = balance(operators, badly_scaled.nonzero()[:, 0])
        query_gram = symmetric_gram(operators.query_matrix)
        key_gram = symmetric_gram(operators.key_matrix)
    cross_gram = operators.key_matrix.T @ operators.query_matrix
    return GramBlocks(operators, query_gram, key_gram, cross_gram)


def balance(operators: HeadOperators, heads: Int[Tensor, "B"]) -> HeadOperators:
    r"""Rebuild some heads with factors of equal Gram matrices and the same product.

    From thin QRs ``Q = U_Q R_Q``, ``K = U_K R_K`` and the SVD :math:`R_Q R_K^\top = U Σ V^\top`,
    the factors become ``U_Q U √Σ`` and ``U_K V √Σ``. A rebuilt head no longer shares its key.
    """
    r = operators.d_head
    left, left_triangle = torch.linalg.qr(operators.queries[heads])
    right, right_triangle = torch.linalg.qr(operators.keys[operators.key_of_head[heads]])
    U, sigma, Vh = torch.linalg.svd(left_triangle @ right_triangle.mT)
    root = sigma.sqrt()[:, None, :]
    queries = operators.queries.clone()
    queries[heads] = _widen(left @ U * root, r)
    own_keys = _widen(right @ Vh.mT * root, r)
    key_of_head = operators.key_of_head.clone()
    first_own = len(operators.keys)
    key_of_head[heads] = torch.arange(first_own, first_own + len(heads), device=heads.device)
    keys = torch.cat([operators.keys, own_keys])
    in_use, key_of_head = torch.unique(key_of_head, return_inverse=True)
    return HeadOperators.from_factors(queries, keys[in_use], key_of_head, queries.dtype)


def symmetric_gram(factors: Float[Tensor, "d N"], panels: int = 8) -> Float[Tensor, "N N"]:
    """``factors^T factors``, the blocks below the diagonal mirrored instead of multiplied.

    With 8 panels this is 0.56 of the flops of the plain product.
    """
    n = factors.shape[1]
    gram = factors.new_empty(n, n)
    width = -(-n // panels)
    for start in range(0, n, width):
        stop = min(start + width, n)
        torch.mm(factors[:, start:stop].T, factors[:, start:], out=gram[start:stop, start:])
        gram[stop:, start:stop] = gram[start:stop, stop:].T
    return gram


def _ill_conditioned(gram: Float[Tensor, "B r r"], above: float) -> Tensor:
    """Which symmetric matrices have a 2-norm condition number above a bound.

    The Frobenius condition number, cheap from a Cholesky factor, is an upper bound: only the
    matrices that it does not clear get their eigenvalues computed.
    """
    triangle, failed = torch.linalg.cholesky_ex(gram)
    triangle[failed != 0] = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    inverse = torch.cholesky_inverse(triangle)
    frobenius = torch.linalg.matrix_norm(gram) * torch.linalg.matrix_norm(inverse)
    suspect = (failed != 0) | ~(frobenius <= above)
    if suspect.any():
        eigenvalues = torch.linalg.eigvalsh(gram[suspect])
        suspect[suspect.clone()] = ~(eigenvalues[:, -1] <= above * eigenvalues[:, 0])
    return suspect


def _blocks(gram: Tensor, r: int) -> Tensor:
    return gram.view(gram.shape[0] // r, r, gram.shape[1] // r, r).transpose(1, 2)


def _diagonal(gram: Tensor, r: int) -> Tensor:
    index = torch.arange(gram.shape[0] // r, device=gram.device)
    return _blocks(gram, r)[index, index]


def _widen(factors: Tensor, r: int) -> Tensor:
    # d < r leaves fewer than r columns; zero columns keep the product.
    return torch.nn.functional.pad(factors, (0, r - factors.shape[-1]))
