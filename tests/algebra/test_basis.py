"""The basis is orthonormal and spans; κ is right where the Gram matrix alone would be wrong."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.algebra import basis
from headalgebra.algebra.basis import (
    basis_elements,
    conditioning,
    extraction_route,
    orthonormal_basis,
)
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import DENSE_MAX_DIM, POOR_FROM, RANK_CUTOFF, WELL_BELOW
from heads import (
    SEEDS,
    basis_of,
    blocks_of,
    from_matrices,
    gaussian,
    gaussian_heads,
    layers,
    orthogonal,
    rescaled,
    to_matrices,
)
from thresholds import ALWAYS, NEVER, U


def with_singular_values(seed, sigma, d=8):
    """Heads that are full mixtures of orthonormal operators, weighted by singular values."""
    n = len(sigma)
    directions, _ = torch.linalg.qr(gaussian(seed, d * d, n))
    sigma = torch.as_tensor(sigma, dtype=torch.float64)
    mixed = directions * sigma @ orthogonal(seed + 1, n)
    return from_matrices(mixed.T.reshape(n, d, d))


def basis_by(layer, gram_floor):
    return orthonormal_basis(blocks_of(layer), rank_cutoff=RANK_CUTOFF, gram_floor=gram_floor)


def elements_of(layer, found):
    return basis_elements(blocks_of(layer).operators, found.coefficients)


def departure_from_orthonormal(elements):
    flat = elements.flatten(1)
    return float((flat @ flat.T - torch.eye(len(flat), dtype=torch.float64)).abs().max())


@given(layers())
def test_elements_are_orthonormal_and_span_the_heads(layer):
    found = basis_of(layer)
    elements, A = elements_of(layer, found).flatten(1), to_matrices(layer).flatten(1)
    assert found.rank == found.dimension == len(elements)
    # G is exact to u of its largest eigenvalue, so E^T E to u κ².
    assert departure_from_orthonormal(elements) <= 256 * U * found.kappa**2
    outside = A - A @ elements.T @ elements
    assert float(outside.norm()) <= (256 * U * found.kappa**2 + RANK_CUTOFF) * float(A.norm())


@given(layers())
def test_singular_values_are_those_of_the_stacked_operators(layer):
    A = to_matrices(layer).flatten(1)
    true = torch.linalg.svdvals(A)
    sigma = basis_of(layer).singular_values
    assert len(sigma) == layer.n_heads
    assert float((sigma[: len(true)] - true).abs().max()) <= 1e-10 * float(true[0])
    assert float(sigma[len(true) :].sum()) <= 1e-10 * float(true[0])


@given(SEEDS)
def test_both_routes_agree_where_both_are_good(seed):
    layer = gaussian_heads(seed, heads=4, d=10, r=3)
    gram, stacked = basis_by(layer, NEVER), basis_by(layer, ALWAYS)
    torch.testing.assert_close(gram.singular_values, stacked.singular_values, rtol=1e-12, atol=0)
    # Equal up to the freedom within close singular values: the projections are equal.
    E, F = (elements_of(layer, found).flatten(1) for found in (gram, stacked))
    torch.testing.assert_close(E.T @ E, F.T @ F, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ratio", [1e-2, 1e-4, 1e-6, 1e-7])
def test_small_singular_values_keep_their_digits(ratio):
    sigma = [2.0, 0.5, 2.0 * ratio]
    layer = with_singular_values(1, sigma)
    found = basis_of(layer)
    assert found.rank == 3
    tolerance = 64 * U / ratio if ratio < 1e-4 else 64 * U / ratio**2
    assert found.kappa == pytest.approx(1 / ratio, rel=tolerance)
    assert departure_from_orthonormal(elements_of(layer, found)) <= tolerance


@pytest.mark.parametrize("ratio", [1e-6, 1e-7])
def test_the_gram_matrix_alone_loses_them(ratio):
    """Control: its eigenvalues are exact to u of the largest, which is more than ratio²."""
    layer = with_singular_values(1, [2.0, 0.5, 2.0 * ratio])
    by_gram = basis_by(layer, NEVER)
    exact = basis_of(layer)
    assert departure_from_orthonormal(elements_of(layer, by_gram)) > 1e-6
    assert abs(exact.kappa * ratio - 1) < 1e-8


def test_directions_below_the_cutoff_are_dropped():
    sigma = [1.0, 1e-3, 3e-8, 3e-9]
    found = basis_of(with_singular_values(2, sigma))
    assert found.rank == found.dimension == 3
    assert found.kappa == pytest.approx(1 / 3e-8, rel=1e-6)
    torch.testing.assert_close(
        found.singular_values, torch.tensor(sigma, dtype=torch.float64), rtol=0, atol=64 * U
    )
    # Control: another cutoff keeps it.
    wider = orthonormal_basis(
        blocks_of(with_singular_values(2, sigma)), rank_cutoff=1e-9, gram_floor=1e-8
    )
    assert wider.rank == 4


@pytest.mark.parametrize("copies", [2, 5])
def test_repeated_heads_count_once(copies):
    layer = gaussian_heads(0, heads=3, d=9, r=2)
    repeated = HeadOperators.from_factors(
        layer.queries.repeat(copies, 1, 1), layer.keys.repeat(copies, 1, 1)
    )
    found, once = basis_of(repeated), basis_of(layer)
    assert found.rank == 3
    assert len(found.singular_values) == 3 * copies
    torch.testing.assert_close(
        found.singular_values[:3], math.sqrt(copies) * once.singular_values, rtol=1e-12, atol=0
    )
    assert departure_from_orthonormal(elements_of(repeated, found)) <= 1e-13


def test_row_panels_do_not_show(monkeypatch):
    layer = with_singular_values(3, [1.0, 1e-1, 1e-5, 1e-6], d=9)
    whole = basis_of(layer)
    for numbers in (1, 4 * 9 * 2, 4 * 9 * 4):
        monkeypatch.setattr(basis, "PANEL_NUMBERS", numbers)
        panelled = basis_of(layer)
        torch.testing.assert_close(
            panelled.singular_values, whole.singular_values, rtol=0, atol=64 * U
        )
        assert departure_from_orthonormal(elements_of(layer, panelled)) <= 1e-9


@given(SEEDS, st.integers(1, 6))
def test_max_dim_keeps_the_leading_directions(seed, max_dim):
    layer = gaussian_heads(seed, heads=4, d=8, r=2)
    full, leading = basis_of(layer), basis_of(layer, max_dim)
    n = min(4, max_dim)
    assert leading.dimension == n
    assert torch.equal(leading.coefficients, full.coefficients[:n])
    assert (leading.rank, leading.kappa) == (full.rank, full.kappa)
    sigma = full.singular_values
    assert leading.kappa_used == float(sigma[0] / sigma[n - 1])


def test_more_heads_than_directions():
    found = basis_of(gaussian_heads(0, heads=7, d=2, r=2))
    assert found.rank == 4
    assert len(found.singular_values) == 7
    assert float(found.singular_values[4:].max()) <= 1e-13 * float(found.singular_values[0])


def test_zero_heads_have_no_basis():
    found = basis_of(rescaled(gaussian_heads(0, heads=3, d=4, r=2), 0.0))
    assert found.rank == found.dimension == 0
    assert math.isnan(found.kappa) and math.isnan(found.kappa_used)
    assert not found.singular_values.any()


def test_one_head_is_its_own_direction():
    layer = gaussian_heads(0, heads=1, d=5, r=2)
    found = basis_of(layer)
    assert (found.rank, found.kappa) == (1, 1.0)
    A = to_matrices(layer)
    torch.testing.assert_close(elements_of(layer, found), A / A.norm(), rtol=1e-13, atol=1e-14)


@given(SEEDS, st.floats(1e-6, 1e6))
def test_condition_is_free_of_scale_rotation_and_order(seed, scale):
    layer, turn = gaussian_heads(seed, heads=4, d=8, r=2), orthogonal(seed, 8)
    turned = HeadOperators.from_factors(
        scale * (turn @ layer.queries).flip(0), (turn @ layer.keys).flip(0)
    )
    assert basis_of(turned).kappa == pytest.approx(basis_of(layer).kappa, rel=1e-10)


@given(layers(min_heads=2))
def test_signs_are_fixed(layer):
    """The head that weighs most in an element weighs positively, by either route."""
    for gram_floor in (NEVER, ALWAYS):
        coefficients = basis_by(layer, gram_floor).coefficients
        largest = coefficients.abs().argmax(dim=1, keepdim=True)
        assert bool((coefficients.gather(1, largest) > 0).all())


@pytest.mark.parametrize(
    "kappa, band",
    [
        (1.0, "well"),
        (99.9, "well"),
        (100.0, "moderate"),
        (999.9, "moderate"),
        (1e3, "poor"),
        (1e9, "poor"),
    ],
)
def test_bands_of_the_condition_number(kappa, band):
    assert conditioning(kappa, well_below=WELL_BELOW, poor_from=POOR_FROM) == band


@pytest.mark.parametrize(
    "n, band, route",
    [
        (6, "well", "dense"),
        (6, "moderate", "mixed"),
        (6, "poor", "sampled"),
        (7, "well", "sampled"),
        (7, "moderate", "sampled"),
        (2, "poor", "sampled"),
    ],
)
def test_routes(n, band, route):
    assert extraction_route(n, band, exact_affordable=False, dense_max_dim=DENSE_MAX_DIM) == route
    # What the paper samples, and nothing else, is exact where that can be had.
    affordable = extraction_route(n, band, exact_affordable=True, dense_max_dim=DENSE_MAX_DIM)
    assert affordable == ("exact" if route == "sampled" else route)


def test_no_basis_has_no_band():
    assert conditioning(math.nan, well_below=WELL_BELOW, poor_from=POOR_FROM) not in (
        "well",
        "moderate",
        "poor",
    )
