r"""The W* level: blocks of the *-algebra that the heads and their transposes generate."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse.linalg import lobpcg
from torch import Tensor

from headalgebra.algebra.gram import balance
from headalgebra.algebra.operators import HeadOperators

KERNEL_TOLERANCE = 1e-6
"""Share of the largest singular value, of factors √Σ, up to which a direction is the kernel's."""

BLOCK_TOLERANCE = 1e-6
"""How far, in Frobenius norm, a projector may be from commuting with unit heads."""

RESOLVED_SCALE = 1e-4
"""Scale, relative to the largest, from which blocks are told apart whatever else there is."""

COMMUTANT_ACCURACY = 1e-6
"""Residual at which a lowest eigenvector of the commutant map is found, for unit heads."""

DECOUPLED = 1e-3
"""Commutant gap below which the eigenvector is refined, since blocks may be read off it."""

BLOCK_ACCURACY = 1e-10
"""Residual of the refined eigenvector."""

COMMUTANT_ITERATIONS = 2000

DENSE_COMMUTANT = 300
"""Symmetric matrices of so many coordinates are decomposed whole."""

Block = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True)
class GeneratedAlgebra:
    """Blocks of the *-algebra that heads and their transposes generate.

    Attributes
    ----------
    kernel_dimension
        Dimension of the subspace that all heads and all transposes annihilate.
    block_dimensions
        Dimensions of the irreducible orthogonal summands of the rest, largest first.
    commutant_gap
        Second-smallest singular value of Y → ([Y, A_h])_h on symmetric Y, all of unit Frobenius
        norm (the smallest is zero, at the identity): linear in the coupling between blocks that
        nearly decouple, zero when they do. Not a number where there is no second direction.
    scale_range
        The weakest direction outside the kernel relative to the strongest, as unit heads and their
        transposes act on it. Below :data:`RESOLVED_SCALE` every symmetric matrix on the weak
        directions nearly commutes with the heads, and a block there may go unseen.
    """

    kernel_dimension: int
    block_dimensions: tuple[int, ...]
    commutant_gap: float
    scale_range: float

    @property
    def resolved(self) -> bool:
        """Whether blocks of every scale that occurs would have been told apart."""
        return not self.scale_range < RESOLVED_SCALE


def generated_algebra(
    operators: HeadOperators, seed: np.random.SeedSequence
) -> GeneratedAlgebra | None:
    r"""Split R^d into the common kernel and the irreducible blocks of {A_h, A_hᵀ}.

    The eigenspaces of a random symmetric Y that commutes with every head are the blocks. Such a Y
    is an eigenvector of the lowest eigenvalue of

    .. math:: Y → \tfrac12 (YS + SY) - \sum_h (A_h Y A_h^\top + A_h^\top Y A_h),
              \quad S = \sum_h (A_h A_h^\top + A_h^\top A_h),

    orthogonal to the identity. It is applied through the factors, 8 d² Hr flops, and inverted
    approximately by its first term, which is diagonal in the eigenbasis of S. With that, LOBPCG
    (Knyazev, 2001) takes tens of applications on trained layers, where restarted Lanczos iteration
    without it does not get there in hundreds. None where even so it does not converge.
    """
    norms = operators.norms()
    alive = norms.nonzero()[:, 0]
    d = operators.d_model
    if not len(alive):
        return GeneratedAlgebra(d, (), math.nan, math.nan)
    # Balanced factors span the ranges of A_h and A_h^T and nothing beyond.
    balanced = balance(operators, alive)
    unit = norms[alive].rsqrt()[:, None, None]
    left = unit * balanced.queries[alive]
    right = unit * balanced.keys[balanced.key_of_head[alive]]
    frame, sizes, _ = torch.linalg.svd(torch.cat([*left, *right], dim=1), full_matrices=False)
    frame = frame[:, sizes > KERNEL_TOLERANCE * sizes[0]]
    m = frame.shape[1]
    commutant = _CommutantMap(frame.T @ left, frame.T @ right)
    if m == 1:
        return GeneratedAlgebra(d - m, (1,), math.nan, 1.0)
    lowest = commutant.lowest_eigenvector(np.random.default_rng(seed))
    if lowest is None:
        return None
    gap = math.sqrt(commutant.quotient(lowest))
    return GeneratedAlgebra(d - m, commutant.blocks(lowest), gap, commutant.scale_range)


class _CommutantMap:
    """Y → Σ_h ad(A_h)ᵀ ad(A_h) Y on symmetric Y, in the frame where its first term is diagonal."""

    def __init__(self, left: Float[Tensor, "H m r"], right: Float[Tensor, "H m r"]) -> None:
        spread = (left @ (right.mT @ right) @ left.mT + right @ (left.mT @ left) @ right.mT).sum(0)
        sizes, frame = torch.linalg.eigh(spread)
        self.left, self.right = frame.T @ left, frame.T @ right
        self.m = len(sizes)
        self.sylvester = (sizes[:, None] + sizes[None, :]) / 2
        self.row, self.column = torch.triu_indices(self.m, self.m, device=sizes.device)
        # Coordinates in which the Frobenius product is the dot product.
        self.weight = (2.0 - (self.row == self.column).to(sizes)).sqrt()

    @property
    def scale_range(self) -> float:
        """Root of the smallest eigenvalue of S over the largest."""
        sizes = self.sylvester.diagonal()
        return float((sizes.min().clamp(min=0) / sizes.max()).sqrt())

    def coordinates(self, Y: Float[Tensor, "m m"]) -> NDArray[np.float64]:
        return (self.weight * Y[self.row, self.column]).cpu().numpy()

    def matrix(self, coordinates: NDArray[np.float64]) -> Float[Tensor, "m m"]:
        entries = torch.from_numpy(coordinates.copy()).to(self.weight) / self.weight
        Y = self.sylvester.new_zeros(self.m, self.m)
        Y[self.row, self.column] = entries
        Y[self.column, self.row] = entries
        return Y

    def apply(self, Y: Float[Tensor, "m m"]) -> Float[Tensor, "m m"]:
        carried = self._sandwich(self.left, self.right, Y) + self._sandwich(
            self.right, self.left, Y
        )
        return self.sylvester * Y - carried

    def _sandwich(
        self, outer: Float[Tensor, "H m r"], inner: Float[Tensor, "H m r"], Y: Float[Tensor, "m m"]
    ) -> Float[Tensor, "m m"]:
        """Sum over the heads of ``outer (innerᵀ Y inner) outerᵀ``, in two wide products."""
        n_heads, m, r = inner.shape
        wide = (Y @ inner.permute(1, 0, 2).reshape(m, -1)).view(m, n_heads, r).permute(1, 0, 2)
        core = outer @ (inner.mT @ wide)
        stacked = (X.permute(1, 0, 2).reshape(m, -1) for X in (core, outer))
        return next(stacked) @ next(stacked).T

    def quotient(self, Y: Float[Tensor, "m m"]) -> float:
        """Sum over the heads of ||[Y, A_h]||² for unit Y, from the brackets themselves.

        The quadratic form would lose half the digits of a small commutant gap.
        """
        total = 0.0
        for left, right in zip(self.left, self.right, strict=True):
            total += float((Y @ left @ right.T - left @ (right.T @ Y)).square().sum())
        return total / float(Y.square().sum())

    def lowest_eigenvector(self, generator: np.random.Generator) -> Float[Tensor, "m m"] | None:
        """A random one, where there are several, orthogonal to the identity; None if not found."""
        n = len(self.weight)
        identity = self.coordinates(torch.eye(self.m).to(self.weight))[:, None]
        start = generator.standard_normal((n, 1))
        if n <= DENSE_COMMUTANT:
            span = np.linalg.svd(identity)[0][:, 1:]
            sizes, vectors = np.linalg.eigh(span.T @ self._apply_to_columns(span))
            level = vectors[:, sizes <= sizes[0] + BLOCK_TOLERANCE**2]
            return self.matrix(span @ (level @ (level.T @ (span.T @ start[:, 0]))))
        diagonal = self.sylvester[self.row, self.column].cpu().numpy()[:, None]
        block: Block = start
        for accuracy in (COMMUTANT_ACCURACY, BLOCK_ACCURACY):
            _, found, residuals = lobpcg(
                self._apply_to_columns,
                block,
                M=lambda columns: columns / diagonal,
                Y=identity,
                tol=accuracy,
                maxiter=COMMUTANT_ITERATIONS,
                largest=False,
                retResidualNormsHistory=True,
            )
            if not residuals[-1] <= accuracy:
                return None
            block = found.real.astype(np.float64)
            lowest = self.matrix(block[:, 0])
            if self.quotient(lowest) > DECOUPLED**2:
                break
        return lowest

    def _apply_to_columns(self, block: Block) -> Block:
        columns = [self.coordinates(self.apply(self.matrix(column))) for column in block.T]
        return np.stack(columns, axis=1)

    def blocks(self, Y: Float[Tensor, "m m"]) -> tuple[int, ...]:
        """Dimensions of the eigenspaces of Y whose projectors commute with every head."""
        _, vectors = torch.linalg.eigh(Y)
        left, right = vectors.T @ self.left, vectors.T @ self.right
        # Squared norm of a head's part that maps outside the first k directions into them or back.
        operators = left @ right.mT
        squares = operators.square()
        corner = squares.cumsum(1).cumsum(2)
        rows, columns = corner[:, :, -1], corner[:, -1, :]
        inside = corner.diagonal(dim1=1, dim2=2)
        crossing = (rows - inside) + (columns - inside)
        cuts = (crossing.amax(0) <= BLOCK_TOLERANCE**2).nonzero()[:, 0] + 1
        ends = [0, *cuts.tolist()]
        return tuple(sorted((b - a for a, b in pairwise(ends)), reverse=True))
