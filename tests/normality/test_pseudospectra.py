"""Values over the plane, against singular values of the dense matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import gaussian, grcar, jordan, normal, of_rank, smallest_singular_value

from headalgebra.normality.compression import Compression, compress_heads
from headalgebra.normality.pseudospectra import (
    field_boundary,
    portrait,
    smallest_singular_values,
)
from headalgebra.normality.radii import numerical_radius, pseudospectral_radius
from heads import SEEDS, gaussian_heads


def points(seed, n):
    return gaussian(seed, n) + 1j * gaussian(seed + 1, n)


@given(SEEDS, st.integers(1, 20), st.integers(0, 20))
def test_smallest_singular_values_are_those_of_the_dense_matrix(seed, r, more):
    A, compressed = of_rank(seed, r + more, r)
    z = points(seed, 5)
    expected = [smallest_singular_value(A, one) for one in z]
    np.testing.assert_allclose(smallest_singular_values(compressed, z), expected, rtol=1e-4)


def test_far_from_the_spectrum_and_at_more_points_than_are_held():
    A = grcar(40, 3)
    z = np.concatenate([points(0, 300) * 3, [1e3, 1e-3j]])
    expected = [smallest_singular_value(A, one) for one in z]
    found = smallest_singular_values(Compression.whole(A), z)
    np.testing.assert_allclose(found, expected, rtol=2e-4)


def test_at_an_eigenvalue_it_is_rounding():
    A = np.diag([1.0, 2.0, 3.0]) + jordan(3)
    found = smallest_singular_values(Compression.whole(A), np.array([1.0, 2.0, 3.0 + 0j]))
    assert (found < 1e-14).all()
    assert (smallest_singular_values(Compression.whole(jordan(3)), np.zeros(1) + 0j) < 1e-14).all()


@given(SEEDS, st.integers(2, 8))
def test_the_distance_to_the_spectrum_of_a_normal_matrix(seed, n):
    A = normal(seed, n)
    z = points(seed, 4)
    distances = abs(z[:, None] - np.linalg.eigvals(A)[None]).min(1)
    np.testing.assert_allclose(smallest_singular_values(Compression.whole(A), z), distances, 1e-4)


@given(SEEDS, st.integers(2, 8))
def test_the_field_of_values_holds_every_quotient_and_is_as_wide_as_its_radius(seed, n):
    A = gaussian(seed, n, n)
    boundary = field_boundary(Compression.whole(A), 181)
    vectors = gaussian(seed + 1, n, 50) + 1j * gaussian(seed + 2, n, 50)
    vectors /= np.linalg.norm(vectors, axis=0)
    quotients = (vectors.conj() * (A @ vectors)).sum(0)
    for angle in np.linspace(0, np.pi, 181):
        turn = np.exp(-1j * angle)
        assert (turn * quotients).real.max() <= (turn * boundary).real.max() + 1e-12
    radius = numerical_radius(Compression.whole(A)).radius
    assert abs(boundary).max() <= radius * (1 + 1e-12)
    # Between two directions a boundary point lies no farther than the corner of their tangents.
    assert abs(boundary).max() >= radius * np.cos(np.pi / 360) - 1e-12


def test_the_field_of_values_of_a_jordan_block_is_a_disc():
    np.testing.assert_allclose(abs(field_boundary(Compression.whole(jordan(5)))), np.cos(np.pi / 6))


@settings(max_examples=3)
@given(SEEDS)
def test_a_portrait_is_of_the_operator_over_its_norm(seed):
    [head] = compress_heads(gaussian_heads(seed, 1, 20, 4))
    drawn = portrait(head, points=41)
    A = head.matrix / head.norm
    for y, x in ((0, 0), (20, 40), (7, 12)):
        z = drawn.real[x] + 1j * drawn.imaginary[y]
        assert drawn.sigma[y, x] == pytest.approx(smallest_singular_value(A, z), rel=1e-4)
    assert drawn.imaginary[0] == 0 and drawn.real[0] == -drawn.real[-1] < -1
    np.testing.assert_allclose(np.sort(abs(drawn.eigenvalues))[:2].min(), 0)
    assert len(drawn.eigenvalues) == 5
    # The contour of each level reaches as far as its pseudospectral radius, to the grid.
    outermost = abs((drawn.real + 1j * drawn.imaginary[:, None])[drawn.sigma <= 0.1]).max()
    radius = pseudospectral_radius(head, 0.1 * head.norm).radius / head.norm
    step = drawn.real[1] - drawn.real[0]
    assert radius - 1.5 * step <= outermost <= radius * (1 + 1e-4)


def test_rows_of_a_portrait_are_its_points():
    [head] = compress_heads(gaussian_heads(0, 1, 20, 4))
    drawn = portrait(head, points=11)
    rows = drawn.rows()
    kinds = [row["kind"] for row in rows]
    assert [kinds.count(kind) for kind in ("grid", "eigenvalue", "field")] == [66, 5, 180]
    assert rows[12]["value"] == drawn.sigma[1, 1] and rows[12]["imaginary"] == drawn.imaginary[1]


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.eye(3) * 1j])
def test_what_cannot_be_drawn_is_refused(matrix):
    with pytest.raises(ValueError, match="a real operator that is not zero"):
        portrait(Compression.whole(matrix))
