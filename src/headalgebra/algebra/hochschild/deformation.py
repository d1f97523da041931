r"""The commutator as a first-order change of the matrix product, :math:`a ⋆_t b = ab + t[a, b]`."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Num
from torch import Tensor

ASSOCIATIVE_AT = (-1.0, 0.0)
"""The t at which ⋆_t is associative whatever the matrices: opposite and original product."""


def commutator(a: Num[Tensor, "d d"], b: Num[Tensor, "d d"]) -> Num[Tensor, "d d"]:
    """``ab - ba``."""
    return a @ b - b @ a


def obstruction(
    a: Num[Tensor, "d d"], b: Num[Tensor, "d d"], c: Num[Tensor, "d d"]
) -> Num[Tensor, "d d"]:
    r""":math:`\tfrac12 [φ_1, φ_1]_G(a, b, c)` for the commutator cochain φ₁, term by term.

    By the Jacobi identity it equals ``[b, [c, a]]``.
    """
    return commutator(commutator(a, b), c) - commutator(a, commutator(b, c))


def star_associator(
    a: Num[Tensor, "d d"], b: Num[Tensor, "d d"], c: Num[Tensor, "d d"], t: float
) -> Num[Tensor, "d d"]:
    r"""Associator of the deformed product :math:`a ⋆_t b = ab + t[a, b]`.

    It equals ``(t + t²) [b, [c, a]]``: the product is associative at t = 0 and at t = -1, where it
    is the opposite product, and nowhere else unless the obstruction vanishes.
    """

    def star(x: Tensor, y: Tensor) -> Tensor:
        return x @ y + t * commutator(x, y)

    return star(star(a, b), c) - star(a, star(b, c))


@dataclass(frozen=True)
class AssociatorCurve:
    """Size of the associator of ⋆_t on one triple of matrices, against t.

    Attributes
    ----------
    t
        ``[T]``, where it was evaluated.
    norm
        ``[T]``, Frobenius norm of the computed associator; at t in :data:`ASSOCIATIVE_AT` it is
        what rounding leaves.
    predicted
        ``[T]``, :math:`|t + t^2| ||[b,[c,a]]||_F`.
    """

    t: Float[Tensor, "T"]
    norm: Float[Tensor, "T"]
    predicted: Float[Tensor, "T"]


def associator_curve(
    a: Float[Tensor, "d d"],
    b: Float[Tensor, "d d"],
    c: Float[Tensor, "d d"],
    t: Float[Tensor, "T"],
) -> AssociatorCurve:
    r"""Associator of :math:`⋆_t` on a grid of t, product by product, beside its closed form.

    Writes :math:`x ⋆_t y = (1+t) xy - t yx`: four products of d×d matrices shared by the whole
    grid, four for each t, and four for the prediction. :func:`star_associator` takes eight a t.
    """
    ab, ba, bc, cb = a @ b, b @ a, b @ c, c @ b
    norms = []
    for s in t:
        left, right = (1 + s) * ab - s * ba, (1 + s) * bc - s * cb
        associator = (1 + s) * (left @ c - a @ right) - s * (c @ left - right @ a)
        norms.append(torch.linalg.matrix_norm(associator))
    nested = torch.linalg.matrix_norm(commutator(b, commutator(c, a)))
    norm = torch.stack(norms) if norms else torch.zeros_like(t)
    return AssociatorCurve(t, norm, (t + t * t).abs() * nested)
