r"""Gauge observables of a layer: field strength, action and Wilson loops (paper, section 6).

The heads are read as gauge potentials, :math:`F_{ij} = [A_i, A_j]` as their field strength. F
itself is in :mod:`headalgebra.algebra.commutators`; here are the traces that a gauge theory would
make of it. Everything is computed in r×r blocks.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.gram import GramBlocks


def squared_field_strength_traces(blocks: GramBlocks) -> Float[Tensor, "H H"]:
    r""":math:`\mathrm{tr}([A_i,A_j]^2)` for i < j, zero elsewhere.

    It is :math:`2\,\mathrm{tr}(A_iA_jA_iA_j) - 2\,\mathrm{tr}(A_i^2A_j^2)`, of either sign: minus
    the squared norm for symmetric operators, whose commutators are skew. Beyond the Gram products
    this costs about 4 H² r³ flops.
    """
    M, diagonal = blocks.M_of_heads(), blocks.diagonal_M()
    n_heads = len(diagonal)
    traces = M.new_zeros(n_heads, n_heads)
    for i in range(n_heads):
        # tr((M_ij M_ji)²) − tr(M_ii M_ij M_jj M_ji)
        out, back = M[i, i + 1 :], M[i + 1 :, i]
        round_trip = out @ back
        through = (diagonal[i] @ out) @ (diagonal[i + 1 :] @ back)
        squares = (round_trip * round_trip.mT).sum((-2, -1))
        traces[i, i + 1 :] = 2 * (squares - through.diagonal(dim1=-2, dim2=-1).sum(-1))
    return traces


def action(traces: Float[Tensor, "*pairs"]) -> float:
    """S: the sum of :func:`squared_field_strength_traces`; zero for a single head."""
    return float(traces.sum())


@dataclass(frozen=True)
class WilsonLoops:
    r"""Traces around small squares spanned by pairs of heads i < j.

    Attributes
    ----------
    i, j
        ``[P]``, the heads of each pair.
    deviation
        ``[P]``, :math:`W_{ij} - 1`, to full relative precision however small it is; not a number
        where a head is zero.
    """

    i: Tensor
    j: Tensor
    deviation: Float[Tensor, "P"]

    @property
    def mean(self) -> float:
        """Mean of W over the pairs; not a number for a single head or where a head is zero."""
        return 1.0 + float(self.deviation.mean())

    @property
    def mean_absolute_deviation(self) -> float:
        """Mean of \\|W - 1\\| over the pairs."""
        return float(self.deviation.abs().mean())


def wilson_loops(
    blocks: GramBlocks, spectral_norms: Float[Tensor, "H"], *, t: float
) -> WilsonLoops:
    r""":math:`W_{ij}(t) = \mathrm{tr}(e^{tA_i} e^{tA_j} e^{-tA_i} e^{-tA_j})/d` for i < j.

    Each operator is first divided by its spectral norm (``[H]``). For small t,
    :math:`W_{ij} = 1 + t^4\,\mathrm{tr}([A_i,A_j]^2)/(2d) + O(t^6)`.

    Notes
    -----
    With :math:`e^{tA_i} = 1 + X` and :math:`e^{tA_j} = 1 + Y`, and bars for -t, the terms of first
    to third order cancel exactly and :math:`W - 1 = \mathrm{tr}([X, Y] \bar X \bar Y)/d`: no
    small difference of large numbers is formed. With :math:`X = Q Φ K^\top`, where Φ is
    :math:`t φ(tM)`, :math:`φ(z) = (e^z - 1)/z`, this is two traces of r×r blocks.
    """
    M, diagonal = blocks.M_of_heads(), blocks.diagonal_M()
    zero = spectral_norms == 0
    time = t / torch.where(zero, torch.ones_like(spectral_norms), spectral_norms)
    forward, backward = _exponential_blocks(diagonal, time), _exponential_blocks(diagonal, -time)
    # X̄X and YȲ through the heads' own diagonal block.
    unwound = forward @ diagonal @ backward
    n_heads = len(diagonal)
    i, j = torch.triu_indices(n_heads, n_heads, offset=1, device=M.device)
    deviations = [M.new_zeros(0)]
    for first in range(n_heads - 1):
        rest = slice(first + 1, None)
        out, back = M[first, rest], M[rest, first]
        # tr(X Y X̄ Ȳ) − tr(Y X X̄ Ȳ)
        around = (forward[first] @ out @ forward[rest] @ back) * (
            (backward[first] @ out @ backward[rest] @ back).mT
        )
        folded = (unwound[first] @ out) * (unwound[rest] @ back).mT
        deviations.append((around - folded).sum((-2, -1)) / blocks.operators.d_model)
    deviation = torch.cat(deviations).masked_fill(zero[i] | zero[j], math.nan)
    return WilsonLoops(i, j, deviation)


def _exponential_blocks(M: Float[Tensor, "H r r"], t: Float[Tensor, "H"]) -> Float[Tensor, "H r r"]:
    r""":math:`Φ = t φ(tM)`, so that :math:`e^{tQK^\top} = 1 + QΦK^\top`; M may be singular."""
    n_heads, r, _ = M.shape
    scaled = t[:, None, None] * M
    bordered = M.new_zeros(n_heads, 2 * r, 2 * r)
    bordered[:, :r, :r] = scaled
    bordered[:, :r, r:] = torch.eye(r, dtype=M.dtype, device=M.device)
    return t[:, None, None] * torch.linalg.matrix_exp(bordered)[:, :r, r:]
