"""Blocks as affine maps, and states graded by how many blocks acted on them.

In homogeneous coordinates (x, s) a block x ↦ Mx + b is I + V with V(x, s) = (Mx − x + sb, 0).
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class AffineBlock(Protocol):
    """A block x ↦ Mx + b on states."""

    @property
    def offset(self) -> Tensor:
        """The state b."""

    def linear(self, x: Tensor, /) -> Tensor:
        """The state Mx."""


class GradedState:
    """A polynomial in λ whose coefficients, the grades, are states.

    Parameters
    ----------
    lowest
        The state of grade 0. It is never written to.
    homogeneous
        Whether grade 0 has the coordinate s = 1. In every other grade s is 0, as V makes it.
    """

    def __init__(self, lowest: Float[Tensor, "*tokens d"], *, homogeneous: bool) -> None:
        self.grades = [lowest]
        self.homogeneous = homogeneous

    def multiply(self, block: AffineBlock, top: int | None = None) -> None:
        """Multiply by I + λV in place; grades above `top` are dropped."""
        grades = self.grades
        if top is None or len(grades) <= top:
            grades.append(torch.zeros_like(grades[0]))
        # Downwards, so that every grade meets the lower one as it was.
        for k in range(len(grades) - 1, 0, -1):
            self._add_update(k, block, 1)

    def divide(self, block: AffineBlock, top: int) -> None:
        """Multiply by the inverse of I + λV in place, up to grade `top`."""
        grades = self.grades
        # Upwards: z = y − λVz has every grade meet the lower one as it has become.
        for k in range(1, top + 1):
            if k == len(grades):
                grades.append(torch.zeros_like(grades[0]))
            self._add_update(k, block, -1)

    def _add_update(self, k: int, block: AffineBlock, sign: int) -> None:
        """Add ± V of grade k − 1 to grade k."""
        source, target = self.grades[k - 1], self.grades[k]
        target.add_(block.linear(source), alpha=sign).sub_(source, alpha=sign)
        if k == 1 and self.homogeneous:
            target.add_(block.offset, alpha=sign)
