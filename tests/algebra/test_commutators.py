"""ε, ε̂ and the pairs behind them against dense operators and extended precision."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.algebra.commutators import commutator_norms
from headalgebra.algebra.nulls import haar_commutator_norm
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import CANCELLATION_BELOW
from heads import (
    SEEDS,
    blocks_of,
    from_matrices,
    gaussian,
    gaussian_heads,
    largest_relative_change,
    layers,
    numbers_of,
    orthogonal,
    pairs_of,
    rescaled,
    to_matrices,
)
from thresholds import NEVER, U


def dense_norms(layer):
    """The upper triangle of commutator norms, from d×d products."""
    A = to_matrices(layer)
    products = A[:, None] @ A[None]
    return torch.linalg.matrix_norm(products - products.transpose(0, 1)).triu(1)


def extended_norm(A, B):
    """Norm of a commutator in extended precision (64 bits of mantissa)."""
    C = A @ B - B @ A
    return float(np.sqrt((C * C).sum()))


def extended(layer, h):
    Q, K = layer.queries[h], layer.keys[int(layer.key_of_head[h])]
    return Q.numpy().astype(np.longdouble) @ K.numpy().astype(np.longdouble).T


def product_scale(layer):
    """Largest ||Q_i|| ||M_ij|| ||K_j||, to which the rounding error of a norm is relative."""
    Q = torch.linalg.matrix_norm(layer.queries).max()
    K = torch.linalg.matrix_norm(layer.keys).max()
    M = torch.linalg.matrix_norm(blocks_of(layer).M()).max()
    return float(Q * K * M)


def twins(seed, distance, d=24, r=4):
    """Two heads whose factors differ by a distance, relative to their entries."""
    queries, keys = gaussian(seed, d, r), gaussian(seed + 1, d, r)
    return HeadOperators.from_factors(
        torch.stack([queries, queries + distance * gaussian(seed + 2, d, r)]),
        torch.stack([keys, keys + distance * gaussian(seed + 3, d, r)]),
    )


def guarded(layer, below=CANCELLATION_BELOW):
    return commutator_norms(blocks_of(layer), cancellation_below=below)


@given(layers())
def test_norms_are_those_of_dense_commutators(layer):
    norms, dense, scale = guarded(layer), dense_norms(layer), product_scale(layer)
    assert not norms.tril().any()
    # Squared norms are exact to u scale²; the guard takes over where that is much of them.
    tolerance = 32 * U * scale * (1 + scale / dense.clamp(min=1e-2 * scale))
    assert bool(((norms - dense).abs() <= tolerance).all())


def test_a_transposed_key_map_is_noticed():
    """Control for the law above: the same factors in other pairs have other norms."""
    layer = gaussian_heads(0, heads=3, d=8, r=2, key_of_head=[0, 0, 1])
    other = HeadOperators(layer.query_matrix, layer.key_matrix, torch.tensor([0, 1, 1]))
    assert float((guarded(layer) - dense_norms(other)).abs().max()) > 0.1 * product_scale(layer)


@given(SEEDS, st.integers(2, 5), st.integers(1, 3))
def test_shared_keys_are_repeated_keys(seed, heads, groups):
    layer = gaussian_heads(seed, heads, 10, 3, [h % groups for h in range(heads)])
    repeated = HeadOperators.from_factors(layer.queries, layer.keys[layer.key_of_head])
    shared, own = pairs_of(layer), pairs_of(repeated)
    for name in ("norm", "relative", "haar"):
        torch.testing.assert_close(getattr(shared, name), getattr(own, name), rtol=1e-11, atol=0)


@pytest.mark.parametrize("exponent", range(2, 11))
@pytest.mark.parametrize("seed", [0, 10])
def test_twins_keep_the_digits_that_dense_operators_keep(seed, exponent):
    layer = twins(seed, 10.0**-exponent)
    A, B = extended(layer, 0), extended(layer, 1)
    true = extended_norm(A, B)
    error = abs(float(guarded(layer)[0, 1]) - true) / true
    # Both routes round the two products, of size scale, to a few u; the blocks round their squares.
    roundings = 8 * U * product_scale(layer) / true
    products = np.square(A @ B).sum() + np.square(B @ A).sum()
    from_blocks = true**2 >= CANCELLATION_BELOW * products
    assert error <= roundings * (product_scale(layer) / true if from_blocks else 1)
    dense_error = abs(float(dense_norms(layer)[0, 1]) - true) / true
    assert dense_error <= roundings


@pytest.mark.parametrize("distance", [1e-5, 1e-6, 1e-8])
def test_blocks_alone_lose_twins(distance):
    """Control: without the guard the law above fails by orders of magnitude."""
    layer = twins(0, distance)
    true = extended_norm(extended(layer, 0), extended(layer, 1))
    unguarded = abs(float(guarded(layer, below=NEVER)[0, 1]) - true) / true
    assert unguarded > 1e3 * abs(float(guarded(layer)[0, 1]) - true) / true


@given(layers(min_heads=2), st.integers(-30, 30))
def test_epsilon_is_quadratic_in_the_operators(layer, exponent):
    """By a power of two not a single digit changes."""
    scaled, reference = pairs_of(rescaled(layer, 2.0**exponent)), pairs_of(layer)
    assert torch.equal(scaled.norm, 4.0**exponent * reference.norm)
    assert torch.equal(scaled.haar, 4.0**exponent * reference.haar)
    assert torch.equal(scaled.relative, reference.relative)


@given(SEEDS, st.floats(1e-3, 1e3))
def test_scale_laws(seed, scale):
    layer = gaussian_heads(seed, heads=4, d=14, r=3)
    numbers, reference = numbers_of(rescaled(layer, scale)), numbers_of(layer)
    reference["epsilon"] *= scale**2
    reference["epsilon_haar"] *= scale**2
    assert largest_relative_change(numbers, reference) <= 1e-11


@given(SEEDS)
def test_every_number_is_invariant_under_rotation_and_order(seed):
    layer = gaussian_heads(seed, heads=4, d=14, r=3)
    rotation, order = orthogonal(seed, 14), torch.randperm(4, generator=torch.manual_seed(seed))
    reference = numbers_of(layer)
    rotated = HeadOperators.from_factors(rotation @ layer.queries, rotation @ layer.keys)
    assert largest_relative_change(numbers_of(rotated), reference) <= 1e-11
    reordered = HeadOperators.from_factors(layer.queries[order], layer.keys[order])
    assert largest_relative_change(numbers_of(reordered), reference) <= 1e-11
    # Control: turning the queries alone is another layer.
    turned = HeadOperators.from_factors(rotation @ layer.queries, layer.keys)
    assert largest_relative_change(numbers_of(turned), reference) > 1e-3


@given(layers(min_heads=2))
def test_relative_norms_obey_boettcher_and_wenzel(layer):
    relative = pairs_of(layer).relative
    assert bool(((relative >= 0) & (relative <= math.sqrt(2) * (1 + 1e-10))).all())


@given(SEEDS, st.integers(2, 6))
def test_the_bound_is_attained(seed, d):
    """By a nilpotent and its transpose, in any basis and at any scale."""
    x, y = orthogonal(seed, d)[:2]
    nilpotent = torch.outer(x, y)
    pairs = pairs_of(from_matrices(torch.stack([3 * nilpotent, 1e-3 * nilpotent.T])))
    assert pairs.epsilon_relative == pytest.approx(math.sqrt(2), rel=1e-14 * d)
    assert pairs.epsilon == pytest.approx(3e-3 * math.sqrt(2) / d, rel=1e-14 * d)


def test_epsilon_is_the_mean_over_pairs_per_dimension():
    layer = gaussian_heads(4, heads=3, d=6, r=2)
    pairs, dense = pairs_of(layer), dense_norms(layer)
    assert [(int(i), int(j)) for i, j in zip(pairs.i, pairs.j, strict=True)] == [
        (0, 1),
        (0, 2),
        (1, 2),
    ]
    assert pairs.epsilon == pytest.approx(float(dense.sum()) / 3 / 6, rel=1e-13)
    A = torch.linalg.matrix_norm(to_matrices(layer))
    relative = [float(dense[i, j] / (A[i] * A[j])) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert pairs.epsilon_relative == pytest.approx(sum(relative) / 3, rel=1e-13)


@given(SEEDS)
def test_chance_is_told_the_invariants_of_the_operators(seed):
    """Traces and squares from blocks; skew parts tell tr A² from ||A||²."""
    matrices = gaussian(seed, 3, 7, 7)
    matrices = matrices - 0.5 * matrices.mT + torch.eye(7, dtype=torch.float64)
    pairs = pairs_of(from_matrices(matrices))
    invariants = [(X.square().sum(), X.trace(), (X @ X).trace()) for X in matrices]
    for i, j, haar in zip(pairs.i, pairs.j, pairs.haar, strict=True):
        expected = haar_commutator_norm(invariants[i], invariants[j], 7)
        assert float(haar) == pytest.approx(float(expected), rel=1e-10)


def test_a_single_head_has_no_pairs():
    pairs = pairs_of(gaussian_heads(0, heads=1, d=6, r=2))
    assert len(pairs.norm) == 0
    for value in (pairs.epsilon, pairs.epsilon_relative, pairs.epsilon_haar):
        assert math.isnan(value)


def test_a_zero_head_commutes_but_has_no_relative_norm():
    layer = gaussian_heads(0, heads=3, d=6, r=2)
    queries = layer.queries.clone()
    queries[1] = 0
    pairs = pairs_of(HeadOperators.from_factors(queries, layer.keys))
    assert pairs.norm.tolist()[0] == pairs.norm.tolist()[2] == 0
    assert pairs.haar.tolist()[0] == pairs.haar.tolist()[2] == 0
    assert math.isnan(pairs.epsilon_relative)
    assert pairs.epsilon == pytest.approx(float(dense_norms(layer)[0, 2]) / 3 / 6, rel=1e-12)


@given(SEEDS)
def test_equal_heads_commute(seed):
    """Up to rounding, by the guard; the blocks alone leave the root of rounding."""
    layer = gaussian_heads(seed, heads=2, d=12, r=3)
    twin = HeadOperators.from_factors(layer.queries[[0, 0]], layer.keys[[0, 0]])
    assert pairs_of(twin).epsilon_relative <= 32 * U


@pytest.mark.parametrize("r", [1, 3])
def test_on_a_line_everything_commutes(r):
    layer = gaussian_heads(0, heads=3, d=1, r=r)
    pairs = pairs_of(layer)
    assert pairs.epsilon <= 32 * U * product_scale(layer)
    assert pairs.epsilon_haar == 0
