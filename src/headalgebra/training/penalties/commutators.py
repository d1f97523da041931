"""Penalties in the commutators of pairs of heads: their size, or a size that ε is to have.

With the blocks ``QQ_ij = Q_iᵀQ_j``, ``KK_ij = K_iᵀK_j`` and ``M_ij = K_iᵀQ_j``,

    ‖A_i A_j‖² = tr(QQ_ii M_ij KK_jj M_ijᵀ),    ⟨A_i A_j, A_j A_i⟩ = tr(M_ijᵀ QQ_ij M_ji KK_ij),

so that no d×d matrix is formed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.rounding import ROUNDING_MARGIN, UNIT_ROUNDOFF
from headalgebra.training.penalties.penalty import Penalty, squared_norms


@dataclass(frozen=True, kw_only=True)
class Commutator(Penalty):
    """Mean over pairs of heads of ``‖[A_i, A_j]‖² / (‖A_i‖² ‖A_j‖²)`` (000, section 6)."""

    def of_layer(
        self, Q: Float[Tensor, "H d s"], K: Float[Tensor, "H d s"], layer: int, step: int
    ) -> Float[Tensor, ""]:
        """Of one layer; the same at every step."""
        norms = squared_norms(Q, K)
        i, j = _pairs(Q)
        return (squared_commutators(Q, K) / (norms[i] * norms[j])).mean()


@dataclass(frozen=True, kw_only=True)
class Target(Penalty):
    """``(log ε − log target)²``, with ε the mean of ``‖[A_i, A_j]‖ / d`` over pairs of heads.

    For phases that are designed (000, section 6, principle 2).

    Attributes
    ----------
    targets
        ε that each layer is to have, positive.
    """

    targets: Sequence[float]

    def __post_init__(self) -> None:
        """Refuse targets without a logarithm."""
        if not all(target > 0 for target in self.targets):
            raise ValueError(f"targets {[*self.targets]} are not all positive")

    def of_layer(
        self, Q: Float[Tensor, "H d s"], K: Float[Tensor, "H d s"], layer: int, step: int
    ) -> Float[Tensor, ""]:
        """Of one layer; the same at every step.

        Raises
        ------
        ValueError
            If there is no target for it, or its heads commute to rounding, as at a commuting start,
            where log ε is infinite.
        """
        if layer >= len(self.targets):
            raise ValueError(f"{len(self.targets)} targets are too few for layer {layer}")
        epsilon = guarded_root(squared_commutators(Q, K)).mean() / Q.shape[1]
        rounding = ROUNDING_MARGIN * UNIT_ROUNDOFF[Q.dtype] * squared_norms(Q, K).mean()
        if epsilon * Q.shape[1] <= rounding:
            raise ValueError(f"the heads of layer {layer} commute: log ε is infinite")
        return (epsilon / self.targets[layer]).log().square()


def squared_commutators(
    Q: Float[Tensor, "H d s"], K: Float[Tensor, "H d s"]
) -> Float[Tensor, " P"]:
    """``‖[A_i, A_j]‖²``, Frobenius, of the pairs i < j in the order of the upper triangle's rows.

    Rounding may leave one slightly negative where heads nearly commute.
    """
    heads, _, s = Q.shape
    queries, keys = (it.transpose(0, 1).flatten(1) for it in (Q, K))

    def blocks(left: Tensor, right: Tensor) -> Tensor:
        return (left.T @ right).unflatten(0, (heads, s)).unflatten(2, (heads, s)).transpose(1, 2)

    QQ, KK, M = blocks(queries, queries), blocks(keys, keys), blocks(keys, queries)
    each = torch.arange(heads, device=Q.device)
    i, j = _pairs(Q)
    products = ((QQ[each, each][:, None] @ M) * (M @ KK[each, each][None])).sum((-2, -1))
    overlaps = ((QQ[i, j].mT @ M[i, j]) * (M[j, i] @ KK[i, j])).sum((-2, -1))
    return products[i, j] + products[j, i] - 2 * overlaps


def guarded_root(squares: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """√x, and 0 with the gradient 0 where x is not positive; torch's own is infinite there."""
    positive = squares > 0
    return torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), 0.0)


def _pairs(Q: Float[Tensor, "H d s"]) -> Tensor:
    return torch.triu_indices(len(Q), len(Q), 1, device=Q.device)
