"""Random layers with the anisotropy that the residual stream gives every head of a layer."""

import numpy as np
import torch

from headalgebra.algebra.nulls._draws import with_norms_of
from headalgebra.algebra.operators import HeadOperators


def pooled_factors(operators: HeadOperators, generator: np.random.Generator) -> HeadOperators:
    r"""Heads drawn alike, from the pooled second moments of a layer's factors.

    The Hr columns of all queries are mixed by a Haar-distributed rotation of :math:`R^{Hr}`, and so
    are those of the key heads by another. The pooled moments
    :math:`S_Q = \sum_h Q_h Q_h^\top/(H r)`, and :math:`S_K` likewise over the key heads, stay as
    they are. Each head is then scaled to the Frobenius norm it had; a zero head stays zero. What
    all heads share stays: the directions of the residual stream that queries and keys favour, and
    which heads share a key. What sets one head apart from another goes.

    Notes
    -----
    If all columns were independent draws of one normal law, of whatever covariance, the mixed
    columns would have the same law as the columns themselves, given their pooled moments. So the
    null is exactly fair to heads that share their law and nothing else. Columns drawn afresh with
    covariance :math:`S_Q` are not: their moments scatter about :math:`S_Q`, which itself scatters
    about the law, and a layer at its initialisation would seem a third as closed as chance.

    Costs a QR of an Hr×Hr matrix and a product of 2 d (Hr)² flops, and the same for the keys.
    """
    drawn = HeadOperators(
        _mixed(operators.query_matrix, generator),
        _mixed(operators.key_matrix, generator),
        operators.key_of_head,
    )
    return with_norms_of(operators, drawn)


def _mixed(factors: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """The columns of some factors, mixed by a rotation that favours no direction."""
    width = factors.shape[1]
    normal = torch.from_numpy(generator.standard_normal((width, width))).to(factors)
    frame, triangle = torch.linalg.qr(normal)
    return factors @ frame.mul_(triangle.diagonal().sign())
