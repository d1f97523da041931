r"""The Jacobiator and the Hochschild identity taken literally, product by product.

For matrices :math:`J(a,b,c) = [[a,b],c] + [[b,c],a] + [[c,a],b]` is zero, because the product is
associative. What arithmetic of unit roundoff u leaves of it is measured here, beside the size that
rounding alone predicts.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from headalgebra.algebra.operators import HeadOperators
from headalgebra.rounding import ROUNDING_MARGIN, UNIT_ROUNDOFF

LARGEST_TRIPLE_PRODUCT = 2.0**12
"""Bound on ||a|| ||b|| ||c|| under which no intermediate of J overflows float16."""


@dataclass(frozen=True)
class LiteralTriple:
    """What one triple of operators gives in floating point.

    Attributes
    ----------
    jacobiator
        Frobenius norm of the computed J.
    noise
        Norm that rounding is expected to leave: u times the propagated scale of the products.
    bound
        A-priori bound on the norm, from d, u and the operators' norms alone.
    hochschild_residual
        Norm of δφ₁ + ½[φ₁,φ₁]_G over the sum of the norms of its six terms; not a number where
        the terms are no more than rounding (commuting operators).
    """

    jacobiator: float
    noise: float
    bound: float
    hochschild_residual: float


def literal_triple(
    a: Float[Tensor, "d d"], b: Float[Tensor, "d d"], c: Float[Tensor, "d d"]
) -> LiteralTriple:
    """Evaluate J and δφ₁ + ½[φ₁,φ₁]_G on one triple of float64 operators.

    Costs 16 products of d×d matrices.
    """
    d, u = len(a), UNIT_ROUNDOFF[a.dtype]
    ab, ba, bc, cb, ca, ac = a @ b, b @ a, b @ c, c @ b, c @ a, a @ c
    scale_squared = 0.0
    right_of, left_of = [], []
    for forward, backward, third in ((ab, ba, c), (bc, cb, a), (ca, ac, b)):
        bracket = forward - backward
        right_of.append(bracket @ third)
        left_of.append(third @ bracket)
        scale_squared += _squared(right_of[-1]) + _squared(left_of[-1])
        scale_squared += 2 / d * _squared(third) * (_squared(forward) + _squared(backward))
    nested = [right - left for right, left in zip(right_of, left_of, strict=True)]

    # δφ₁(a,b,c) = a[b,c] − [ab,c] + [a,bc] − [a,b]c
    of_product_left, of_product_right = ab @ c - c @ ab, a @ bc - bc @ a
    differential = left_of[1] - of_product_left + of_product_right - right_of[0]
    # ½[φ₁,φ₁]_G(a,b,c) = [[a,b],c] − [a,[b,c]]
    half_bracket = nested[0] + nested[1]
    terms = (left_of[1], of_product_left, of_product_right, right_of[0], nested[0], nested[1])
    size = sum(float(torch.linalg.matrix_norm(term)) for term in terms)
    residual = float(torch.linalg.matrix_norm(differential + half_bracket))
    norms = math.prod(float(torch.linalg.matrix_norm(x)) for x in (a, b, c))
    return LiteralTriple(
        jacobiator=float(torch.linalg.matrix_norm(nested[0] + nested[1] + nested[2])),
        noise=u * math.sqrt(scale_squared),
        bound=(12 * math.sqrt(2) * d + 22) * u * norms,
        hochschild_residual=residual / size if size > ROUNDING_MARGIN * u * norms else math.nan,
    )


@dataclass(frozen=True)
class LiteralJacobiator:
    """The literal identities over some triples of a basis.

    Attributes
    ----------
    n_triples
        Triples i < j < k evaluated; without any, the numbers below are not numbers.
    rms
        Root mean square of the Jacobiator's norm.
    noise
        Root mean square of the expected rounding.
    bound
        Largest a-priori bound.
    hochschild_residual
        Largest relative residual of δφ₁ + ½[φ₁,φ₁]_G, over the triples that have one.
    """

    n_triples: int
    rms: float
    noise: float
    bound: float
    hochschild_residual: float


def literal_jacobiator(
    operators: HeadOperators,
    coefficients: Float[Tensor, "n H"],
    at_most: int,
    seed: np.random.SeedSequence,
) -> LiteralJacobiator:
    """Evaluate at most so many triples of basis elements in dense float64 arithmetic."""
    measured = [
        literal_triple(*(operators.combine(coefficients[index]) for index in triple))
        for triple in draw_triples(len(coefficients), at_most, seed)
    ]
    if not measured:
        return LiteralJacobiator(0, math.nan, math.nan, math.nan, math.nan)
    return LiteralJacobiator(
        n_triples=len(measured),
        rms=math.sqrt(sum(m.jacobiator**2 for m in measured) / len(measured)),
        noise=math.sqrt(sum(m.noise**2 for m in measured) / len(measured)),
        bound=max(m.bound for m in measured),
        hochschild_residual=max(
            (m.hochschild_residual for m in measured if not math.isnan(m.hochschild_residual)),
            default=math.nan,
        ),
    )


def jacobiator(
    a: Shaped[Tensor, "d d"], b: Shaped[Tensor, "d d"], c: Shaped[Tensor, "d d"]
) -> Shaped[Tensor, "d d"]:
    """J(a, b, c) in the arithmetic of the operands' dtype.

    In 16-bit types each product is formed in float32 and rounded once, as matrix units do.
    """
    return _bracket(_bracket(a, b), c) + _bracket(_bracket(b, c), a) + _bracket(_bracket(c, a), b)


def jacobiator_norms_by_precision(
    a: Float[Tensor, "d d"], b: Float[Tensor, "d d"], c: Float[Tensor, "d d"]
) -> dict[torch.dtype, float]:
    """Norm of the computed J in every dtype of :data:`~headalgebra.rounding.UNIT_ROUNDOFF`.

    The float64 operands are scaled by powers of two first, which changes no digit and keeps the
    16-bit types away from underflow and overflow; the norms are scaled back.
    """
    if torch.get_float32_matmul_precision() != "highest":
        raise RuntimeError(
            "float32 products are formed in a lower precision (TF32 or bfloat16); "
            "call torch.set_float32_matmul_precision('highest')"
        )
    exponents = [_exponent(x) for x in (a, b, c)]
    scaled = [x * 2.0**e for x, e in zip((a, b, c), exponents, strict=True)]
    unscale = 2.0 ** -sum(exponents)
    return {
        dtype: float(torch.linalg.matrix_norm(jacobiator(*(x.to(dtype) for x in scaled)).double()))
        * unscale
        for dtype in UNIT_ROUNDOFF
    }


def draw_triples(dimension: int, at_most: int, seed: np.random.SeedSequence) -> list[list[int]]:
    """Index triples i < j < k, all of them or a seeded uniform choice without repetition."""
    every = list(combinations(range(dimension), 3))
    if len(every) <= at_most:
        return [list(triple) for triple in every]
    chosen = np.random.default_rng(seed).choice(len(every), size=at_most, replace=False)
    return [list(every[index]) for index in sorted(chosen)]


def _bracket(x: Tensor, y: Tensor) -> Tensor:
    return _product(x, y) - _product(y, x)


def _product(x: Tensor, y: Tensor) -> Tensor:
    if x.dtype in (torch.float16, torch.bfloat16):
        return (x.float() @ y.float()).to(x.dtype)
    return x @ y


def _squared(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x) ** 2)


def _exponent(x: Tensor) -> int:
    norm = float(torch.linalg.matrix_norm(x))
    return math.floor(math.log2(LARGEST_TRIPLE_PRODUCT) / 3 - math.log2(norm)) if norm else 0
