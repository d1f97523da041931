"""The Dyson orders of a stack of blocks: what passes through exactly k of its updates."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.stats import binom
from torch import Tensor

from headalgebra.defaults import CONVERGED_BELOW
from headalgebra.dyson.graded import AffineBlock, GradedState


@torch.no_grad()
def dyson_orders(
    blocks: Iterable[AffineBlock], x_0: Float[Tensor, "*tokens d"]
) -> list[Float[Tensor, "*tokens d"]]:
    """Every order T_0 … T_L of a stack of L blocks, L(L + 1)/2 applications of a block.

    T_k is the sum over all choices of k blocks of their updates applied in order to x_0, and the
    orders sum up to what leaves the last block. Partial sums are `itertools.accumulate` of them.

    Parameters
    ----------
    blocks
        The blocks, first to last. They are traversed once, and none is kept.
    x_0
        What enters the first; it is T_0 itself, not a copy.
    """
    state = GradedState(x_0, homogeneous=True)
    for block in blocks:
        state.multiply(block)
    return state.grades


@dataclass(frozen=True)
class OrderNorms:
    """Sizes of the orders, all relative to the norm of the last state x_L.

    Attributes
    ----------
    norm
        ``[L + 1]``, those of the orders T_k.
    partial_error
        ``[L + 1]``, that of T_0 + … + T_m − x_L for every m; the last one is rounding.
    """

    norm: Float[Tensor, "K"]
    partial_error: Float[Tensor, "K"]

    @property
    def cumulative(self) -> Float[Tensor, "K"]:
        """Sums of the norms up to each order; the last one is the cancellation."""
        return self.norm.cumsum(0)

    @property
    def cancellation(self) -> float:
        """Sum of all norms: how many times x_L the orders are, which sum up to x_L."""
        return float(self.norm.sum())

    @property
    def path_lengths(self) -> Float[Tensor, "K"]:
        """Share of each order in the sum of norms, the distribution of the lengths of paths."""
        return self.norm / self.norm.sum()

    @property
    def mean_path_length(self) -> float:
        """Mean of that distribution."""
        return float(self.path_lengths @ torch.arange(len(self.norm)).to(self.norm))

    def converged_at(self, below: float = CONVERGED_BELOW) -> int | None:
        """Least order from which on the partial error stays within a bound; None if there is none.

        A partial sum that comes near by chance and leaves again has not converged.
        """
        outside = (self.partial_error > below).nonzero()
        first = int(outside[-1]) + 1 if len(outside) else 0
        return first if first < len(self.norm) else None

    @property
    def update_size(self) -> float:
        """The v for which C(L, k) vᵏ is nearest to the norms by likelihood.

        Equal commuting updates of size v have such orders. Their path lengths are binomial, with
        probability v/(1 + v), and the most likely one has the mean that is found.
        """
        mean = self.mean_path_length
        return mean / (len(self.norm) - 1 - mean)

    @property
    def guide(self) -> Float[Tensor, "K"]:
        """C(L, k) vᵏ with v = `update_size`, scaled to the sum of the norms."""
        blocks = len(self.norm) - 1
        mass = binom.pmf(range(blocks + 1), blocks, self.mean_path_length / max(blocks, 1))
        return self.norm.sum() * torch.from_numpy(mass).to(self.norm)


@torch.no_grad()
def order_norms(
    orders: Iterable[Float[Tensor, "N T d"]],
    x_L: Float[Tensor, "N T d"],
    *,
    first_token: int = 0,
) -> OrderNorms:
    """Sizes of the orders and of the partial sums' errors, Frobenius norms in float64.

    Parameters
    ----------
    orders
        As :func:`dyson_orders` gives them.
    x_L
        What left the last block.
    first_token
        Tokens of each sequence before this one are left out: 1 leaves out the first, which in many
        decoders outweighs all others.

    Raises
    ------
    ValueError
        When no token is left, or x_L is zero.
    """
    target = x_L[:, first_token:].double()
    size = torch.linalg.vector_norm(target)
    if not size > 0:
        raise ValueError(f"the last state is zero or has no tokens from {first_token} on")
    norms, errors, partial = [], [], torch.zeros_like(target)
    for order in orders:
        term = order[:, first_token:].double()
        partial += term
        norms.append(torch.linalg.vector_norm(term))
        errors.append(torch.linalg.vector_norm(partial - target))
    return OrderNorms(torch.stack(norms) / size, torch.stack(errors) / size)
