"""Chen's identity and the antipode on Dyson orders: identities of any product of I + V.

Words in the blocks, deconcatenated and concatenated, form a Hopf algebra. What is said here holds
for every residual network, trained or not, so that it certifies the computation and no model. That
it is what the Hopf paper's "coherence" means is our reading of its abstract.
"""

from collections.abc import Iterable, Reversible, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.defaults import HOPF_GRADES
from headalgebra.dyson.graded import AffineBlock, GradedState


@torch.no_grad()
def chen_residuals(
    blocks: Iterable[AffineBlock],
    x_0: Float[Tensor, "*tokens d"],
    *,
    cuts: Sequence[int],
    grades: int = HOPF_GRADES,
) -> Float[Tensor, "cuts K"]:
    r"""Residuals of :math:`T_k(L←0) = \sum_j T_{k-j}(L←l)\, T_j(l←0)` at some cuts l.

    Each is relative to the sum of the norms of the right side's terms. A cut in the middle costs
    some (L − l) g²/2 applications of a block and holds as many as g²/2 states, g the grades.

    Parameters
    ----------
    blocks
        The blocks, first to last, traversed once.
    x_0
        What enters the first.
    cuts
        Numbers of blocks l before the cuts, from 0 (nothing to test) to L.
    grades
        The highest order that is compared.

    Returns
    -------
    Tensor
        ``[cuts, k + 1]`` with k = min(grades, L), in float64.

    Raises
    ------
    ValueError
        When a cut lies behind the last block.
    """
    whole = GradedState(x_0, homogeneous=True)
    behind: dict[int, list[GradedState]] = {}
    depth = 0
    if 0 in cuts:
        behind[0] = _apart(whole.grades)
    for depth, block in enumerate(blocks, start=1):
        for parts in behind.values():
            for j, part in enumerate(parts):
                part.multiply(block, grades - j)
        whole.multiply(block, grades)
        if depth in cuts:
            behind[depth] = _apart(whole.grades)
    if missing := sorted(set(cuts) - set(behind)):
        raise ValueError(f"no cut at {missing[0]} in {depth} blocks")
    return torch.stack([_residuals(behind[cut], whole.grades) for cut in cuts])


@torch.no_grad()
def antipode_residuals(
    blocks: Reversible[AffineBlock],
    orders: Sequence[Float[Tensor, "*tokens d"]],
    *,
    grades: int = HOPF_GRADES,
) -> Float[Tensor, "K"]:
    r"""Residuals of :math:`\sum_j S_j T_{k-j}\, x_0 = 0` for k ≥ 1, S the graded inverse.

    :math:`S_k = (-1)^k \sum_{l_1 \le … \le l_k} V_{l_1} \cdots V_{l_k}` inverts
    :math:`\prod_l (I + λV_l)` grade by grade. Each residual is relative to
    :math:`\sum_j \lVert S_j T_{k-j} \rVert`. It takes L g (g + 1)/2 applications of a block, g the
    grades.

    Parameters
    ----------
    blocks
        The blocks that made the orders, traversed once from last to first.
    orders
        T_0 … T_L, or those up to `grades`.
    grades
        The highest grade.

    Returns
    -------
    Tensor
        ``[k + 1]`` with k = min(grades, L), in float64. That of grade 0, S_0 T_0 − x_0, is 0.
    """
    parts = _apart(orders[: grades + 1])
    top = len(parts) - 1
    for block in reversed(blocks):
        for j, part in enumerate(parts):
            part.divide(block, top - j)
    nothing = [parts[0].grades[0], *(torch.zeros_like(orders[0]) for _ in range(top))]
    return _residuals(parts, nothing)


def _apart(orders: Sequence[Tensor]) -> list[GradedState]:
    """Each order as a graded state of its own; only that of x_0 has the coordinate s."""
    return [GradedState(order.clone(), homogeneous=j == 0) for j, order in enumerate(orders)]


def _residuals(parts: Sequence[GradedState], whole: Sequence[Tensor]) -> Float[Tensor, "K"]:
    """How far the parts' sums are from the whole at each grade, relative to the parts' norms."""
    residuals = []
    for k, expected in enumerate(whole):
        terms = [
            part.grades[k - j].double()
            for j, part in enumerate(parts[: k + 1])
            if k - j < len(part.grades)
        ]
        size = torch.stack([torch.linalg.vector_norm(term) for term in terms]).sum()
        error = torch.linalg.vector_norm(torch.stack(terms).sum(0) - expected.double())
        residuals.append(torch.where(size > 0, error / size, error))
    return torch.stack(residuals)
