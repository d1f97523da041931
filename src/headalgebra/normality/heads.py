"""The head operators of a layer, from weights alone."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import CERTIFIED_WITHIN, PSEUDOSPECTRAL_DECADES, RANK_SHARE
from headalgebra.normality.compression import Compression, compress_heads
from headalgebra.normality.departure import schur_spectrum, symmetric_share
from headalgebra.normality.radii import numerical_radius, pseudospectral_radius

Quantities = dict[str, float]
"""Numbers of one head, by name."""


def head_quantities(
    operators: HeadOperators,
    *,
    decades: Sequence[int] = PSEUDOSPECTRAL_DECADES,
    margin: float = CERTIFIED_WITHIN,
) -> list[Quantities]:
    """What the weights say of every head's normality, rank and place among the axes.

    Parameters
    ----------
    decades
        The k of perturbations of size 10^-k ‖A‖, whose pseudospectral radii are found.
    margin
        Relative distance of the certified upper bounds.

    Returns
    -------
    list
        For each head those of :func:`operator_quantities`, and ``width`` r; ``own_block_share`` of
        :func:`own_block_shares`; ``query_overlap`` and ``key_overlap`` of
        :func:`reading_overlaps`; and what chance gives: ``symmetric_share_chance`` ½ + 1/(2d),
        ``own_block_chance`` (r/d)², ``overlap_chance`` r/d.
    """
    blocks = own_block_shares(operators)
    query_overlaps = reading_overlaps(operators.queries)
    key_overlaps = reading_overlaps(operators.keys)[operators.key_of_head]
    d, r = operators.d_model, operators.d_head
    return [
        {
            **operator_quantities(operator, decades=decades, margin=margin),
            "symmetric_share_chance": 0.5 + 0.5 / d,
            "width": float(r),
            "own_block_share": float(blocks[head]),
            "own_block_chance": (r / d) ** 2,
            "query_overlap": float(query_overlaps[head]),
            "key_overlap": float(key_overlaps[head]),
            "overlap_chance": min(r / d, 1.0),
        }
        for head, operator in enumerate(compress_heads(operators))
    ]


def operator_quantities(
    operator: Compression,
    *,
    decades: Sequence[int] = PSEUDOSPECTRAL_DECADES,
    margin: float = CERTIFIED_WITHIN,
) -> Quantities:
    """What can be said of one operator A, whatever its basis.

    Returns
    -------
    dict
        ``norm`` ‖A‖; ``radius_over_norm`` ρ/‖A‖; ``henrici``, the departure from normality over
        ‖A‖_F; ``numerical_radius_over_norm`` w/‖A‖, its certified bound
        ``numerical_radius_upper`` and ``numerical_radius_over_radius`` w/ρ; ``symmetric_share``;
        ``rank_99``, the fewest singular values with 99 % of ‖A‖_F². For each k,
        δ = 10^-k ‖A‖: ``pseudospectral_radius_k`` ρ_δ/‖A‖, its certified bound
        ``pseudospectral_radius_upper_k``, ``pseudospectral_excess_k`` (ρ_δ - ρ)/δ and
        ``certificate_evaluations_k``, the matrices factored for the bound. Not a number, but for
        the norm, where A is zero, and w/ρ where ρ is.
    """
    norm = operator.norm
    if norm == 0:
        return {"norm": 0.0} | dict.fromkeys(_names(decades), math.nan)
    unit = operator.scaled(1 / norm)
    spectrum = schur_spectrum(unit)
    radius = spectrum.radius
    field = numerical_radius(unit, spectrum, margin=margin)
    values = [
        radius,
        spectrum.departure / unit.frobenius_norm,
        field.radius,
        field.upper,
        field.radius / radius if radius else math.nan,
        symmetric_share(unit.matrix),
        float(numerical_rank(unit)),
    ]
    for k in decades:
        found = pseudospectral_radius(unit, 10.0**-k, spectrum, margin=margin)
        excess = (found.radius - radius) / 10.0**-k
        values += [found.radius, found.upper, excess, float(found.evaluations)]
    return {"norm": norm} | dict(zip(_names(decades), values, strict=True))


def _names(decades: Sequence[int]) -> list[str]:
    """Of the quantities that a zero operator has not."""
    by_decade = (
        *("pseudospectral_radius", "pseudospectral_radius_upper"),
        *("pseudospectral_excess", "certificate_evaluations"),
    )
    return [
        *("radius_over_norm", "henrici", "numerical_radius_over_norm", "numerical_radius_upper"),
        *("numerical_radius_over_radius", "symmetric_share", "rank_99"),
        *(f"{name}_{k}" for k in decades for name in by_decade),
    ]


def numerical_rank(operator: Compression, share: float = RANK_SHARE) -> int:
    """The fewest singular values whose squares sum to a share of the squared Frobenius norm."""
    held = np.cumsum(operator.singular_values**2)
    return int(np.searchsorted(held, share * held[-1])) + 1


def own_block_shares(operators: HeadOperators) -> Float[Tensor, "H"]:
    """Share of ‖A_h‖_F² in the rows and columns h·r to (h + 1)·r of the residual stream.

    By chance it is (r/d)². Not a number where a head is zero or Hr > d.
    """
    H, d, r = operators.queries.shape
    if H * r > d:
        return operators.queries.new_full((H,), math.nan)
    own = torch.arange(H)
    Q = operators.queries[:, : H * r].reshape(H, H, r, r)[own, own]
    K = operators.keys[operators.key_of_head, : H * r].reshape(H, H, r, r)[own, own]
    return torch.linalg.matrix_norm(Q @ K.mT).square() / operators.norms().square()


def reading_overlaps(factors: Float[Tensor, "G d r"]) -> Float[Tensor, "G"]:
    """Mean squared cosine of the principal angles between a factor's columns and each other's.

    It is averaged over the other factors; by chance it is r/d. Not a number for a single factor.
    """
    G, d, _ = factors.shape
    bases, _ = torch.linalg.qr(factors)
    side_by_side = bases.permute(1, 0, 2).reshape(d, -1)
    k = bases.shape[2]
    cosines = (side_by_side.T @ side_by_side).view(G, k, G, k)
    overlaps = cosines.square().sum((1, 3)) / k
    return (overlaps.sum(1) - overlaps.diagonal()) / (G - 1 if G > 1 else math.nan)
