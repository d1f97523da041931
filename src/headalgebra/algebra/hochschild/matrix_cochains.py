"""Cochains of the algebra of d×d matrices as multilinear maps, without a basis and for any d."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Num
from torch import Tensor


@dataclass(frozen=True)
class MatrixCochain:
    r"""A multilinear map from m matrices to a matrix.

    Operations are evaluated on arguments and hold no tensor of n = d² to the power m: an
    independent route to :mod:`~headalgebra.algebra.hochschild.cochains` where that can be afforded,
    and the only one where it cannot.

    Parameters
    ----------
    arity
        m, the number of arguments; a cochain of arity 0 is a matrix.
    function
        ``function(a_1, …, a_m)``, linear in every argument.

    Raises
    ------
    ValueError
        For a negative arity, and when called on another number of matrices.
    """

    arity: int
    function: Callable[..., Tensor]

    def __post_init__(self) -> None:
        """Refuse an arity that no cochain has."""
        if self.arity < 0:
            raise ValueError(f"arity is {self.arity}: a cochain has no fewer than 0 arguments")

    def __call__(self, *matrices: Num[Tensor, "d d"]) -> Num[Tensor, "d d"]:
        """The value on m matrices."""
        if len(matrices) != self.arity:
            raise ValueError(f"{len(matrices)} matrices for a cochain of arity {self.arity}")
        return self.function(*matrices)

    def differential(self) -> "MatrixCochain":
        """δφ over the matrix product, of arity m + 1."""
        m = self.arity

        def value(*a: Tensor) -> Tensor:
            total = a[0] @ self(*a[1:]) - (-1) ** m * self(*a[:m]) @ a[m]
            for i in range(m):
                total = total - (-1) ** i * self(*a[:i], a[i] @ a[i + 1], *a[i + 2 :])
            return total

        return MatrixCochain(m + 1, value)

    def circle(self, inner: "MatrixCochain") -> "MatrixCochain":
        """Gerstenhaber's pre-Lie product, the signed sum of all insertions of ``inner``."""
        p, q = self.arity, inner.arity

        def value(*a: Tensor) -> Tensor:
            if p == 0:  # an element has no slot
                return torch.zeros_like(self())
            return torch.stack(
                [
                    (-1) ** (i * (q - 1)) * self(*a[:i], inner(*a[i : i + q]), *a[i + q :])
                    for i in range(p)
                ]
            ).sum(0)

        return MatrixCochain(p + q - 1, value)

    def bracket(self, other: "MatrixCochain") -> "MatrixCochain":
        r""":math:`[φ, ψ]_G = φ ∘ ψ - (-1)^{(p-1)(q-1)} ψ ∘ φ` for arities p and q."""
        sign = (-1) ** ((self.arity - 1) * (other.arity - 1))
        forth, back = self.circle(other), other.circle(self)
        return MatrixCochain(forth.arity, lambda *a: forth(*a) - sign * back(*a))


MATRIX_PRODUCT = MatrixCochain(2, torch.matmul)
"""μ(a, b) = ab."""
