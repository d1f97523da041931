"""How far attention patterns are from convolutions."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headalgebra.convolution.by_lag import LagModel
from headalgebra.defaults import NULL_PATTERNS


@dataclass(frozen=True)
class Convolution:
    """The convolution nearest to the patterns of each head of a layer.

    Attributes
    ----------
    share
        ``[H]``, of the variation of log P within rows, what depends on the lag alone.
    chance
        ``[H]``, the same when the visible weights of every row are permuted.
    pattern
        ``[H, T, T]``, the fitted convolution, rows normalised, to stand in the place of P.
    """

    share: Float[Tensor, "H"]
    chance: Float[Tensor, "H"]
    pattern: Float[Tensor, "H T T"]


@torch.no_grad()
def fit_convolution(
    patterns: Float[Tensor, "N H T T"],
    generator: np.random.Generator,
    *,
    visible: Bool[Tensor, "T T"] | None = None,
    draws: int = NULL_PATTERNS,
) -> Convolution:
    r"""Fit :math:`\log P_{ij} = a_i + c_{i-j}` to the patterns of N sequences, head by head.

    The kernel c is the head's, the a_i are what the softmax of each row makes of it. The share is 1
    for any kernel with normalised rows, uniform attention included, and by chance near 2/(NT) under
    a causal mask.

    Parameters
    ----------
    patterns
        Attention weights P of N sequences, rows summing to one.
    generator
        Of the permutations.
    visible
        Which pairs the mask lets through; by default those that have a weight anywhere.
    draws
        Permuted patterns whose mean share is the chance.

    Notes
    -----
    A visible weight below the smallest normal number counts as that.
    """
    tokens = patterns.shape[-1]
    if visible is None:
        visible = (patterns > 0).any(0).any(0)
    place = torch.arange(tokens, device=patterns.device)
    model = LagModel(place[:, None] - place, visible)
    logarithms = patterns.clamp(min=torch.finfo(patterns.dtype).tiny).double().log()
    share, kernel = model.fit(logarithms)
    pattern = kernel.masked_fill(~visible, -torch.inf).softmax(-1)
    chance = model.chance(logarithms, generator, draws)
    return Convolution(share, chance, pattern.to(patterns.dtype))
