"""Random layers with the anisotropy that the residual stream gives every head of a layer."""

import math

import numpy as np
import torch

from headalgebra.algebra.nulls._draws import with_norms_of
from headalgebra.algebra.operators import HeadOperators


def pooled_factors(operators: HeadOperators, generator: np.random.Generator) -> HeadOperators:
    r"""Heads drawn alike from the pooled second moments of a layer's factors.

    With :math:`S_Q = \sum_h Q_h Q_h^\top/(H r)` and :math:`S_K` likewise over the key heads, the
    columns of every :math:`Q'_h` are normal with covariance :math:`S_Q`, and those of every
    :math:`K'_g` with covariance :math:`S_K`. Each head is then scaled to the Frobenius norm it had;
    a zero head stays zero. What all heads share stays: the directions of the residual stream that
    queries and keys favour, and which heads share a key. What sets one head apart from another
    goes.

    Notes
    -----
    :math:`[Q_1 … Q_H] X/\sqrt{Hr}` with standard normal X of Hr rows has that covariance, so no
    root of :math:`S_Q` is ever formed: one product of 2 d (Hr)² flops, and one for the keys.

    The moments of Hr columns scatter about the law that the columns come from, so that draws are a
    little more anisotropic than a layer of that law: their closure is larger by a tenth at
    Hr = 144, by a third at Hr = 48.
    """
    drawn = HeadOperators(
        _mixed(operators.query_matrix, generator),
        _mixed(operators.key_matrix, generator),
        operators.key_of_head,
    )
    return with_norms_of(operators, drawn)


def _mixed(factors: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    width = factors.shape[1]
    normal = torch.from_numpy(generator.standard_normal((width, width))).to(factors)
    return factors @ normal / math.sqrt(width)
