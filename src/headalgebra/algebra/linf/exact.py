r"""The norm of every nested bracket of a basis, exactly, at a cost that does not grow as n³ d³.

A bracket :math:`X = [E_c, E_a]` is needed only as the keys and queries of the heads see it, and
:math:`[E_b, X]` is a combination, over the heads h, of

.. math:: [A_h, X] = Q_h (K_h^\top X) - (X Q_h) K_h^\top ,

a product of inner size 2r. All b share these, so that a pair (a, c) costs about ``10 d³`` flops
(H heads of size r on keys of their own, Hr = d) where its n dense brackets cost ``4 n d³``.
"""

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.operators import HeadOperators

BRACKET_NUMBERS = 2**19
"""Numbers of the heads' brackets held at once: 4 MiB in float64, within the caches."""


def triple_squares(
    operators: HeadOperators, coefficients: Float[Tensor, "n H"]
) -> Float[Tensor, "n pairs"]:
    r""":math:`||[E_b,[E_c,E_a]]||_F^2` for every triple (b; a < c), b first, the pairs in order.

    With orthonormal bases U of the queries and V of the keys, a bracket X is known by
    :math:`U^\top X V`, of size q × k, q = min(d, Hr), k = min(d, Gr) for G keys, and no Frobenius
    norm changes. No square is a difference of larger ones, so that the norms of a layer that nearly
    commutes are as good as those of dense brackets. Held are about ``n Gr k`` numbers.

    Parameters
    ----------
    operators
        The heads.
    coefficients
        ``[n, H]``, the basis elements over the heads.
    """
    n, r = len(coefficients), operators.d_head
    of_queries, queries = torch.linalg.qr(operators.query_matrix)
    of_keys, keys = torch.linalg.qr(operators.key_matrix)
    # Rows of K^T Y, the keys side by side, as they belong to each head.
    of_head = (operators.key_of_head[:, None] * r + torch.arange(r, device=keys.device)).flatten()
    keys_by_head = keys.T[of_head]
    between = of_keys.T @ of_queries  # V^T U
    keyed_queries = keys.T @ between  # K^T U
    queries_in_keys = between @ queries  # V^T Q
    weights = coefficients.repeat_interleave(r, dim=1)
    cross = keyed_queries @ queries  # K^T Q
    keyed = torch.stack([(cross * weight) @ keys_by_head for weight in weights])  # K^T E_a V

    pairs = list(combinations(range(n), 2))
    squares = coefficients.new_empty(n, len(pairs))
    for place, (a, c) in enumerate(pairs):
        by_head = weights[c][:, None] * keyed[a][of_head]
        bracket = queries @ by_head.addcmul_(weights[a][:, None], keyed[c][of_head], value=-1)
        squares[:, place] = _squared_brackets(
            queries,
            bracket @ queries_in_keys,
            (keyed_queries @ bracket)[of_head],
            keys_by_head,
            coefficients,
        )
    return squares


def triple_squares_flops(*, d: int, heads: int, keys: int, r: int, n: int) -> float:
    """Flops of the products in :func:`triple_squares`, for H heads of size r on so many keys."""
    wide, of_keys = heads * r, keys * r
    q, k = min(d, wide), min(d, of_keys)
    once = 2.0 * (k * d * q + of_keys * k * q + k * q * wide + of_keys * q * wide)
    elements = 2.0 * n * of_keys * wide * k
    brackets = 2.0 * q * k * (2 * wide + of_keys)
    nested = q * k * (4.0 * wide + 2.0 * n * heads)
    return once + elements + n * (n - 1) / 2 * (brackets + nested)


def _squared_brackets(
    queries: Float[Tensor, "q Hr"],
    bracket_queries: Float[Tensor, "q Hr"],
    keyed_bracket: Float[Tensor, "Hr k"],
    keys: Float[Tensor, "Hr k"],
    coefficients: Float[Tensor, "n H"],
) -> Float[Tensor, "n"]:
    """Squared norms of ``[E_b, X]`` for every b, from ``XQ`` and ``K^T X``, rows by rows."""
    heads, k = coefficients.shape[1], keys.shape[1]

    def by_head(left: Float[Tensor, "q Hr"]) -> Float[Tensor, "H q r"]:
        return left.view(len(left), heads, -1).transpose(0, 1)

    left = torch.cat([by_head(queries), by_head(bracket_queries).neg()], dim=2)
    right = torch.cat([keyed_bracket.view(heads, -1, k), keys.view(heads, -1, k)], dim=1)
    squares = coefficients.new_zeros(len(coefficients))
    for rows in left.split(max(1, BRACKET_NUMBERS // (heads * k)), dim=1):
        of_heads = torch.bmm(rows, right).flatten(1)
        squares += torch.linalg.vector_norm(coefficients @ of_heads, dim=1).square()
    return squares
