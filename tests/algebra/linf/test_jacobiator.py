"""The literal Jacobiator is rounding: below its bound, as large as predicted, proportional to u."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.algebra.linf import (
    draw_triples,
    jacobiator,
    jacobiator_norms_by_precision,
    literal_jacobiator,
    literal_triple,
)
from headalgebra.rounding import UNIT_ROUNDOFF
from heads import SEEDS, basis_of, from_matrices, gaussian, gaussian_heads, orthogonal
from thresholds import U


def slope(norms):
    """Of log ||J|| against log u, by least squares."""
    x = np.log([UNIT_ROUNDOFF[dtype] for dtype in norms])
    return float(np.polyfit(x, np.log(list(norms.values())), 1)[0])


@given(SEEDS, st.integers(1, 24), st.integers(-8, 8))
def test_bound_is_never_violated(seed, d, exponent):
    a, b, c = gaussian(seed, 3, d, d) * 10.0**exponent
    triple = literal_triple(a, b, c)
    assert triple.jacobiator <= triple.bound
    norms = float(a.norm() * b.norm() * c.norm())
    assert triple.bound == pytest.approx((12 * math.sqrt(2) * d + 22) * U * norms, rel=1e-12, abs=0)


@pytest.mark.parametrize("dtype", list(UNIT_ROUNDOFF))
def test_bound_holds_in_every_precision(dtype):
    a, b, c = gaussian(0, 3, 32, 32) / 32
    norm = jacobiator_norms_by_precision(a, b, c)[dtype]
    bound = literal_triple(a, b, c).bound * UNIT_ROUNDOFF[dtype] / U
    assert norm <= bound
    # Control: in the next coarser arithmetic it would be far above the bound of this one.
    assert norm > 1e-4 * bound


@given(SEEDS, st.integers(8, 40))
def test_noise_predicts_the_size(seed, d):
    """Within an order of magnitude and not below, on operators whose products do not align."""
    triple = literal_triple(*gaussian(seed, 3, d, d))
    assert 0.3 < triple.jacobiator / triple.noise < 10


def test_noise_is_the_documented_sum():
    a, b, c = gaussian(3, 3, 7, 7)
    total = 0.0
    for x, y, z in ((a, b, c), (b, c, a), (c, a, b)):
        bracket = x @ y - y @ x
        total += (bracket @ z).norm() ** 2 + (z @ bracket).norm() ** 2
        total += 2 / 7 * z.norm() ** 2 * ((x @ y).norm() ** 2 + (y @ x).norm() ** 2)
    assert literal_triple(a, b, c).noise == pytest.approx(U * math.sqrt(total), rel=1e-13, abs=0)


@given(SEEDS, st.integers(-30, 30))
def test_cube_of_the_scale(seed, exponent):
    """By a power of two not a single digit changes."""
    operators = gaussian(seed, 3, 9, 9)
    scaled, reference = literal_triple(*(2.0**exponent * operators)), literal_triple(*operators)
    assert scaled.jacobiator == 8.0**exponent * reference.jacobiator
    assert scaled.noise == pytest.approx(8.0**exponent * reference.noise, rel=1e-14, abs=0)
    assert scaled.bound == pytest.approx(8.0**exponent * reference.bound, rel=1e-14, abs=0)


@pytest.mark.parametrize("d", [24, 64])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_proportional_to_the_unit_roundoff(d, scale):
    norms = [jacobiator_norms_by_precision(*(scale * gaussian(seed, 3, d, d))) for seed in range(3)]
    mean = {dtype: float(np.mean([n[dtype] for n in norms])) for dtype in UNIT_ROUNDOFF}
    assert 0.9 <= slope(mean) <= 1.05
    noise = np.mean([literal_triple(*(scale * gaussian(s, 3, d, d))).noise for s in range(3)]) / U
    for dtype, u in UNIT_ROUNDOFF.items():
        assert 0.3 < mean[dtype] / (u * noise) < 10


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**-20, 2.0**40])
def test_every_precision_is_free_of_scale(scale):
    operators = gaussian(1, 3, 16, 16)
    reference = jacobiator_norms_by_precision(*operators)
    scaled = jacobiator_norms_by_precision(*(scale * operators))
    assert scaled == {dtype: scale**3 * norm for dtype, norm in reference.items()}


@pytest.mark.parametrize("scale", [1e-6, 1e3])
def test_float16_without_scaling_has_no_such_number(scale):
    """Control: converted as they are, small operators underflow and large ones overflow."""
    operators = scale * gaussian(1, 3, 16, 16)
    plain = torch.linalg.matrix_norm(jacobiator(*operators.half()).double())
    scaled = jacobiator_norms_by_precision(*operators)[torch.float16]
    assert scaled > 0
    assert not abs(float(plain) - scaled) <= 0.5 * scaled


def accumulated(x, y):
    """A product whose every partial sum is rounded to the operands' type."""
    total = torch.zeros_like(x)
    for k in range(len(x)):
        total = (total.float() + x[:, k, None].float() * y[k].float()).to(x.dtype)
    return total


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bit_products_are_rounded_once(dtype):
    """Against the expected noise their error does not grow with the number of terms."""
    once, every_term = [], []
    for d in (32, 128):
        a, b, c = (gaussian(2, 3, d, d) / 16).to(dtype)
        noise = literal_triple(a.double(), b.double(), c.double()).noise / U
        once.append(float(jacobiator(a, b, c).double().norm()) / noise)

        def bracket(x, y):
            return accumulated(x, y) - accumulated(y, x)

        J = bracket(bracket(a, b), c) + bracket(bracket(b, c), a) + bracket(bracket(c, a), b)
        every_term.append(float(J.double().norm()) / noise)
    assert once[1] == pytest.approx(once[0], rel=0.1)
    # Control: it does where partial sums are rounded.
    assert every_term[1] > 1.5 * every_term[0] > 1.5 * once[0]


def test_precisions_need_exact_float32_products():
    a, b, c = gaussian(0, 3, 4, 4)
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(RuntimeError, match="highest"):
            jacobiator_norms_by_precision(a, b, c)
    finally:
        torch.set_float32_matmul_precision("highest")
    assert jacobiator_norms_by_precision(a, b, c)


@given(SEEDS, st.integers(2, 16))
def test_hochschild_identity_holds_to_rounding(seed, d):
    residual = literal_triple(*gaussian(seed, 3, d, d)).hochschild_residual
    assert residual <= 16 * U


def test_hochschild_identity_fails_with_a_wrong_sign():
    """Control: δφ₁ − ½[φ₁,φ₁]_G is as large as its terms."""
    a, b, c = gaussian(0, 3, 8, 8)

    def phi(x, y):
        return x @ y - y @ x

    differential = a @ phi(b, c) - phi(a @ b, c) + phi(a, b @ c) - phi(a, b) @ c
    half = phi(phi(a, b), c) - phi(a, phi(b, c))
    assert (differential + half).norm() <= 64 * U * half.norm() * 8
    assert (differential - half).norm() > half.norm()


def test_commuting_operators_have_no_relative_residual():
    turn = orthogonal(0, 8)
    diagonals = torch.diag_embed(gaussian(1, 3, 8))
    assert math.isnan(literal_triple(*diagonals).hochschild_residual)
    conjugated = literal_triple(*(turn @ diagonals @ turn.T))
    assert math.isnan(conjugated.hochschild_residual)
    assert conjugated.jacobiator <= conjugated.bound


def test_zero_operators():
    a, b, _ = gaussian(0, 3, 5, 5)
    zero = torch.zeros_like(a)
    triple = literal_triple(a, b, zero)
    assert (triple.jacobiator, triple.bound) == (0.0, 0.0)
    assert math.isnan(triple.hochschild_residual)
    assert set(jacobiator_norms_by_precision(a, b, zero).values()) == {0.0}


@given(st.integers(0, 9), st.integers(0, 100), st.integers(0, 2**32 - 1))
def test_triples_are_distinct_ordered_and_seeded(n, at_most, seed):
    triples = draw_triples(n, at_most, np.random.SeedSequence(seed))
    assert len(triples) == min(at_most, math.comb(n, 3))
    assert all(i < j < k < n for i, j, k in triples)
    assert len({tuple(t) for t in triples}) == len(triples)
    assert triples == draw_triples(n, at_most, np.random.SeedSequence(seed))


def test_triples_are_drawn_evenly():
    counts = np.zeros(10)
    every = {tuple(t): i for i, t in enumerate(draw_triples(5, 10, np.random.SeedSequence(0)))}
    for seed in range(600):
        for triple in draw_triples(5, 3, np.random.SeedSequence(seed)):
            counts[every[tuple(triple)]] += 1
    # Each has mean 180 and variance below 180.
    assert np.abs(counts - 180).max() < 5 * math.sqrt(180)


def test_over_a_basis():
    layer = gaussian_heads(0, heads=5, d=12, r=3)
    coefficients = basis_of(layer).coefficients
    literal = literal_jacobiator(layer, coefficients, 4, np.random.SeedSequence(1))
    triples = [
        literal_triple(*(layer.combine(coefficients[i]) for i in triple))
        for triple in draw_triples(5, 4, np.random.SeedSequence(1))
    ]
    assert literal.n_triples == 4
    assert literal.rms == pytest.approx(
        np.sqrt(np.mean([t.jacobiator**2 for t in triples])), rel=1e-12, abs=0
    )
    assert literal.noise == pytest.approx(
        np.sqrt(np.mean([t.noise**2 for t in triples])), rel=1e-12, abs=0
    )
    assert literal.bound == max(t.bound for t in triples)
    assert literal.hochschild_residual == max(t.hochschild_residual for t in triples)


def test_two_elements_have_no_triples():
    layer = gaussian_heads(0, heads=2, d=6, r=2)
    literal = literal_jacobiator(layer, basis_of(layer).coefficients, 10, np.random.SeedSequence(0))
    assert literal.n_triples == 0
    assert math.isnan(literal.rms) and math.isnan(literal.hochschild_residual)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0]])
def test_a_vanishing_triple_does_not_hide_the_others(order):
    """Three diagonal operators and one that is not: whatever triple comes first."""
    matrices = torch.cat([torch.diag_embed(gaussian(0, 3, 6)), gaussian(1, 1, 6, 6)])[order]
    literal = literal_jacobiator(
        from_matrices(matrices),
        torch.eye(4, dtype=torch.float64),
        4,
        np.random.SeedSequence(0),
    )
    assert literal.n_triples == 4
    assert literal.hochschild_residual <= 16 * U
