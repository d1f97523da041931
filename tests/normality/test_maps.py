"""Numbers of maps that are only applied, against their dense matrices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import gaussian, grcar, jordan, normal

from headalgebra.normality.compression import Compression
from headalgebra.normality.departure import schur_spectrum
from headalgebra.normality.growth import perturbation_growth, pseudospectral_radius_from_below
from headalgebra.normality.maps import (
    StateMap,
    departure,
    norm,
    numerical_abscissa,
    product,
    spectral_radius,
    turned,
)
from headalgebra.normality.radii import pseudospectral_radius
from heads import SEEDS

SHAPES = [(1, 1), (2, 3), (8, 8), (5, 16)]
"""Of 1 to 80 numbers: maps that are formed, and maps too large for it."""

ROUNDED = 1e-5
"""Arnoldi's tolerance with a margin."""


def of_matrix(matrix, tokens, width):
    A = torch.from_numpy(matrix)

    def apply(x, map_):
        return (map_ @ x.reshape(-1)).view(tokens, width)

    return StateMap(lambda x: apply(x, A), lambda y: apply(y, A.T), (tokens, width))


def residual(seed, n, size=0.4):
    """The kind of map that a block is: the identity and a small update."""
    return np.eye(n) + size * gaussian(seed, n, n) / np.sqrt(n)


def causal(seed, tokens, width):
    """A map that is block lower triangular in the tokens, and the one that keeps them apart."""
    full = residual(seed, tokens * width).reshape(tokens, width, tokens, width)
    seen = np.tril(np.ones((tokens, tokens)))[:, None, :, None]
    apart = np.eye(tokens)[:, None, :, None]
    n = tokens * width
    return (full * seen).reshape(n, n), (full * apart).reshape(n, n)


@pytest.mark.parametrize("shape", SHAPES)
def test_dense_numbers(shape):
    A = residual(sum(shape), shape[0] * shape[1])
    one = of_matrix(A, *shape)
    np.testing.assert_array_equal(one.dense(), A)
    assert norm(one) == pytest.approx(np.linalg.norm(A, 2), rel=ROUNDED)
    assert spectral_radius(one) == pytest.approx(abs(np.linalg.eigvals(A)).max(), rel=ROUNDED)
    symmetric = np.linalg.eigvalsh((A + A.T) / 2)
    assert numerical_abscissa(one) == pytest.approx(symmetric[-1], rel=ROUNDED)


def test_a_causal_map_has_the_spectrum_of_its_tokens_apart():
    whole, apart = (of_matrix(A, 6, 13) for A in causal(1, 6, 13))
    expected = abs(np.linalg.eigvals(whole.dense())).max()
    assert spectral_radius(apart) == pytest.approx(expected, rel=ROUNDED)
    # Control: the norm is no such thing.
    assert norm(apart) < 0.99 * norm(whole)


def test_float32_maps_take_float32_states():
    A = residual(3, 70)
    seen = []

    def apply(x, matrix):
        seen.append(x.dtype)
        return (torch.from_numpy(matrix).float() @ x.reshape(-1)).view(7, 10)

    one = StateMap(lambda x: apply(x, A), lambda y: apply(y, A.T), (7, 10), torch.float32)
    assert norm(one) == pytest.approx(np.linalg.norm(A, 2), rel=1e-4)
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize("shape", [(2, 3), (5, 16)])
def test_products_and_their_adjoints(shape):
    n = shape[0] * shape[1]
    first, second = gaussian(1, n, n), gaussian(2, n, n)
    both = product([of_matrix(first, *shape), of_matrix(second, *shape)])
    np.testing.assert_allclose(both.dense(), second @ first, atol=1e-12)
    backward = np.asarray(both.operator().adjoint() @ np.eye(n))
    np.testing.assert_allclose(backward, (second @ first).T, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (5, 16)])
def test_a_turned_map_keeps_spectrum_and_departure_and_nothing_of_its_directions(shape):
    n = shape[0] * shape[1]
    A = residual(5, n)
    other = turned(of_matrix(A, *shape), np.random.SeedSequence(1))
    B = other.dense()
    np.testing.assert_allclose(
        np.asarray(other.operator().adjoint() @ np.eye(n)), B.T, atol=1e-13 * n
    )
    np.testing.assert_allclose(
        np.sort(abs(np.linalg.eigvals(B))), np.sort(abs(np.linalg.eigvals(A))), rtol=1e-9
    )
    before, after = (schur_spectrum(Compression.whole(M)).departure for M in (A, B))
    assert after == pytest.approx(before, rel=1e-10)
    ups = [np.linalg.svd(M)[2][0] for M in (A, B)]
    # Two random directions have a cosine of about n^-1/2.
    assert abs(ups[0] @ ups[1]) < 4 / np.sqrt(n)
    again = turned(of_matrix(A, *shape), np.random.SeedSequence(1)).dense()
    np.testing.assert_array_equal(again, B)
    assert np.abs(turned(of_matrix(A, *shape), np.random.SeedSequence(2)).dense() - B).max() > 0.01


def test_turning_spreads_one_number_over_all():
    """A rotation that left coordinates alone would not be random."""
    n = 96
    spike = np.zeros((n, n))
    spike[0, 0] = 1.0
    B = turned(of_matrix(spike, 8, 12), np.random.SeedSequence(0)).dense()
    shares = np.diagonal(B)
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert shares.max() < 12 / n


@settings(max_examples=5)
@given(SEEDS, st.integers(2, 12))
def test_the_bounds_on_departure_hold_the_dense_value(seed, n):
    A = gaussian(seed, n, n)
    henrici = schur_spectrum(Compression.whole(A)).departure / np.linalg.norm(A)
    found = departure(of_matrix(A, 1, n), np.random.SeedSequence(seed), probes=1000)
    assert found.frobenius_norm == pytest.approx(np.linalg.norm(A), rel=0.1)
    assert found.low <= henrici + 0.1
    assert found.high >= henrici - 0.1


def test_the_bounds_meet_where_they_are_equalities():
    seed = np.random.SeedSequence(0)
    symmetric = gaussian(0, 6, 6)
    symmetric = symmetric + symmetric.T
    assert departure(of_matrix(symmetric, 2, 3), seed).low == pytest.approx(0, abs=1e-7)
    assert departure(of_matrix(normal(3, 7), 1, 7), seed).low == pytest.approx(0, abs=1e-7)
    # Of a scaled identity every probe gives the trace.
    found = departure(of_matrix(3 * np.eye(6), 2, 3), seed)
    assert found.low == found.high == 0 and found.frobenius_norm == pytest.approx(3 * np.sqrt(6))
    nilpotent = departure(of_matrix(jordan(2), 1, 2), seed)
    assert nilpotent.high == 1.0
    assert nilpotent.low == pytest.approx(1.0)
    nothing = departure(of_matrix(np.zeros((4, 4)), 2, 2), seed)
    assert np.isnan(nothing.low) and nothing.frobenius_norm == 0


@settings(max_examples=10)
@given(SEEDS, st.sampled_from([(2, 3), (5, 14)]), st.sampled_from([0.1, 0.01]))
def test_the_rank_one_iteration_is_a_tight_lower_bound(seed, shape, share):
    A = residual(seed, shape[0] * shape[1], size=1.0)
    operator = Compression.whole(A)
    found = pseudospectral_radius_from_below(of_matrix(A, *shape), share)
    whole = pseudospectral_radius(operator, share * operator.norm, margin=1e-4).radius
    # Local maxima are a little lower as a rule; never higher.
    assert 0.9 * whole <= found <= whole * (1 + ROUNDED)


def test_the_rank_one_iteration_on_exact_cases():
    A = normal(2, 9)
    expected = (1 + 0.1) * np.linalg.norm(A, 2)
    assert pseudospectral_radius_from_below(of_matrix(A, 3, 3)) == pytest.approx(expected, rel=1e-4)
    G = grcar(72, 3)
    operator = Compression.whole(G)
    whole = pseudospectral_radius(operator, 0.1 * operator.norm, margin=1e-3).radius
    assert pseudospectral_radius_from_below(of_matrix(G, 8, 9)) == pytest.approx(whole, rel=1e-3)


def test_growth_of_linear_blocks_is_that_of_their_products():
    tokens, width, blocks = 4, 5, 3
    n = tokens * width
    matrices = [residual(seed, n) for seed in range(blocks)]

    def run(x):
        for A in matrices:
            x = (x.reshape(len(x), n) @ torch.from_numpy(A).T).view(x.shape)
            yield x

    x = torch.from_numpy(gaussian(9, 2, tokens, width))
    found = perturbation_growth(run, x, draws=200, seed=0)
    assert found.shape == (200, 2, blocks)
    whole = np.eye(n)
    for place, A in enumerate(matrices):
        whole = A @ whole
        growth = found[..., place]
        assert float(growth.max()) <= np.linalg.norm(whole, 2) * (1 + 1e-9)
        # Of a random direction the mean square is ‖M‖_F²/n, whatever the spectrum.
        assert float(growth.square().mean()) == pytest.approx(
            np.linalg.norm(whole) ** 2 / n, rel=0.05
        )
    again = perturbation_growth(run, x, draws=200, seed=0)
    assert torch.equal(found, again)
    assert not torch.equal(found, perturbation_growth(run, x, draws=200, seed=1))


def test_growth_is_over_the_size_that_was_added():
    """A perturbation rounded away in part is measured against what is left of it."""
    x = 1 + torch.from_numpy(gaussian(1, 1, 3, 4)).float()
    found = perturbation_growth(lambda x: [2 * x], x, draws=5, seed=0, size=1e-6)
    np.testing.assert_allclose(found.numpy(), 2.0, rtol=1e-6)
