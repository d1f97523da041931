r"""Operators of low rank in the few dimensions where they act.

With :math:`[Q\,K] = UR` (thin QR), :math:`A = QK^\top` is :math:`UCU^\top`,
:math:`C = R_Q R_K^\top`. R is upper triangular, so that all rows of C beyond the first k are zero:

.. math:: C = \begin{pmatrix} B & D \\ 0 & 0 \end{pmatrix}.

Norms, nonzero spectrum and pseudospectra of A are those of C. Its field of values is that of C
joined to 0, so that the numerical radius is the same as well.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Inexact

from headalgebra.algebra.operators import HeadOperators


@dataclass(frozen=True)
class Compression:
    """A square matrix whose rows beyond the first k are zero.

    Attributes
    ----------
    inner
        ``[k, k]``, the block B of the range on itself.
    outer
        ``[k, m]``, the block D from the complement into the range; m is 0 for a matrix given whole.
    """

    inner: Inexact[np.ndarray, "k k"]
    outer: Inexact[np.ndarray, "k m"]

    @classmethod
    def whole(cls, matrix: Inexact[np.ndarray, "n n"]) -> "Compression":
        """A matrix as it is, with no row known to be zero."""
        return cls(matrix, matrix[:, :0])

    @property
    def matrix(self) -> Inexact[np.ndarray, "n n"]:
        """C itself, n = k + m."""
        above = np.hstack([self.inner, self.outer])
        return np.vstack([above, np.zeros((self.outer.shape[1], above.shape[1]), above.dtype)])

    @cached_property
    def singular_values(self) -> Float[np.ndarray, "k"]:
        """Singular values, largest first; the others are zero."""
        return np.linalg.svd(np.hstack([self.inner, self.outer]), compute_uv=False)

    @property
    def norm(self) -> float:
        """Operator norm."""
        return float(self.singular_values[0])

    @property
    def frobenius_norm(self) -> float:
        """Frobenius norm."""
        return float(np.linalg.norm(self.singular_values))

    def scaled(self, factor: float) -> "Compression":
        """The same matrix times a number."""
        return Compression(factor * self.inner, factor * self.outer)


def compress_heads(operators: HeadOperators) -> list[Compression]:
    """Every head operator of a layer in at most 2r dimensions, in float64.

    One batched QR of d×2r, about :math:`8 H d r^2` flops.
    """
    r = operators.d_head
    queries = operators.queries.double()
    keys = operators.keys[operators.key_of_head].double()
    _, R = torch.linalg.qr(torch.cat([queries, keys], dim=2), mode="r")
    k = min(r, operators.d_model)
    C = (R[:, :k, :r] @ R[:, :, r:].mT).cpu().numpy()
    return [Compression(head[:, :k], head[:, k:]) for head in C]
