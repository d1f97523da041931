"""How well one affine map of tokens, the same for all, does what a block does."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.defaults import RIDGE_FOLDS, TOKENS_PER_DIMENSION

RIDGES = tuple(10.0**power for power in range(-12, 3))
"""Penalties to choose from, in units of the mean eigenvalue of the tokens' Gram matrix."""


@dataclass(frozen=True)
class Linearity:
    """R² on held-out tokens of the best affine map from what enters a block.

    Attributes
    ----------
    state
        To what leaves the block: high for any residual block, since what enters is in both.
    update
        To the difference of the two. Both are None where there are too few tokens.
    note
        Why there is nothing, or empty.
    """

    state: float | None
    update: float | None
    note: str


@torch.no_grad()
def linearity(
    before: Float[Tensor, "n d"], after: Float[Tensor, "n d"], *, folds: int = RIDGE_FOLDS
) -> Linearity:
    """Fit by ridge regression, in float64, and score on tokens that were held out.

    Parameters
    ----------
    before, after
        States of n tokens that enter and leave the block, sequence after sequence.
    folds
        Runs of consecutive tokens, each held out once, so that most neighbours of a token are on
        its side. The penalty is chosen by generalised cross-validation on the others (Golub, Heath
        and Wahba, 1979).
    """
    n, d = before.shape
    needed = TOKENS_PER_DIMENSION * d
    if n < needed:
        return Linearity(None, None, f"{n} tokens, and an affine map of {d} wants {needed}")
    x = before.double()
    targets = torch.cat([after.double(), after.double() - x], 1)
    residual, total = torch.zeros(2, dtype=x.dtype), torch.zeros(2, dtype=x.dtype)
    for held in torch.arange(n, device=x.device).tensor_split(folds):
        kept = torch.ones(n, dtype=torch.bool, device=x.device)
        kept[held] = False
        centre, level = x[kept].mean(0), targets[kept].mean(0)
        maps = _ridge(x[kept] - centre, targets[kept] - level)
        deviation = targets[held] - level
        error = deviation - (x[held] - centre) @ maps
        for sums, part in ((residual, error), (total, deviation)):
            sums += part.square().sum(0).view(2, d).sum(1).cpu()
    state, update = (
        1 - float(r) / float(t) if t > 0 else None for r, t in zip(residual, total, strict=True)
    )
    return Linearity(state, update, "" if update is not None else "there is no update")


def _ridge(x: Float[Tensor, "k d"], targets: Float[Tensor, "k dd"]) -> Float[Tensor, "d dd"]:
    """The maps to both targets side by side, each with the penalty that its own score prefers."""
    k, d = x.shape
    eigenvalues, frame = torch.linalg.eigh(x.T @ x)
    eigenvalues = eigenvalues.clamp(min=0)
    loads = frame.T @ (x.T @ targets)
    penalties = eigenvalues.mean() * torch.tensor(RIDGES).to(x)
    maps = []
    for load, target in zip(loads.split(d, 1), targets.split(d, 1), strict=True):
        power = load.square().sum(1)
        shrunk = 1 / (eigenvalues + penalties[:, None])
        explained = (power * (2 * shrunk - eigenvalues * shrunk.square())).sum(1)
        left = (target.square().sum() - explained).clamp(min=0)
        freedom = (k - 1 - (eigenvalues * shrunk).sum(1)).clamp(min=1)
        best = penalties[(left / freedom.square()).argmin()]
        maps.append(frame @ (load / (eigenvalues + best)[:, None]))
    return torch.cat(maps, 1)
