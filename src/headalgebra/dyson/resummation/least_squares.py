"""Reduced rank extrapolation, and Anderson's variant of it, of sequences of vectors."""

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headalgebra.rounding import ROUNDING_MARGIN, UNIT_ROUNDOFF


def mixing_weights(
    sequence: Float[Tensor, "terms n d"],
) -> tuple[Float[Tensor, "steps n"], Bool[Tensor, "n"]]:
    r"""The γ of :math:`\min \lVert \sum_i γ_i u_i \rVert`, Σγ_i = 1, over the steps u_i.

    :math:`u_i = y_{i+1} - y_i`. By QR with column pivoting: normal equations would square the
    condition number, and of several minimisers the one with the least ξ below is wanted.

    Returns
    -------
    weights
        γ of every vector.
    vanishing
        Which of the vectors have a step within rounding of zero. Its own y_i, which no step moves,
        is then what all weight falls on.
    """
    steps = sequence.diff(dim=0)
    # With u_0 + Σ ξ_j (u_{j+1} − u_j) the weights sum to one whatever ξ is.
    curvature = steps.diff(dim=0).permute(1, 2, 0)
    weights = torch.zeros_like(steps[..., 0])
    weights[0] = 1
    if curvature.shape[-1]:
        rcond = ROUNDING_MARGIN * UNIT_ROUNDOFF[sequence.dtype]
        # The same routine called by torch gives other digits at every call.
        solved = [
            scipy.linalg.lstsq(c, -u, cond=rcond, lapack_driver="gelsy", check_finite=False)[0]
            for c, u in zip(curvature.cpu().numpy(), steps[0].cpu().numpy(), strict=True)
        ]
        xi = torch.from_numpy(np.stack(solved, axis=-1)).to(sequence)
        weights[:-1] -= xi
        weights[1:] += xi
    return weights, vanishes(steps, sequence[1:], sequence[:-1]).any(0)


def reduced_rank(
    sequence: Float[Tensor, "terms n d"], weights: Float[Tensor, "steps n"]
) -> Float[Tensor, "n d"]:
    """Σ γ_i y_i; with the step as error vector this is Pulay's DIIS (1980).

    Exact on an affine iteration with k distinct modes from k + 2 terms on, a complex pair counting
    as two.
    """
    return torch.einsum("in,ind->nd", weights, sequence[:-1])


def anderson(
    sequence: Float[Tensor, "terms n d"], weights: Float[Tensor, "steps n"]
) -> Float[Tensor, "n d"]:
    """Σ γ_i y_{i+1}, Anderson's method (1965) with mixing 1."""
    return torch.einsum("in,ind->nd", weights, sequence[1:])


def vanishes(
    difference: Float[Tensor, "*batch d"],
    one: Float[Tensor, "*batch d"],
    other: Float[Tensor, "*batch d"],
) -> Bool[Tensor, "*batch"]:
    """Whether the difference of two vectors is within rounding of the larger one."""
    larger = torch.maximum(
        torch.linalg.vector_norm(one, dim=-1), torch.linalg.vector_norm(other, dim=-1)
    )
    margin = ROUNDING_MARGIN * UNIT_ROUNDOFF[difference.dtype]
    return torch.linalg.vector_norm(difference, dim=-1) <= margin * larger
