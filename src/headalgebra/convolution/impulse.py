"""The response of the last state to a perturbation of one token of the first."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.convolution.by_lag import LagModel
from headalgebra.defaults import IMPULSE_DRAWS, NULL_PATTERNS


@torch.no_grad()
def impulse_response(
    tangents: Iterable[Callable[[Tensor], Tensor]],
    x_0: Float[Tensor, "N T d"],
    generator: np.random.Generator,
    *,
    positions: Sequence[int],
    draws: int = IMPULSE_DRAWS,
) -> Float[Tensor, "P T"]:
    """Root mean square of |δx_L| at each token, of unit perturbations of x_0 at some positions.

    Parameters
    ----------
    tangents
        Each block's derivative, from perturbations ``[n, N, T, d]`` of what enters it to those of
        what leaves it; first to last, traversed once.
    x_0
        What enters the first block; its shape, dtype and device are used.
    generator
        Of the perturbations' directions.
    positions
        Tokens p that are perturbed, one at a time, in all N sequences at once.
    draws
        Directions for each position.

    Returns
    -------
    Tensor
        ``[P, T]``, mean squares over draws and sequences.
    """
    sequences, _, d = x_0.shape
    places = np.repeat(positions, draws)
    directions = torch.from_numpy(generator.standard_normal((len(places), sequences, d))).to(x_0)
    perturbations = x_0.new_zeros(len(places), *x_0.shape)
    of_each = torch.arange(len(places))
    perturbations[of_each, :, places] = torch.nn.functional.normalize(directions, dim=-1)
    for tangent in tangents:
        perturbations = tangent(perturbations)
    squares = perturbations.double().square().sum(-1).mean(1)
    return squares.view(len(positions), draws, -1).mean(1).sqrt()


@torch.no_grad()
def impulse_share(
    response: Float[Tensor, "P T"],
    generator: np.random.Generator,
    *,
    positions: Sequence[int],
    draws: int = NULL_PATTERNS,
) -> tuple[float, float]:
    """Share of log response within rows that depends on the lag q − p alone, and by chance.

    Tokens that a perturbation does not reach, as those before it in a decoder, are left out. With
    few positions many lags have one pair, which any kernel fits: the chance has that too.
    """
    reached = response > 0
    tokens = torch.arange(response.shape[-1], device=response.device)
    lags = tokens - torch.tensor(positions, device=response.device)[:, None]
    model = LagModel(lags, reached)
    logarithms = torch.where(reached, response, 1).log()[None]
    return float(model.fit(logarithms)[0]), float(model.chance(logarithms, generator, draws))
