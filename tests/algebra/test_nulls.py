"""The Haar null against integration, exact and by sampling."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.algebra.nulls import haar_commutator_norm
from heads import SEEDS, gaussian, gaussian_heads, orthogonal, pairs_of
from thresholds import U


def invariants(X):
    return (
        X.square().sum((-2, -1)),
        torch.einsum("...aa->...", X),
        torch.einsum("...ab,...ba->...", X, X),
    )


def squared_commutator(A, B):
    return (A @ B - B @ A).square().sum((-2, -1))


@given(SEEDS)
def test_exact_in_the_plane(seed):
    """Over O(2) the integrand is a trigonometric polynomial of degree 8: 24 angles integrate it."""
    A, B = gaussian(seed, 2, 2), gaussian(seed + 1, 2, 2)
    angles = torch.arange(24, dtype=torch.float64) * (2 * math.pi / 24)
    cos, sin = angles.cos(), angles.sin()
    rotations = torch.stack([cos, -sin, sin, cos], dim=-1).view(-1, 2, 2)
    reflections = rotations * torch.tensor([1.0, -1.0], dtype=torch.float64)
    U_ = torch.cat([rotations, reflections])
    mean_square = squared_commutator(A, U_ @ B @ U_.mT).mean()
    computed = haar_commutator_norm(invariants(A), invariants(B), 2) ** 2
    scale = float(A.square().sum() * B.square().sum())
    assert float(computed) == pytest.approx(float(mean_square), abs=64 * U * scale)


@pytest.mark.parametrize("d", [3, 4, 7])
def test_agrees_with_random_rotations(d):
    A, B = (X - 0.6 * X.T for X in gaussian(d, 2, d, d))
    A = A + torch.eye(d, dtype=torch.float64)
    Q, R = torch.linalg.qr(gaussian(d + 1, 4000, d, d))
    Q = Q * R.diagonal(dim1=-2, dim2=-1).sign()[:, None, :]
    sample = squared_commutator(A, Q @ B @ Q.mT)
    standard_error = float(sample.std()) / math.sqrt(len(sample))

    def z_score(invariants_of_A):
        formula = haar_commutator_norm(invariants_of_A, invariants(B), d) ** 2
        return abs(float(formula - sample.mean())) / standard_error

    norm, trace, square = invariants(A)
    assert z_score((norm, trace, square)) < 4
    # Control: each invariant counts.
    for wrong in ((1.1 * norm, trace, square), (norm, 0 * trace, square), (norm, trace, norm)):
        assert z_score(wrong) > 8


@given(SEEDS, st.integers(1, 12))
def test_symmetric_and_zero_for_multiples_of_the_identity(seed, d):
    A, B = invariants(gaussian(seed, d, d)), invariants(gaussian(seed + 1, d, d))
    forward, backward = haar_commutator_norm(A, B, d), haar_commutator_norm(B, A, d)
    assert float(forward) == pytest.approx(float(backward), rel=1e-7)
    identity = invariants(torch.eye(d, dtype=torch.float64))
    # A difference of equal numbers: its root is the root of their rounding.
    floor = math.sqrt(64 * U * float(A[0]) * d)
    assert float(haar_commutator_norm(A, identity, d)) <= floor


@given(SEEDS, st.integers(2, 8))
def test_invariant_under_rotation_of_either(seed, d):
    A, B, turn = gaussian(seed, d, d), gaussian(seed + 1, d, d), orthogonal(seed + 2, d)
    value = float(haar_commutator_norm(invariants(A), invariants(B), d))
    rotated = float(haar_commutator_norm(invariants(A), invariants(turn @ B @ turn.T), d))
    assert rotated == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_zero_on_a_line():
    A, B = (invariants(gaussian(seed, 1, 1)) for seed in (0, 1))
    assert float(haar_commutator_norm(A, B, 1)) == 0.0


def test_batches_broadcast():
    A, B = gaussian(0, 5, 5), gaussian(1, 3, 5, 5)
    together = haar_commutator_norm(invariants(A), invariants(B), 5)
    apart = torch.stack([haar_commutator_norm(invariants(A), invariants(b), 5) for b in B])
    torch.testing.assert_close(together, apart, rtol=1e-14, atol=0)


def test_gaussian_heads_are_as_chance_has_them():
    """Reference value 0.999 ± 0.0015 for one layer."""
    pairs = [pairs_of(gaussian_heads(seed, heads=8, d=256, r=32)) for seed in range(3)]
    ratios = [p.epsilon / p.epsilon_haar for p in pairs]
    assert sum(ratios) / 3 == pytest.approx(0.999, abs=4 * 0.0015)
