"""Field strength, action and Wilson loops in blocks, against dense matrices and exact cases."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from algebras import commutators, so3, su2
from headalgebra.algebra.gauge import action, squared_field_strength_traces, wilson_loops
from headalgebra.algebra.operators import HeadOperators
from heads import (
    SEEDS,
    blocks_of,
    from_matrices,
    gaussian,
    gaussian_heads,
    layers,
    orthogonal,
    rescaled,
    to_matrices,
)
from thresholds import U


def traces_of_squares(matrices):
    F = commutators(matrices)
    return torch.einsum("ijab,ijba->ij", F, F).triu(1)


def action_of(blocks):
    return action(squared_field_strength_traces(blocks))


def loops_of(layer, t):
    blocks = blocks_of(layer)
    return wilson_loops(blocks, blocks.operators.singular_values()[:, 0], t=t)


def unit_norm(matrices):
    return matrices / torch.linalg.matrix_norm(matrices, 2)[:, None, None]


def dense_loops(matrices, t):
    A = unit_norm(matrices)
    forth, back = torch.linalg.matrix_exp(t * A), torch.linalg.matrix_exp(-t * A)
    loops = torch.einsum("iab,jbc,icd,jda->ij", forth, forth, back, back) / A.shape[-1]
    i, j = torch.triu_indices(len(A), len(A), offset=1)
    return loops[i, j]


@given(layers())
def test_traces_are_those_of_dense_commutators(layer):
    matrices = to_matrices(layer)
    norms = torch.linalg.matrix_norm(matrices)
    found, expected = squared_field_strength_traces(blocks_of(layer)), traces_of_squares(matrices)
    scale = torch.outer(norms, norms) ** 2
    assert ((found - expected).abs() <= 64 * layer.d_model * U * scale).all()
    assert action_of(blocks_of(layer)) == pytest.approx(
        float(expected.sum()), abs=float(64 * layer.d_model * U * scale.sum())
    )


@given(SEEDS, st.integers(2, 6))
def test_action_of_symmetric_and_of_skew_operators(seed, d):
    """Their commutators are skew: S is minus half the sum of squared norms over all pairs."""
    X = gaussian(seed, 3, d, d)
    for matrices in (X + X.mT, X - X.mT):
        squared = float(commutators(matrices).square().sum()) / 2
        assert action_of(blocks_of(from_matrices(matrices))) == pytest.approx(-squared, rel=1e-10)


def test_action_may_have_either_sign():
    """[diag(1,-1), [[0,1],[s,0]]] is 2[[0,1],[-s,0]], whose square has trace -8s."""
    for s in (1.0, -1.0, 0.5):
        A = torch.tensor([[[1.0, 0], [0, -1]], [[0, 1], [s, 0]]], dtype=torch.float64)
        assert action_of(blocks_of(from_matrices(A))) == pytest.approx(-8 * s, rel=1e-14)


def test_action_of_the_rotations_by_hand():
    """Three brackets, each a rotation generator: tr L² = -2; su(2), as quaternions: tr = -1."""
    assert action_of(blocks_of(from_matrices(so3()))) == pytest.approx(-6, rel=1e-14)
    assert action_of(blocks_of(from_matrices(su2()))) == pytest.approx(-3, rel=1e-14)


@given(SEEDS, st.floats(1e-3, 1e3))
def test_action_is_quartic_and_loops_are_free_of_scale(seed, scale):
    layer = gaussian_heads(seed, heads=3, d=9, r=3)
    scaled = rescaled(layer, scale)
    assert action_of(blocks_of(scaled)) == pytest.approx(
        scale**4 * action_of(blocks_of(layer)), rel=1e-10
    )
    torch.testing.assert_close(
        loops_of(scaled, 1.0).deviation, loops_of(layer, 1.0).deviation, rtol=1e-10, atol=1e-14
    )


@given(SEEDS)
def test_rotation_does_not_show(seed):
    layer, turn = gaussian_heads(seed, 4, 9, 3, [0, 0, 1, 1]), orthogonal(seed + 5, 9)
    turned = HeadOperators.from_factors(turn @ layer.queries, turn @ layer.keys, layer.key_of_head)
    assert action_of(blocks_of(turned)) == pytest.approx(action_of(blocks_of(layer)), rel=1e-9)
    torch.testing.assert_close(
        loops_of(turned, 1.0).deviation, loops_of(layer, 1.0).deviation, rtol=1e-9, atol=1e-13
    )


@given(layers(min_heads=2), st.floats(0.1, 2.0))
def test_loops_are_those_of_dense_exponentials(layer, t):
    found, expected = loops_of(layer, t), dense_loops(to_matrices(layer), t)
    torch.testing.assert_close(1 + found.deviation, expected, rtol=1e-11, atol=1e-11)
    assert found.mean == pytest.approx(float(expected.mean()), abs=1e-11)
    assert found.mean_absolute_deviation == pytest.approx(
        float((expected - 1).abs().mean()), abs=1e-11
    )


@given(SEEDS, st.floats(0.02, 0.2))
def test_small_loops_measure_the_field_strength(seed, t):
    """W = 1 + t⁴ tr F²/(2d) + O(t⁶) for i < j, with a remainder that falls by 4 at half of t."""
    layer = gaussian_heads(seed, heads=3, d=10, r=3)
    matrices = unit_norm(to_matrices(layer))
    i, j = torch.triu_indices(3, 3, offset=1)
    leading = traces_of_squares(matrices)[i, j] / (2 * 10)
    remainder = loops_of(layer, t).deviation / t**4 - leading
    assert (remainder.abs() <= 2 * t**2).all()
    halved = loops_of(layer, t / 2).deviation / (t / 2) ** 4 - leading
    assert ((halved - remainder / 4).abs() <= 2 * t**3).all()


@pytest.mark.parametrize("t", [1e-2, 1e-4, 1e-6])
def test_small_loops_keep_their_digits(t):
    """Where 1 + t⁴ is 1 in float64, the deviation still has its leading term to O(t²)."""
    layer = gaussian_heads(0, heads=3, d=10, r=3)
    i, j = torch.triu_indices(3, 3, offset=1)
    leading = t**4 * traces_of_squares(unit_norm(to_matrices(layer)))[i, j] / 20
    # Relative to the larger of the two traces that make up the leading term, t⁴/d at most.
    assert ((loops_of(layer, t).deviation - leading).abs() <= t**4 * (2 * t**2 + 1e-13)).all()
    # Control: the plain trace of the product has nothing left.
    if t <= 1e-4:
        assert (dense_loops(to_matrices(layer), t) - 1 - leading).abs().max() > leading.abs().min()


def test_order_of_a_pair_matters():
    """Transposing all operators is going round the other way: W_ij becomes W_ji."""
    A = gaussian(0, 2, 5, 5)
    forth = loops_of(from_matrices(A), 1.0).deviation
    other = loops_of(from_matrices(A.flip(0)), 1.0).deviation
    transposed = loops_of(from_matrices(A.mT), 1.0).deviation
    torch.testing.assert_close(transposed, other, rtol=1e-10, atol=0)
    assert abs(float(forth / other) - 1) > 1e-3


def test_commuting_heads_have_flat_loops():
    matrices = torch.diag_embed(gaussian(0, 4, 7))
    layer = from_matrices(matrices)
    assert loops_of(layer, 1.0).deviation.abs().max() <= 64 * U
    assert abs(action_of(blocks_of(layer))) <= 64 * U * float(matrices.square().sum()) ** 2
    # Control: one head outside the family.
    other = torch.cat([matrices[:-1], gaussian(1, 1, 7, 7)])
    assert loops_of(from_matrices(other), 1.0).deviation.abs().max() > 1e-3


def test_shared_keys_are_repeated_keys():
    shared = gaussian_heads(3, 4, 8, 2, [0, 0, 1, 1])
    own = HeadOperators.from_factors(shared.queries, shared.keys[shared.key_of_head])
    torch.testing.assert_close(
        loops_of(shared, 0.7).deviation, loops_of(own, 0.7).deviation, rtol=1e-11, atol=1e-15
    )
    assert action_of(blocks_of(shared)) == pytest.approx(action_of(blocks_of(own)), rel=1e-12)


def test_a_zero_head_has_no_loop_and_a_single_head_no_pair():
    layer = gaussian_heads(0, 3, 8, 2)
    queries = layer.queries.clone()
    queries[1] = 0
    zeroed = loops_of(HeadOperators.from_factors(queries, layer.keys), 1.0)
    assert zeroed.deviation.isnan().tolist() == [True, False, True]
    assert math.isnan(zeroed.mean)
    alone = loops_of(gaussian_heads(0, 1, 8, 2), 1.0)
    assert len(alone.deviation) == 0
    assert math.isnan(alone.mean)
    assert action_of(blocks_of(gaussian_heads(0, 1, 8, 2))) == 0
