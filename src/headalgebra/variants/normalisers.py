"""A norm that is learned, in parallel heads that talk to one another (002, section ω + 1)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

ROUNDS = 2
"""How often a symmetriser takes off its means and divides by its sizes."""

ON_ITS_OWN = 0.99
"""Of what a head hears at the start from the identity, its own share: a softmax gives no 1."""


class HeadScale(nn.Module):
    """One over the size of each head's block, as the heads agree on it."""

    def forward(
        self,
        centred: Float[Tensor, "*n H w"],
        mixing: Float[Tensor, "H H"],
        epsilon: Float[Tensor, "*n H"],
    ) -> tuple[Float[Tensor, "*n H 1"], Float[Tensor, "*n H"]]:
        """The scale, and the ε of the scaled block: ``epsilon`` in its units.

        Where all heads hear all others alike, the mean square of what is scaled and the new ε are
        1 together, so that another round changes nothing.
        """
        size = centred.square().mean(-1) @ mixing.T + epsilon
        return size.rsqrt()[..., None], epsilon / size


class Symmetriser(nn.Module):
    """Takes off means and divides by sizes of H blocks of axes, which are mixed between them.

    In a round each head takes the mean of its block, hears the others' by a row of a matrix that is
    learned, and takes off what it has heard; then the same with the mean square of what is left,
    by which it divides. Rows are softmaxes, so that all weights are positive and sum to 1. At the
    mixing 1/H this is a LayerNorm, whatever the number of rounds; at the identity, one for each
    block.

    Parameters
    ----------
    d_model
        Width of what is normalised.
    n_heads
        H, a divisor of it.
    epsilon
        Added to the mean squares.
    mixing
        ``"uniform"``, where all rows start at 1/H; or ``"identity"``, where a head starts at
        hearing :data:`ON_ITS_OWN` of itself.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        epsilon: float,
        mixing: Literal["uniform", "identity"] = "uniform",
    ) -> None:
        super().__init__()
        self.n_heads, self.eps = n_heads, epsilon
        logits = torch.zeros(2 * ROUNDS, n_heads, n_heads)
        if mixing == "identity" and n_heads > 1:
            odds = torch.tensor(ON_ITS_OWN / (1 - ON_ITS_OWN) * (n_heads - 1))
            logits = logits + odds.log() * torch.eye(n_heads)
        self.mixing_logits = nn.Parameter(logits)
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.scale = HeadScale()

    def forward(self, states: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Normalise each token by itself."""
        blocks = states.unflatten(-1, (self.n_heads, -1))
        epsilon = torch.full_like(blocks[..., 0], self.eps)
        for of_means, of_sizes in self.mixing_logits.softmax(-1).split(2):
            blocks = blocks - (blocks.mean(-1) @ of_means.T)[..., None]
            scale, epsilon = self.scale(blocks, of_sizes, epsilon)
            blocks = blocks * scale
        return blocks.flatten(-2) * self.weight + self.bias
