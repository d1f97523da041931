"""Soft heads: overlapping windows on the axes of queries, keys and values (002, section 5.4).

The H·r axes lie on a circle. Head h weighs axis a by W_h(a) ≥ 0 with Σ_h W_h = 1, scores by
``Σ_a W_h(a) q_a k_a / √(Σ_a W_h(a)²)``, and reads ``P_h (v ⊙ W_h)``; what the heads read is summed
axis by axis. Hard heads are the windows that are 1 on r axes and 0 on the others.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headalgebra.variants.variant import HeadKind


@dataclass(frozen=True)
class SoftHeads:
    """Windows of H heads of r axes each, all of one form, r axes apart.

    A window is 1 around its centre, falls over ``overlap · r`` axes, by half where hard heads have
    their border, and rises in the next head's by as much.

    Attributes
    ----------
    n_heads, d_head
        H and r.
    shape
        ``"triangular"`` falls in a straight line, ``"sine"`` as the square of a cosine.
    overlap
        From 0 to 1.
    """

    n_heads: int
    d_head: int
    shape: HeadKind
    overlap: float

    @cached_property
    def window(self) -> Float[Tensor, " s"]:
        """The nonzero weights of one head, in the order of its axes, float64."""
        axes = torch.arange(-self._reach, self.d_head + self._reach, dtype=torch.float64)
        # From the centre, in widths of a head; no axis lies on a border of hard heads.
        distance = ((axes + 0.5) / self.d_head - 0.5).abs()
        if self._reach == 0:
            return torch.ones_like(distance)
        fallen = ((distance - (1 - self.overlap) / 2) / self.overlap).clamp(0, 1)
        return (fallen * torch.pi / 2).cos().square() if self.shape == "sine" else 1 - fallen

    @cached_property
    def axes(self) -> Int[Tensor, "H s"]:
        """Which axes those weights are of, head by head."""
        first = torch.arange(self.n_heads)[:, None] * self.d_head
        within = torch.arange(-self._reach, self.d_head + self._reach)
        return (first + within) % (self.n_heads * self.d_head)

    @property
    def width(self) -> int:
        """Axes that a head has a part in, s."""
        return self.d_head + 2 * self._reach

    @property
    def rescaling(self) -> float:
        """``√(r / Σ W²)``: what the scale of hard heads, ``1/√r``, is multiplied by."""
        return float((self.d_head / self.window.square().sum()).sqrt())

    def weights(self) -> Float[Tensor, "H D"]:
        """W, of all heads and axes, zeros among them."""
        dense = torch.zeros(self.n_heads, self.n_heads * self.d_head, dtype=torch.float64)
        return dense.scatter(1, self.axes, self.window.expand(self.n_heads, -1))

    def factors(self, heads: Float[Tensor, "H d r"]) -> Float[Tensor, "H d s"]:
        """``W_q diag(√W_h)`` of each head, without the columns that vanish, from its hard blocks.

        The operators of soft heads are the products of two such factors.
        """
        matrix = heads.permute(1, 0, 2).flatten(1)
        chosen = matrix[:, self.axes.to(heads.device)].transpose(0, 1)
        return chosen * self.window.sqrt().to(heads)

    def spread(self, blocks: Float[Tensor, "N H T r"]) -> Float[Tensor, "N H T s"]:
        """What each head has a part in, from the hard blocks, not yet weighed."""
        flat = blocks.transpose(1, 2).flatten(2)
        return flat[..., self.axes.to(blocks.device)].transpose(1, 2)

    def collect(self, read: Float[Tensor, "N T H s"]) -> Float[Tensor, "N T H r"]:
        """What all heads read, summed axis by axis, as hard blocks."""
        n, t = read.shape[:2]
        summed = read.new_zeros(n, t, self.n_heads * self.d_head)
        summed = summed.index_add(2, self.axes.to(read.device).flatten(), read.flatten(2))
        return summed.unflatten(2, (self.n_heads, self.d_head))

    @property
    def _reach(self) -> int:
        """Axes on either side of its hard block that a head has a part in."""
        # Axis j beyond the border, j + 1/2 from it, is less than half the overlap away.
        return sum(j + 0.5 < self.overlap * self.d_head / 2 for j in range(self.d_head))
