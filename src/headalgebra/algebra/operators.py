r"""Head operators :math:`A_h = Q_h K_h^\top` kept as factors, and their r×r Gram blocks.

No d×d matrix is formed unless one is asked for by name (:meth:`HeadOperators.materialise`,
:meth:`HeadOperators.combine`). Every word in the operators is a product of r×r blocks between one
query factor and one key factor.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class HeadOperators:
    """The head operators of one layer, as factors.

    Attributes
    ----------
    query_matrix
        ``[d, H*r]``, the query factors of the H heads side by side.
    key_matrix
        ``[d, G*r]``, the key factors side by side; with grouped queries G < H.
    key_of_head
        ``[H]``, which key factor each head uses.
    """

    query_matrix: Float[Tensor, "d Hr"]
    key_matrix: Float[Tensor, "d Gr"]
    key_of_head: Int[Tensor, "H"]

    @classmethod
    def from_factors(
        cls,
        queries: Float[Tensor, "H d r"],
        keys: Float[Tensor, "G d r"],
        key_of_head: Int[Tensor, "H"] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> "HeadOperators":
        """Build the operators in ``dtype`` from factors of any floating dtype.

        ``key_of_head`` may be left out when every head has its own key factor.

        Raises
        ------
        ValueError
            When the shapes disagree or ``key_of_head`` points outside the keys.
        """
        heads, d_model, _ = queries.shape
        if key_of_head is None:
            key_of_head = torch.arange(heads, device=queries.device)
        if keys.shape[1:] != queries.shape[1:]:
            raise ValueError(
                f"queries [H, d, r] = {list(queries.shape)} and keys [G, d, r] = "
                f"{list(keys.shape)} must agree in d and r"
            )
        if len(key_of_head) != heads:
            raise ValueError(f"key_of_head has {len(key_of_head)} entries for {heads} heads")
        if heads and not (0 <= int(key_of_head.min()) <= int(key_of_head.max()) < len(keys)):
            raise ValueError(f"key_of_head must lie in 0..{len(keys) - 1}")

        def side_by_side(factors: Tensor) -> Tensor:
            # Rounded and moved in one pass: either first would take the room of the result.
            matrix = factors.new_empty((d_model, *factors.shape[::2]), dtype=dtype)
            return matrix.copy_(factors.permute(1, 0, 2)).flatten(1)

        return cls(side_by_side(queries), side_by_side(keys), key_of_head)

    @property
    def d_model(self) -> int:
        """Rows of every factor."""
        return self.query_matrix.shape[0]

    @property
    def n_heads(self) -> int:
        """Number of operators, H."""
        return len(self.key_of_head)

    @property
    def d_head(self) -> int:
        """Columns of one factor, r, which bounds the rank of an operator."""
        return self.query_matrix.shape[1] // self.n_heads

    @property
    def own_keys(self) -> bool:
        """Whether head h uses key factor h, for every h."""
        return self.key_of_head.tolist() == list(range(len(self.keys)))

    @property
    def queries(self) -> Float[Tensor, "H d r"]:
        """View of the query factors, head first."""
        return self.query_matrix.view(self.d_model, -1, self.d_head).permute(1, 0, 2)

    @property
    def keys(self) -> Float[Tensor, "G d r"]:
        """View of the key factors, key first."""
        return self.key_matrix.view(self.d_model, -1, self.d_head).permute(1, 0, 2)

    def to(self, device: torch.device) -> "HeadOperators":
        """Copy to another device."""
        return HeadOperators(
            self.query_matrix.to(device), self.key_matrix.to(device), self.key_of_head.to(device)
        )

    def triangles(self) -> tuple[Float[Tensor, "H k r"], Float[Tensor, "H k r"]]:
        r"""Triangular factors of thin QRs of the queries and of the keys, k = min(d, r).

        :math:`R_Q R_K^\top` has the singular values of the operator.
        """
        _, of_queries = torch.linalg.qr(self.queries, mode="r")
        _, of_keys = torch.linalg.qr(self.keys, mode="r")
        return of_queries, of_keys[self.key_of_head]

    def norms(self) -> Float[Tensor, "H"]:
        """Frobenius norm of every operator, to rounding even where the factors are badly scaled."""
        of_queries, of_keys = self.triangles()
        return torch.linalg.matrix_norm(of_queries @ of_keys.mT)

    def singular_values(self) -> Float[Tensor, "H k"]:
        """Singular values of every operator, largest first; those beyond k = min(d, r) are zero."""
        of_queries, of_keys = self.triangles()
        return torch.linalg.svdvals(of_queries @ of_keys.mT)

    def materialise(self, head: int) -> Float[Tensor, "d d"]:
        """The dense operator of one head."""
        return self.queries[head] @ self.keys[int(self.key_of_head[head])].T

    def combine(self, coefficients: Float[Tensor, "H"]) -> Float[Tensor, "d d"]:
        """The dense operator ``sum_h coefficients[h] A_h``, in one product."""
        weighted = self.queries * coefficients[:, None, None]
        return weighted.permute(1, 0, 2).reshape(self.d_model, -1) @ self.keys_by_head().T

    def keys_by_head(self) -> Float[Tensor, "d Hr"]:
        """Key factors side by side, one for every head (repeated where heads share)."""
        return self.keys[self.key_of_head].permute(1, 0, 2).reshape(self.d_model, -1)

    def key_products(self, vectors: Float[Tensor, "d *batch"]) -> Float[Tensor, "H r *batch"]:
        """``K_h^T vectors`` for every head, each shared key factor applied once."""
        batch = vectors.shape[1:]
        shared = self.key_matrix.T @ vectors.reshape(self.d_model, math.prod(batch))
        return shared.view(len(self.keys), self.d_head, *batch)[self.key_of_head]

    def query_combination(self, inner: Float[Tensor, "H r *batch"]) -> Float[Tensor, "d *batch"]:
        """``sum_h Q_h inner[h]``."""
        batch = inner.shape[2:]
        stacked = inner.reshape(self.n_heads * self.d_head, math.prod(batch))
        return (self.query_matrix @ stacked).view(self.d_model, *batch)


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


def gram_blocks(operators: HeadOperators, *, balance_above: float = 1e6) -> GramBlocks:
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
