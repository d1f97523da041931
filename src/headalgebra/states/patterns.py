"""Where attention looks: how far, how evenly, at the first token, at what followed before.

A pair (i, j) is visible if the mask lets token i see token j. Every measure is a mean over heads
and over the tokens that have a choice.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

INDUCTION_TOKENS = 32
"""Distinct tokens of the sequence on which induction is measured; it has each twice."""


def visible_pairs(probabilities: Float[Tensor, "N H T T"]) -> Bool[Tensor, "T T"]:
    """Pairs to which any head gives anything in any sequence: the mask, as the softmax shows it."""
    return (probabilities > 0).any(0).any(0)


def distance_ratio(
    probabilities: Float[Tensor, "N H T T"],
    visible: Bool[Tensor, "T T"],
    *,
    without_first: bool = False,
) -> float:
    """Mean distance ``Σ_j P_ij |i − j|`` over that of uniform attention on the visible pairs.

    Parameters
    ----------
    probabilities
        Rows that sum to 1, or to less where attention has a sink.
    visible
        Of the mask.
    without_first
        Leave the first token out as a target and renormalise. A row with nothing left is left out.

    Returns
    -------
    float
        1 for uniform attention, 0 for attention of each token to itself; NaN if none has a choice.
    """
    if without_first:
        probabilities, visible = probabilities[..., 1:], visible[:, 1:]
    given = probabilities.sum(-1)
    # No row of a softmax sums to 0, but one may be all sink.
    counted = (visible.sum(-1) > 0) & (given > 0)
    places = torch.arange(len(visible), device=visible.device)
    apart = (places[:, None] - places).abs().to(probabilities)
    apart = apart[:, 1:] if without_first else apart
    uniform = (visible * apart).sum(-1) / visible.sum(-1).clamp_min(1)
    found = (probabilities * apart).sum(-1) / torch.where(counted, given, 1.0)
    return float((found * counted).sum() / (uniform * counted).sum())


def attention_to_first(probabilities: Float[Tensor, "N H T T"]) -> float:
    """Mean attention of the later tokens to the first of their sequence."""
    return float(probabilities[..., 1:, 0].mean())


def attention_to_self(probabilities: Float[Tensor, "N H T T"]) -> float:
    """Mean attention of a token to itself."""
    return float(probabilities.diagonal(dim1=-2, dim2=-1).mean())


def attention_to_later(probabilities: Float[Tensor, "N H T T"]) -> float:
    """Largest attention of a token to a later one, 0 where the mask is causal."""
    return float(probabilities.triu(1).max())


def entropy_share(probabilities: Float[Tensor, "N H T T"], visible: Bool[Tensor, "T T"]) -> float:
    """Mean entropy of a row over the logarithm of the number that the row sees.

    1 for uniform attention, 0 for attention to one token. Rows that see one token are left out.
    """
    seen = visible.sum(-1)
    entropy = -torch.special.xlogy(probabilities, probabilities).sum(-1)
    return float((entropy[..., seen > 1] / seen[seen > 1].to(entropy).log()).mean())


def induction_tokens(
    tokens: Int[Tensor, "N T"], generator: torch.Generator
) -> Int[Tensor, "1 M"] | None:
    """A random sequence of distinct tokens out of a text, repeated once.

    None if the text has fewer than :data:`INDUCTION_TOKENS` distinct ones.
    """
    found = torch.unique(tokens.cpu())
    if len(found) < INDUCTION_TOKENS:
        return None
    drawn = found[torch.randperm(len(found), generator=generator)[:INDUCTION_TOKENS]]
    return torch.cat([drawn, drawn])[None]


def induction_score(probabilities: Float[Tensor, "N H M M"]) -> Float[Tensor, " H"]:
    """Mean attention of the second copy to the token after the same token's first occurrence.

    Of each head, on a sequence of n distinct tokens repeated once.
    """
    n = probabilities.shape[-1] // 2
    first = torch.arange(n, device=probabilities.device)
    return probabilities[..., n + first, first + 1].mean((0, 2))
