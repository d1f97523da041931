"""Attention scores: how large they are, and how far the angle of query and key makes them.

Paper 002, section 3.2. q and k are of width r, as attention is given them: positions and norms of
queries and keys included. Pairs (i, j) are those that the mask lets token i see.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headalgebra.geometry.normalisation import variation
from headalgebra.rounding import ROUNDING_MARGIN, UNIT_ROUNDOFF

INITIAL_WIDTHS = (8, 16, 32, 64, 128)
"""Of heads that are drawn to see what scores are like before training."""

INITIAL_TOKENS = 256
"""Tokens that drawn heads are given."""

INITIAL_HEADS = 8
"""Drawn heads of a width, whose mean is reported."""

TINY = torch.finfo(torch.float64).tiny
"""A vector that is no longer has no direction, and is given the cosine 0."""


@dataclass(frozen=True)
class HeadScores:
    """What the scores of each head of a layer are like; not a number where it does not exist.

    Attributes
    ----------
    std
        Standard deviation of q·k/√r over visible pairs.
    variance_ratio
        var(q·k) over Σ_a (E q_a² E k_a² − (E q_a)² (E k_a)²), its value if all coordinates of
        queries and keys were independent.
    cosine_r2
        Squared correlation of q·k with cos(q, k): the share that direction alone explains.
    query_variation, key_variation
        Standard deviation of |q| and of |k| over their means, over tokens.
    beyond_one
        Share of visible pairs with |q·k| > 1, which is no cosine.
    """

    std: Float[Tensor, " H"]
    variance_ratio: Float[Tensor, " H"]
    cosine_r2: Float[Tensor, " H"]
    query_variation: Float[Tensor, " H"]
    key_variation: Float[Tensor, " H"]
    beyond_one: Float[Tensor, " H"]


@torch.no_grad()
def head_scores(
    query: Float[Tensor, "N H T r"],
    key: Float[Tensor, "N G T r"],
    visible: Bool[Tensor, "T T"],
    *,
    first_token: int = 0,
) -> HeadScores:
    """Measure the scores of a layer in float64, a sequence at a time.

    Parameters
    ----------
    query, key
        Each of the G keys is shared by H/G query heads.
    visible
        Which pairs count.
    first_token
        Earlier tokens of each sequence are left out, as queries and as keys.
    """
    visible = visible[first_token:, first_token:]
    query, key = query[:, :, first_token:], key[:, :, first_token:]
    n, heads, _, r = query.shape
    shared = heads // key.shape[1]
    mask = visible.to(query.device, torch.float64)
    seen_by, seen = mask.sum(1), mask.sum(0)
    pairs = n * float(mask.sum())
    sums = torch.zeros(heads, 2, 2, dtype=torch.float64, device=query.device)
    totals = torch.zeros(heads, 2, dtype=torch.float64, device=query.device)
    beyond = torch.zeros(heads, dtype=torch.float64, device=query.device)
    coordinates = torch.zeros(2, 2, heads, r, dtype=torch.float64, device=query.device)
    lengths: tuple[list[Tensor], list[Tensor]] = ([], [])
    for q, k in zip(query.double(), key.double(), strict=True):
        k = k.repeat_interleave(shared, 0)
        for one, vectors in zip(lengths, (q, k), strict=True):
            one.append(torch.linalg.vector_norm(vectors, dim=-1))
        scores = (q @ k.mT) * mask
        q_units, k_units = (
            torch.nn.functional.normalize(vectors, dim=-1, eps=TINY) for vectors in (q, k)
        )
        cosines = (q_units @ k_units.mT) * mask
        both = torch.stack([scores, cosines], 1).flatten(2)
        sums += both @ both.mT
        totals += both.sum(-1)
        beyond += (scores.abs() > 1).sum((-1, -2))
        for moments, vectors, weights in zip(coordinates, (q, k), (seen_by, seen), strict=True):
            moments[0] += torch.einsum("htr,t->hr", vectors, weights)
            moments[1] += torch.einsum("htr,t->hr", vectors.square(), weights)
    means, mean_products = totals / pairs, sums / pairs
    covariance = mean_products - means[:, :, None] * means[:, None]
    variances = covariance.diagonal(dim1=1, dim2=2)
    rounding = ROUNDING_MARGIN * UNIT_ROUNDOFF[torch.float64]
    alike = (variances <= rounding * mean_products.diagonal(dim1=1, dim2=2)).any(1)
    variance = variances[:, 0].clamp_min(0)
    (q_mean, q_square), (k_mean, k_square) = coordinates / pairs
    independent = (q_square * k_square - (q_mean * k_mean).square()).sum(-1)
    correlation = covariance[:, 0, 1].square() / variances.prod(1)
    query_lengths, key_lengths = (torch.cat(one, -1) for one in lengths)
    return HeadScores(
        (variance / r).sqrt(),
        variance / independent,
        correlation.masked_fill(alike, torch.nan),
        variation(query_lengths),
        variation(key_lengths),
        beyond / pairs,
    )


def initial_scores(
    d: int,
    width: int,
    deviation: float,
    generator: np.random.Generator,
    *,
    heads: int = INITIAL_HEADS,
    tokens: int = INITIAL_TOKENS,
) -> tuple[float, float]:
    """Scores of heads that were drawn and not trained, on isotropic normalised states.

    W_q and W_k have Gaussian entries of variance σ². The paper's reason for the √r, that variance 1
    of the states gives q·k/√r variance 1, holds for σ² = 1/d alone.

    Parameters
    ----------
    d, width
        Dimension of the states, and r.
    deviation
        σ.
    generator
        Of states and weights.
    heads, tokens
        So many are drawn.

    Returns
    -------
    std
        Of q·k/√r, the root of the mean square over heads; dσ² is expected.
    variance_ratio
        As in :class:`HeadScores`, mean over heads; 1 is expected.
    """
    states = torch.from_numpy(generator.standard_normal((tokens, d)))
    z = torch.nn.functional.layer_norm(states, (d,), eps=0.0)
    q, k = (
        z @ torch.from_numpy(generator.normal(scale=deviation, size=(heads, d, width)))
        for _ in range(2)
    )
    found = head_scores(q[None], k[None], torch.ones(tokens, tokens, dtype=torch.bool))
    return math.sqrt(float(found.std.square().mean())), float(found.variance_ratio.mean())
