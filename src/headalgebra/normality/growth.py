r"""Growth of perturbations through several blocks, and what may foretell it.

Of one step pseudospectra can say nothing: a random perturbation gains :math:`||J||_F/\sqrt{n}` and
the worst one ‖J‖, by the definition of these norms, whatever the spectrum. Growth through k live
blocks is therefore set beside the product of their spectral radii and the product of their
pseudospectral radii, both fixed before any is measured, and beside :math:`||J_k \cdots J_1||`.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator
from torch import Tensor

from headalgebra.defaults import GROWTH_DELTA, GROWTH_SIZE
from headalgebra.normality.maps import StateMap, norm, outermost_eigenpair

MOST_STEPS = 30

SETTLED = 1e-4
"""Relative growth of the radius in one step, below which it has settled."""


def perturbation_growth(
    run: Callable[[Tensor], Iterable[Tensor]],
    x: Float[Tensor, "N T d"],
    *,
    draws: int,
    seed: int,
    size: float = GROWTH_SIZE,
) -> Float[Tensor, "draws N L"]:
    """How much random perturbations of a state have grown after each of some live blocks.

    Parameters
    ----------
    run
        Sends a state to those after the first block, the second and so on.
    x
        What enters the first block.
    draws
        Gaussian perturbations of every sequence.
    size
        Their Frobenius norm over that of the sequence.

    Returns
    -------
    Tensor
        Norm of the difference after blocks 1 to L over its norm before.
    """
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    unmoved = list(run(x))
    growths = []
    for _ in range(draws):
        draw = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
        draw *= size * lengths / torch.linalg.vector_norm(draw, dim=(1, 2), keepdim=True)
        # What was added, and not what was asked for: it was rounded.
        added = torch.linalg.vector_norm((x + draw) - x, dim=(1, 2))
        moved = [
            torch.linalg.vector_norm(there - here, dim=(1, 2)) / added
            for there, here in zip(run(x + draw), unmoved, strict=True)
        ]
        growths.append(torch.stack(moved, dim=1))
    return torch.stack(growths)


def pseudospectral_radius_from_below(one: StateMap, share: float = GROWTH_DELTA) -> float:
    """A pseudospectral radius without forming the map: δ is a share of its norm.

    The rank-one iteration of Guglielmi and Overton (2011): the perturbation δ e^{iθ} y x*, made of
    the left and right eigenvectors of the outermost eigenvalue, moves it farthest; its eigenvalue
    gives the next. Every step's modulus is a lower bound, the last one a local maximum as a rule.
    Not a number where an eigenvalue was not found.
    """
    operator = one.operator()
    delta = share * norm(one)
    ahead = back = np.random.default_rng(0).standard_normal(one.size)
    perturbed, radius = operator, 0.0
    try:
        for _ in range(MOST_STEPS):
            value, ahead = outermost_eigenpair(perturbed, ahead)
            mirrored, back = outermost_eigenpair(perturbed.adjoint(), back)
            if abs(mirrored - np.conj(value)) > abs(mirrored - value):
                # Of a real operator's pair the other one was found.
                back = back.conj()
            settled = abs(value) <= (1 + SETTLED) * radius
            radius = max(radius, abs(value))
            if settled:
                break
            overlap = back.conj() @ ahead
            phase = value / abs(value) * overlap / abs(overlap) if value and overlap else 1.0
            perturbed = _with_rank_one(operator, delta * phase * back, ahead)
    except ArpackNoConvergence:
        return float("nan")
    return radius


def _with_rank_one(operator: LinearOperator, u: np.ndarray, v: np.ndarray) -> LinearOperator:
    """The operator plus u v*."""
    if not u.imag.any() and not v.imag.any():
        u, v = u.real.copy(), v.real.copy()
    return LinearOperator(
        operator.shape,
        matvec=lambda x: operator.matvec(x.ravel()) + u * (v.conj() @ x.ravel()),
        rmatvec=lambda y: operator.rmatvec(y.ravel()) + v * (u.conj() @ y.ravel()),
        dtype=np.result_type(u, v),
    )
