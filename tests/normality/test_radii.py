"""Radii of operators against exact cases, textbook methods and one another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import (
    criss_cross,
    gaussian,
    grcar,
    jordan,
    normal,
    of_rank,
    orthogonal,
    smallest_singular_value,
)
from scipy.optimize import minimize_scalar

from headalgebra.normality import touching
from headalgebra.normality.compression import Compression
from headalgebra.normality.departure import schur_spectrum
from headalgebra.normality.radii import ResolventFamily, numerical_radius, pseudospectral_radius
from headalgebra.normality.touching import check_circle
from heads import SEEDS

NEAR = 1e-3
"""Margin where pseudospectra are discs, whose every angle touches."""

LEVELS = st.sampled_from([1e-1, 1e-2, 1e-3])


def radius_of(A, delta, margin=1e-6):
    return pseudospectral_radius(Compression.whole(A), delta, margin=margin)


def field_of(A, margin=1e-6):
    return numerical_radius(Compression.whole(A), margin=margin)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 12])
def test_the_field_of_values_of_a_jordan_block(n):
    found = field_of(jordan(n), NEAR)
    assert found.radius == pytest.approx(np.cos(np.pi / (n + 1)), rel=1e-14)
    assert found.radius <= found.upper <= (1 + NEAR) * found.radius


@pytest.mark.parametrize("delta", [1.0, 1e-1, 1e-2, 1e-3])
def test_pseudospectra_of_the_smallest_jordan_block(delta):
    found = radius_of(jordan(2), delta, NEAR)
    assert found.radius == pytest.approx(np.sqrt(delta + delta**2), rel=1e-13)


@pytest.mark.parametrize(
    ("delta", "radius"),
    [(0.1, 0.869522069498), (0.01, 0.593642667375), (0.001, 0.432770396122)],
)
def test_pseudospectra_of_a_jordan_block(delta, radius):
    assert radius_of(jordan(8), delta, NEAR).radius == pytest.approx(radius, abs=5.1e-13)


def test_grcar():
    operator = Compression.whole(grcar(32, 3))
    spectrum = schur_spectrum(operator)
    assert spectrum.radius == pytest.approx(2.2494477765, abs=5.1e-11)
    assert operator.norm == pytest.approx(3.2223184959, abs=5.1e-11)
    henrici = spectrum.departure / operator.frobenius_norm
    assert henrici == pytest.approx(0.4856441382, abs=5.1e-11)
    assert numerical_radius(operator).radius == pytest.approx(3.1883062070, abs=5.1e-11)
    for delta, radius in ((0.1, 3.0138968162), (0.01, 2.6739907567), (0.001, 2.4731626736)):
        found = pseudospectral_radius(operator, delta, margin=NEAR)
        assert found.radius == pytest.approx(radius, abs=5.1e-11)


@pytest.mark.parametrize("b", [2.0, 3.0, 10.0])
def test_the_kreiss_constant_of_a_nilpotent_matrix(b):
    """The supremum over δ of (ρ_δ - 1)/δ."""
    A = b * jordan(2)
    found = minimize_scalar(
        lambda log: -(radius_of(A, np.exp(log), 1e-2).radius - 1) / np.exp(log),
        bounds=(np.log(1e-2), np.log(1e5)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    assert -found.fun == pytest.approx(b / 4 + 1 / b, rel=1e-8)


@given(SEEDS, st.integers(2, 9), LEVELS)
def test_a_normal_matrix_gains_no_more_than_the_perturbation(seed, n, delta):
    A = normal(seed, n)
    spectral = np.linalg.norm(A, 2)
    assert field_of(A).radius == pytest.approx(spectral, rel=1e-12)
    assert radius_of(A, delta).radius == pytest.approx(spectral + delta, rel=1e-12)


@given(SEEDS, st.integers(1, 4), st.integers(0, 6), LEVELS)
def test_a_compression_has_the_radii_of_the_dense_matrix(seed, r, more, delta):
    A, compressed = of_rank(seed, r + more, r)
    found = pseudospectral_radius(compressed, delta)
    assert found.radius == pytest.approx(radius_of(A, delta).radius, rel=1e-9)
    assert numerical_radius(compressed).radius == pytest.approx(field_of(A).radius, rel=1e-12)


@given(SEEDS, st.integers(2, 10), LEVELS)
def test_criss_cross_and_arcs_agree(seed, n, delta):
    A = gaussian(seed, n, n) / np.sqrt(n)
    found = radius_of(A, delta)
    # Along a ray the textbook method squares the rounding of tangential touches.
    assert found.radius == pytest.approx(criss_cross(A, delta), rel=1e-6)
    assert smallest_singular_value(A, found.radius * np.exp(1j * found.angle)) == pytest.approx(
        delta, abs=1e-13
    )


@given(SEEDS, st.integers(2, 5), st.integers(0, 4), LEVELS)
def test_nothing_of_the_pseudospectrum_lies_beyond_the_certified_circle(seed, r, more, delta):
    A, compressed = of_rank(seed, r + more, r)
    found = pseudospectral_radius(compressed, delta)
    assert found.radius < found.upper <= found.radius * (1 + 1.001e-6)
    circle = found.upper * np.exp(1j * np.linspace(0, 2 * np.pi, 97))
    assert min(smallest_singular_value(A, z) for z in circle) > delta


@given(SEEDS, st.integers(2, 6), LEVELS)
def test_complex_matrices_are_looked_at_all_around(seed, n, delta):
    """A turned by a phase has the same radii, touched at an angle turned by as much."""
    A = gaussian(seed, n, n)
    turned = np.exp(-2j) * A
    assert radius_of(turned, delta).radius == pytest.approx(radius_of(A, delta).radius, rel=1e-9)
    assert field_of(turned).radius == pytest.approx(field_of(A).radius, rel=1e-11)


@given(SEEDS, st.integers(2, 6), st.floats(1e-6, 1e6))
def test_radii_scale_and_do_not_see_a_rotation(seed, n, scale):
    A, turn = gaussian(seed, n, n), orthogonal(seed + 1, n)
    moved = scale * turn @ A @ turn.T
    assert radius_of(moved, 0.1 * scale).radius == pytest.approx(
        scale * radius_of(A, 0.1).radius, rel=1e-9
    )
    assert field_of(moved).radius == pytest.approx(scale * field_of(A).radius, rel=1e-11)


@given(SEEDS, st.integers(2, 8))
def test_radii_are_in_their_order(seed, n):
    A = gaussian(seed, n, n)
    norm, spectral = np.linalg.norm(A, 2), abs(np.linalg.eigvals(A)).max()
    field = field_of(A).radius
    assert max(spectral, norm / 2) * (1 - 1e-12) <= field <= norm * (1 + 1e-12)
    before = spectral
    for level in (1e-3, 1e-2, 1e-1):
        radius = radius_of(A, level * norm).radius
        assert before < radius and spectral + level * norm <= radius * (1 + 1e-12)
        # The field of values of A + E lies within ‖E‖ of A's.
        assert radius <= (field + level * norm) * (1 + 1e-12)
        before = radius


def test_a_circle_too_small_is_never_certified():
    """What certifies the circle refuses every circle inside, however little."""
    A = gaussian(4, 6, 6)
    radius = radius_of(A, 0.05).radius
    norm = np.linalg.norm(A, 2)
    unit = ResolventFamily(Compression.whole(A / norm), 0.05 / norm)
    assert check_circle(unit, radius / norm * (1 + 1e-8)).holds
    for share in (1 - 1e-8, 1 - 1e-3):
        refused = check_circle(unit, radius / norm * share)
        assert not refused.holds and refused.violated_at is not None


def test_a_start_on_the_wrong_side_is_put_right():
    """The eigenvalue of largest modulus is normal, the far bulge is another's."""
    A = np.zeros((5, 5))
    A[0, 0] = 1.0
    A[1:, 1:] = -0.9 * np.eye(4) + jordan(4)
    found = radius_of(A, 1e-3, NEAR)
    assert abs(found.angle) == pytest.approx(np.pi)
    assert found.radius > 1.01
    # In the lower half plane too, if the matrix is not real.
    for turn in (0.5, 2.0, 4.0):
        turned = radius_of(np.exp(1j * turn) * A, 1e-3, NEAR)
        assert turned.radius == pytest.approx(found.radius, rel=1e-9)


def test_what_has_no_radius_is_refused():
    with pytest.raises(ValueError, match="the operator is zero"):
        radius_of(np.zeros((3, 3)), 0.1)
    with pytest.raises(ValueError, match="the operator is zero"):
        field_of(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="delta is 0"):
        radius_of(np.eye(3), 0.0)


def test_a_climb_that_ends_below_its_start_is_done_again_with_smaller_turns(monkeypatch):
    A = np.zeros((5, 5))
    A[0, 0] = 1.0
    A[1:, 1:] = -0.9 * np.eye(4) + jordan(4)
    expected, climb, turns = radius_of(A, 1e-3, NEAR), touching._climb, []

    def astray(family, t, angle, low, high, farthest):
        turns.append(farthest)
        found = climb(family, t, angle, low, high, farthest)
        return (low, angle) if len(turns) > 1 and farthest == touching.TURNS[0] else found

    monkeypatch.setattr(touching, "_climb", astray)
    found = radius_of(A, 1e-3, NEAR)
    assert found.radius == pytest.approx(expected.radius, rel=1e-9)
    assert found.upper <= found.radius * (1 + 1.001 * NEAR)
    assert turns[:3] == [touching.TURNS[0], *touching.TURNS[:2]]
