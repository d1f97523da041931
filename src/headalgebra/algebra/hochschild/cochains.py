r"""Cochains of a finite-dimensional algebra, given by its structure constants.

A cochain of arity m on an algebra of dimension n is a tensor with m argument axes and one value
axis, each of length n; a product μ is a cochain of arity 2. Nothing here rounds on integers.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Num
from torch import Tensor


def matrix_algebra(d: int) -> Float[Tensor, "n n n"]:
    """Structure constants of the d×d matrices in the matrix units, n = d².

    ``e_ij e_kl`` is ``e_il`` for j = k and zero otherwise. The coordinates of a matrix are its
    entries, row by row.
    """
    identity = torch.eye(d, dtype=torch.float64)
    product = torch.einsum("jk,ix,ly->ijklxy", identity, identity, identity)
    return product.reshape(d * d, d * d, d * d)


def hochschild_differential(
    cochain: Num[Tensor, "*axes"], product: Num[Tensor, "n n n"]
) -> Num[Tensor, "*wider"]:
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
    outer: Num[Tensor, "*outer"], inner: Num[Tensor, "*inner"], slot: int
) -> Num[Tensor, "*composed"]:
    """``outer(a_1, …, inner(a_{slot+1}, …), …)``, the arguments in order."""
    q = inner.ndim - 1
    composed = torch.tensordot(outer, inner, dims=([slot], [q]))
    # The arguments of inner now stand last; bring them to their place.
    first = outer.ndim - 1
    return composed.movedim(tuple(range(first, first + q)), tuple(range(slot, slot + q)))


def circle_product(
    outer: Num[Tensor, "*outer"], inner: Num[Tensor, "*inner"]
) -> Num[Tensor, "*composed"]:
    """Gerstenhaber's pre-Lie product: the signed sum of all insertions."""
    p, q = outer.ndim - 1, inner.ndim - 1
    terms = [(-1) ** (slot * (q - 1)) * insert(outer, inner, slot) for slot in range(p)]
    if not terms:  # an element has no slot
        n = outer.shape[-1]
        return outer.new_zeros((n,) * (p + q))
    return torch.stack(terms).sum(0)


def gerstenhaber_bracket(
    left: Num[Tensor, "*left"], right: Num[Tensor, "*right"]
) -> Num[Tensor, "*bracket"]:
    r""":math:`[φ, ψ]_G = φ ∘ ψ - (-1)^{(p-1)(q-1)} ψ ∘ φ` for arities p and q."""
    p, q = left.ndim - 1, right.ndim - 1
    return circle_product(left, right) - (-1) ** ((p - 1) * (q - 1)) * circle_product(right, left)


def differential_matrix(arity: int, product: Float[Tensor, "n n n"]) -> Float[Tensor, "rows cols"]:
    """The differential on cochains of one arity m, as a matrix ``[n^(m+2), n^(m+1)]``.

    Its kernel holds the cocycles of arity m, its image the coboundaries of arity m + 1.
    """
    n = len(product)
    units = torch.eye(n ** (arity + 1), dtype=product.dtype, device=product.device)
    columns = [
        hochschild_differential(unit.view((n,) * (arity + 1)), product).flatten() for unit in units
    ]
    return torch.stack(columns, dim=1)


@dataclass(frozen=True)
class Primitive:
    """A cochain whose differential comes closest to a given one.

    Attributes
    ----------
    cochain
        ψ, with one argument less than φ. It is the shortest one; any cocycle may be added.
    residual
        ||δψ − φ|| over ||φ||: rounding when φ is a coboundary, the sine of its angle to the
        coboundaries when not, and not a number for φ = 0.
    """

    cochain: Float[Tensor, "*axes"]
    residual: float


def primitive(cochain: Float[Tensor, "*axes"], product: Float[Tensor, "n n n"]) -> Primitive:
    r"""Solve :math:`δψ = φ` in the sense of least squares: is φ a coboundary?

    A deformation :math:`μ + tφ_1 + t^2φ_2` is associative at order t² when
    :math:`δφ_2 = \tfrac12 [φ_1, φ_1]_G` (Gerstenhaber, 1964). For small algebras: an SVD of
    ``[n^(m+1), n^m]`` numbers for a φ of arity m, on the CPU.

    Raises
    ------
    ValueError
        For a cochain of arity 0.
    """
    m = cochain.ndim - 1
    if m == 0:
        raise ValueError("cochain has arity 0: nothing has an element as its differential")
    matrix = differential_matrix(m - 1, product).cpu()
    # The differential has a kernel: only a driver that reveals the rank will do.
    solution = torch.linalg.lstsq(matrix, cochain.flatten()[:, None].cpu(), driver="gelsd").solution
    found = solution.view(cochain.shape[1:]).to(cochain.device)
    norm = float(torch.linalg.vector_norm(cochain))
    distance = float(torch.linalg.vector_norm(hochschild_differential(found, product) - cochain))
    return Primitive(found, distance / norm if norm else math.nan)
