r"""Hochschild cochains of a finite-dimensional algebra, and the commutator among them (section 2).

A cochain of arity m on an algebra of dimension n is a tensor with m argument axes and one value
axis, each of length n; a product μ is a cochain of arity 2. References: Gerstenhaber, *The
cohomology structure of an associative ring*, Annals of Mathematics 78 (1963); *On the deformation
of rings and algebras*, Annals of Mathematics 79 (1964).
"""

import torch
from jaxtyping import Float
from torch import Tensor


def hochschild_differential(
    cochain: Float[Tensor, "*axes"], product: Float[Tensor, "n n n"]
) -> Float[Tensor, "*wider"]:
    r"""Hochschild differential, from arity m to arity m + 1.

    .. math:: (δφ)(a_0, …, a_m) = a_0 φ(a_1, …) + \sum_{i=1}^{m} (-1)^i φ(…, a_{i-1} a_i, …)
              + (-1)^{m+1} φ(a_0, …, a_{m-1}) a_m

    It squares to zero exactly when the product is associative, and equals
    :math:`(-1)^{m-1} [μ, φ]_G`.
    """
    m = cochain.ndim - 1
    # a_0 φ(a_1…a_m): contract φ's value with the right argument of the product.
    leading = torch.tensordot(product, cochain, dims=([1], [m])).movedim(1, -1)
    trailing = torch.tensordot(cochain, product, dims=([m], [0]))
    total = leading + (-1) ** (m + 1) * trailing
    for i in range(1, m + 1):
        total = total + (-1) ** i * insert(cochain, product, i - 1)
    return total


def insert(
    outer: Float[Tensor, "*outer"], inner: Float[Tensor, "*inner"], slot: int
) -> Float[Tensor, "*composed"]:
    """``outer(a_1, …, inner(a_{slot+1}, …), …)``, the arguments in order."""
    q = inner.ndim - 1
    composed = torch.tensordot(outer, inner, dims=([slot], [q]))
    # The arguments of inner now stand last; bring them to their place.
    first = outer.ndim - 1
    return composed.movedim(tuple(range(first, first + q)), tuple(range(slot, slot + q)))


def circle_product(
    outer: Float[Tensor, "*outer"], inner: Float[Tensor, "*inner"]
) -> Float[Tensor, "*composed"]:
    """Gerstenhaber's pre-Lie product: the signed sum of all insertions."""
    p, q = outer.ndim - 1, inner.ndim - 1
    terms = [(-1) ** (slot * (q - 1)) * insert(outer, inner, slot) for slot in range(p)]
    if not terms:  # an element has no slot
        n = outer.shape[-1]
        return outer.new_zeros((n,) * (p + q))
    return torch.stack(terms).sum(0)


def gerstenhaber_bracket(
    left: Float[Tensor, "*left"], right: Float[Tensor, "*right"]
) -> Float[Tensor, "*bracket"]:
    r""":math:`[φ, ψ]_G = φ ∘ ψ - (-1)^{(p-1)(q-1)} ψ ∘ φ` for arities p and q."""
    p, q = left.ndim - 1, right.ndim - 1
    return circle_product(left, right) - (-1) ** ((p - 1) * (q - 1)) * circle_product(right, left)


def obstruction(
    a: Float[Tensor, "d d"], b: Float[Tensor, "d d"], c: Float[Tensor, "d d"]
) -> Float[Tensor, "d d"]:
    r""":math:`\tfrac12 [φ_1, φ_1]_G(a, b, c)` for the commutator cochain φ₁, term by term.

    By the Jacobi identity it equals ``[b, [c, a]]``.
    """
    return commutator(commutator(a, b), c) - commutator(a, commutator(b, c))


def star_associator(
    a: Float[Tensor, "d d"], b: Float[Tensor, "d d"], c: Float[Tensor, "d d"], t: float
) -> Float[Tensor, "d d"]:
    r"""Associator of the deformed product :math:`a ⋆_t b = ab + t[a, b]`.

    It equals ``(t + t²) [b, [c, a]]``: the product is associative at t = 0 and at t = -1, where it
    is the opposite product, and nowhere else unless the obstruction vanishes.
    """

    def star(x: Tensor, y: Tensor) -> Tensor:
        return x @ y + t * commutator(x, y)

    return star(star(a, b), c) - star(a, star(b, c))


def commutator(a: Float[Tensor, "d d"], b: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """``ab - ba``."""
    return a @ b - b @ a
