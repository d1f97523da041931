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
from itertools import chain

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
    return nested + nested.permute(2, 0, 1, 3) + nested.permute(1, 2, 0, 3)


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
        x, y, z = (_Elements(argument, None) for argument in "xyz")
        # One element w at a time: the relation in four arguments has n⁵ coordinates.
        rows = torch.eye(len(self.l2), dtype=self.l2.dtype, device=self.l2.device).split(1)
        four = (self._relation_in_four(_Elements("w", row), x, y, z) for row in rows)
        return self._largest(chain(self._relations_in_three(x, y, z), four))

    def residuals_on_random(self, n_tuples: int, seed: np.random.SeedSequence) -> dict[str, float]:
        """Largest residual of each relation over random tuples of unit vectors.

        Relative as in :meth:`residuals_on_basis`.
        """
        draw = np.random.default_rng(seed).standard_normal((4, n_tuples, len(self.l2)))
        draw /= np.linalg.norm(draw, axis=-1, keepdims=True)
        w, x, y, z = (_Elements("t", v) for v in torch.from_numpy(draw).to(self.l2))
        four = self._relation_in_four(w, x, y, z)
        return self._largest(chain(self._relations_in_three(x, y, z), [four]))

    def _largest(self, residuals: "Iterable[tuple[str, _Elements]]") -> dict[str, float]:
        size = float(torch.linalg.vector_norm(self.l2))
        worst = dict.fromkeys(RELATION_ORDER, 0.0 if size else math.nan)
        if size:
            for name, residual in residuals:
                norm = float(torch.linalg.vector_norm(residual.coordinates(), dim=-1).max())
                # numpy's maximum, unlike Python's, lets no NaN pass for a small residual.
                relative = norm / size ** RELATION_ORDER[name]
                worst[name] = float(np.maximum(worst[name], relative))
        return worst

    def _d(self, element: "_Elements") -> "_Elements":
        """ℓ₁."""
        return _apply(self.l1, element)

    def _b(self, left: "_Elements", right: "_Elements") -> "_Elements":
        """ℓ₂ on two elements of degree 0."""
        return _apply(self.l2, left, right)

    def _m(self, left: "_Elements", right: "_Elements") -> "_Elements":
        """ℓ₂ on an element of degree 0 and one of degree 1."""
        return _apply(self.l2_mixed, left, right)

    def _t(self, first: "_Elements", second: "_Elements", third: "_Elements") -> "_Elements":
        """ℓ₃."""
        return _apply(self.l3, first, second, third)

    def _relations_in_three(
        self, x: "_Elements", y: "_Elements", z: "_Elements"
    ) -> "Iterator[tuple[str, _Elements]]":
        """Left side minus right side of the relations of at most three arguments."""
        d, b, m, t = self._d, self._b, self._m, self._t
        h, k = x, y  # the same coordinates, read as elements of degree 1
        yield "l1_l2", d(m(z, h)) - b(z, d(h))
        yield "l2_l1", m(d(h), k) + m(d(k), h)
        yield "l1_l3", d(t(x, y, z)) + b(b(x, y), z) - b(b(x, z), y) - b(x, b(y, z))
        yield "l3_l1", t(d(h), y, z) + m(b(y, z), h) + m(z, m(y, h)) - m(y, m(z, h))

    def _relation_in_four(
        self, w: "_Elements", x: "_Elements", y: "_Elements", z: "_Elements"
    ) -> "tuple[str, _Elements]":
        """Left side minus right side of the relation of ℓ₂ with ℓ₃."""
        b, m, t = self._b, self._m, self._t
        left = t(b(w, y), x, z) + t(b(x, z), w, y) - m(z, t(w, x, y)) - m(x, t(w, y, z))
        right = t(b(w, x), y, z) + t(b(w, z), x, y) + t(b(x, y), w, z) + t(b(y, z), w, x)
        return "l2_l3", left - right + m(y, t(w, x, z)) + m(w, t(x, y, z))


@dataclass(frozen=True)
class _Elements:
    """Coordinates of elements, one element for every value of the named indices.

    ``values`` is None for the basis itself, whose coordinates are the identity: no operation
    needs to be multiplied by it.
    """

    indices: str
    values: Tensor | None

    def coordinates(self) -> Tensor:
        """The coordinates, one axis for each index and one for the coordinate."""
        if self.values is None:
            raise ValueError("the basis has no values of its own")
        return self.values

    def __add__(self, other: "_Elements") -> "_Elements":
        return _Elements(self.indices, self.coordinates() + other.coordinates())

    def __neg__(self) -> "_Elements":
        return _Elements(self.indices, -self.coordinates())

    def __sub__(self, other: "_Elements") -> "_Elements":
        return self + (-other)


def _apply(operation: Tensor, *elements: _Elements) -> _Elements:
    """A multilinear operation on every combination of the elements."""
    slots = [
        element.indices if element.values is None else slot
        for element, slot in zip(elements, "ijk", strict=False)
    ]
    filled = [(e, slot) for e, slot in zip(elements, slots, strict=True) if e.values is not None]
    # Contracted from the left: a single element first keeps what follows small.
    filled.sort(key=lambda pair: pair[0].coordinates().numel())
    inputs = ",".join(["".join(slots) + "e", *(e.indices + slot for e, slot in filled)])
    # In one order everywhere, so that terms add without a transpose.
    indices = "".join(sorted(set("".join(e.indices for e in elements))))
    values = torch.einsum(f"{inputs}->{indices}e", operation, *(e.coordinates() for e, _ in filled))
    return _Elements(indices, values)
