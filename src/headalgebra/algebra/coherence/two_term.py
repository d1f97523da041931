r"""The two-term L∞-algebra that carries ℓ₃ = -J_P, and the relations it must satisfy.

V sits in degree 0 and a copy V[1] in degree 1, with ℓ₁: V[1] → V the identity, ℓ₂ the projected
bracket on (0, 0) and (0, 1), ℓ₃ on three elements of degree 0 with values in degree 1, and nothing
else: degrees leave no room for ℓ₄ and beyond. Reference: Baez and Crans, *Higher-dimensional
algebra VI: Lie 2-algebras*, Theory and Applications of Categories 12 (2004).

The relations hold for any skew bracket. They certify the computation, not the model.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.defaults import GRAM_FLOOR
from headalgebra.rounding import ROUNDING_MARGIN, UNIT_ROUNDOFF

RELATION_ORDER = {"l1_l2": 1, "l2_l1": 1, "l1_l3": 2, "l3_l1": 2, "l2_l3": 3}
"""The relations by the operations they join, and their order in the bracket."""


def nested_bracket(f: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n n"]:
    """``ℓ₂(ℓ₂(a,b),c)`` in coordinates, the value on the last axis."""
    return torch.einsum("abx,xce->abce", f, f)


def projected_jacobiator(f: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n n"]:
    """J_P(a,b,c) in coordinates, the cyclic sum of :func:`nested_bracket`."""
    nested = nested_bracket(f)
    jacobiator = nested + nested.permute(2, 0, 1, 3)
    return jacobiator.add_(nested.permute(1, 2, 0, 3))


def jacobiator_ratio(
    f: Float[Tensor, "n n n"], kappa: float = 1.0, *, gram_floor: float = GRAM_FLOOR
) -> float:
    """ρ₃ = ||ℓ₃|| / ||ℓ₂∘ℓ₂|| over all index tuples.

    Not a number for n < 3 and where the nested bracket vanishes up to rounding, which grows with
    the condition number of the basis: its elements are orthonormal to u κ² when they come from the
    Gram matrix, and to u κ when they come from the stacked operators, as they do where κ² is above
    1/``gram_floor`` (:func:`~headalgebra.algebra.basis.orthonormal_basis`). The structure constants
    of commuting operators are themselves rounding: see
    :attr:`~headalgebra.algebra.coherence.structure.StructureConstants.abelian`.
    """
    nested = torch.linalg.vector_norm(nested_bracket(f))
    loss = kappa * min(kappa, gram_floor**-0.5)
    rounding = ROUNDING_MARGIN * UNIT_ROUNDOFF[f.dtype] * loss
    if len(f) < 3 or not nested > rounding * f.square().sum():
        return math.nan
    return float(torch.linalg.vector_norm(projected_jacobiator(f)) / nested)


def projected_jacobiator_rms(f: Float[Tensor, "n n n"]) -> float:
    """Root mean square of ||J_P(E_i,E_j,E_k)|| over i < j < k; not a number for n < 3."""
    n = len(f)
    if n < 3:
        return math.nan
    # J_P is totally skew: each unordered triple stands six times, repeated indices give zero.
    total = float(projected_jacobiator(f).square().sum()) / 6
    return (total / (n * (n - 1) * (n - 2) / 6)) ** 0.5


@dataclass(frozen=True)
class TwoTermLinf:
    """Operations of a two-term L∞-algebra in coordinates.

    Attributes
    ----------
    l1
        ``[n, n]``, ℓ₁ from degree 1 to degree 0; ``l1[h, e]`` is the e-th coordinate of ℓ₁(h).
    l2
        ``[n, n, n]``, ℓ₂ on two elements of degree 0.
    l2_mixed
        ``[n, n, n]``, ℓ₂(x, h) for x of degree 0 and h of degree 1; ℓ₂(h, x) = -ℓ₂(x, h).
    l3
        ``[n, n, n, n]``, ℓ₃ on degree 0 with values in degree 1.
    """

    l1: Float[Tensor, "n n"]
    l2: Float[Tensor, "n n n"]
    l2_mixed: Float[Tensor, "n n n"]
    l3: Float[Tensor, "n n n n"]

    @classmethod
    def from_bracket(cls, f: Float[Tensor, "n n n"]) -> "TwoTermLinf":
        """The structure that a skew bracket f carries: ℓ₁ = id and ℓ₃ = -J_P."""
        identity = torch.eye(len(f), dtype=f.dtype, device=f.device)
        return cls(identity, f, f, -projected_jacobiator(f))

    def residuals_on_basis(self) -> dict[str, float]:
        """Largest residual of each relation over all tuples of basis elements.

        Residuals are relative to ||ℓ₂||, ||ℓ₂||² or ||ℓ₂||³, as the relation is of first, second or
        third order in the bracket; not a number when ℓ₂ = 0. Holds n⁴ numbers, about 20 n⁶ flops.
        """
        return self._largest(self._relations_on_basis())

    def residuals_on_random(self, n_tuples: int, seed: np.random.SeedSequence) -> dict[str, float]:
        """Largest residual of each relation over random tuples of unit vectors.

        Relative as in :meth:`residuals_on_basis`.
        """
        draw = np.random.default_rng(seed).standard_normal((4, n_tuples, len(self.l2)))
        draw /= np.linalg.norm(draw, axis=-1, keepdims=True)
        return self._largest(self._relations(*torch.from_numpy(draw).to(self.l2)))

    def _largest(
        self, residuals: Iterable[tuple[str, Float[Tensor, "*tuples n"]]]
    ) -> dict[str, float]:
        size = float(torch.linalg.vector_norm(self.l2))
        worst = dict.fromkeys(RELATION_ORDER, 0.0 if size else math.nan)
        if size:
            for name, residual in residuals:
                norm = float(torch.linalg.vector_norm(residual, dim=-1).max())
                # numpy's maximum, unlike Python's, lets no NaN pass for a small residual.
                relative = norm / size ** RELATION_ORDER[name]
                worst[name] = float(np.maximum(worst[name], relative))
        return worst

    def _relations(
        self,
        w: Float[Tensor, "t n"],
        x: Float[Tensor, "t n"],
        y: Float[Tensor, "t n"],
        z: Float[Tensor, "t n"],
    ) -> Iterator[tuple[str, Float[Tensor, "t n"]]]:
        """Left side minus right side of each relation on t tuples of elements.

        d is ℓ₁, b and m are ℓ₂ on degrees (0, 0) and (0, 1), j is ℓ₃. The elements of degree 1, h
        and k, have the coordinates of x and y.
        """

        def d(h: Float[Tensor, "t n"]) -> Float[Tensor, "t n"]:
            return torch.einsum("ie,ti->te", self.l1, h)

        def b(x: Float[Tensor, "t n"], y: Float[Tensor, "t n"]) -> Float[Tensor, "t n"]:
            return torch.einsum("ije,ti,tj->te", self.l2, x, y)

        def m(x: Float[Tensor, "t n"], h: Float[Tensor, "t n"]) -> Float[Tensor, "t n"]:
            return torch.einsum("ije,ti,tj->te", self.l2_mixed, x, h)

        def j(
            x: Float[Tensor, "t n"], y: Float[Tensor, "t n"], z: Float[Tensor, "t n"]
        ) -> Float[Tensor, "t n"]:
            return torch.einsum("ijke,ti,tj,tk->te", self.l3, x, y, z)

        h, k = x, y
        yield "l1_l2", d(m(z, h)) - b(z, d(h))
        yield "l2_l1", m(d(h), k) + m(d(k), h)
        yield "l1_l3", d(j(x, y, z)) + b(b(x, y), z) - b(b(x, z), y) - b(x, b(y, z))
        yield "l3_l1", j(d(h), y, z) + m(b(y, z), h) + m(z, m(y, h)) - m(y, m(z, h))
        left = j(b(w, y), x, z) + j(b(x, z), w, y) - m(z, j(w, x, y)) - m(x, j(w, y, z))
        right = j(b(w, x), y, z) + j(b(w, z), x, y) + j(b(x, y), w, z) + j(b(y, z), w, x)
        yield "l2_l3", left - right + m(y, j(w, x, z)) + m(w, j(x, y, z))

    def _relations_on_basis(self) -> Iterator[tuple[str, Float[Tensor, "*tuples n"]]]:
        """The same on all tuples of basis elements: here w, x, y, z, h and k are their indices.

        The last relation, which has n⁵ coordinates, comes one w at a time.
        """
        d, b, m, j, product = self.l1, self.l2, self.l2_mixed, self.l3, torch.einsum
        yield (
            "l1_l2",
            (
                product("ie,zhi->hze", d, m)  # d(m(z, h))
                - product("zie,hi->hze", b, d)  # b(z, d(h))
            ),
        )
        yield (
            "l2_l1",
            (
                product("ike,hi->hke", m, d)  # m(d(h), k)
                + product("ihe,ki->hke", m, d)  # m(d(k), h)
            ),
        )
        yield (
            "l1_l3",
            (
                product("ie,xyzi->xyze", d, j)  # d(j(x, y, z))
                + product("ize,xyi->xyze", b, b)  # b(b(x, y), z)
                - product("iye,xzi->xyze", b, b)  # b(b(x, z), y)
                - product("xie,yzi->xyze", b, b)  # b(x, b(y, z))
            ),
        )
        yield (
            "l3_l1",
            (
                product("iyze,hi->hyze", j, d)  # j(d(h), y, z)
                + product("ihe,yzi->hyze", m, b)  # m(b(y, z), h)
                + product("zie,yhi->hyze", m, m)  # m(z, m(y, h))
                - product("yie,zhi->hyze", m, m)  # m(y, m(z, h))
            ),
        )
        for w in range(len(b)):
            left = (
                product("ixze,yi->xyze", j, b[w])  # j(b(w, y), x, z)
                + product("iye,xzi->xyze", j[:, w], b)  # j(b(x, z), w, y)
                - product("zie,xyi->xyze", m, j[w])  # m(z, j(w, x, y))
                - product("xie,yzi->xyze", m, j[w])  # m(x, j(w, y, z))
            )
            right = (
                product("iyze,xi->xyze", j, b[w])  # j(b(w, x), y, z)
                + product("ixye,zi->xyze", j, b[w])  # j(b(w, z), x, y)
                + product("ize,xyi->xyze", j[:, w], b)  # j(b(x, y), w, z)
                + product("ixe,yzi->xyze", j[:, w], b)  # j(b(y, z), w, x)
            )
            left -= right
            left += product("yie,xzi->xyze", m, j[w])  # m(y, j(w, x, z))
            left += product("ie,xyzi->xyze", m[w], j)  # m(w, j(x, y, z))
            yield "l2_l3", left
