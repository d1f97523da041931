"""Which cochains are coboundaries: the obstruction always, others as cohomology says."""

import math

import pytest
import torch
from hypothesis import given

from algebras import (
    in_other_basis,
    quaternions,
    symmetric_group,
    truncated_polynomials,
    upper_triangular,
)
from headalgebra.algebra.hochschild import (
    differential_matrix,
    gerstenhaber_bracket,
    hochschild_differential,
    matrix_algebra,
    primitive,
)
from heads import SEEDS, gaussian, of_condition
from thresholds import U

ALGEBRAS = {
    "M_2": matrix_algebra(2),
    "upper triangular": upper_triangular(),
    "R[x]/x³": truncated_polynomials(),
    "R[S_3]": symmetric_group(),
    "quaternions": quaternions(),
}
NONCOMMUTATIVE = [name for name in ALGEBRAS if name != "R[x]/x³"]
NAMES = pytest.mark.parametrize("name", ALGEBRAS)
ROUNDING = 1e3 * U


def half_bracket(cochain):
    return gerstenhaber_bracket(cochain, cochain) / 2


def nonzero_class():
    """The cocycle that deforms x³ = 0 into x³ = t: x · x² = x² · x = t, x² · x² = tx."""
    cocycle = torch.zeros(3, 3, 3, dtype=torch.float64)
    cocycle[1, 2, 0] = cocycle[2, 1, 0] = cocycle[2, 2, 1] = 1
    return cocycle


def dimensions_of_cohomology(product, largest=2):
    """dim HH^m for m = 0 … largest, from the ranks of the differentials."""
    n = len(product)
    ranks = [0] + [
        int(torch.linalg.matrix_rank(differential_matrix(m, product))) for m in range(largest + 1)
    ]
    return [n ** (m + 1) - ranks[m + 1] - ranks[m] for m in range(largest + 1)]


@NAMES
def test_the_obstruction_is_a_coboundary(name):
    """δφ₂ = ½[φ₁,φ₁]_G is solved by -φ₁, and -½[φ₁,φ₁]_G, the other convention, by φ₁."""
    product = ALGEBRAS[name]
    commutator = product - product.transpose(0, 1)
    half = half_bracket(commutator)
    for sign in (1.0, -1.0):
        found = primitive(sign * half, product)
        by_hand = -sign * commutator
        assert torch.equal(hochschild_differential(by_hand, product), sign * half)
        if name not in NONCOMMUTATIVE:  # nothing to solve
            assert math.isnan(found.residual)
            assert not found.cochain.any()
            continue
        assert found.residual <= ROUNDING
        # Two primitives of one cochain differ by a cocycle.
        difference = found.cochain - by_hand
        assert hochschild_differential(difference, product).norm() <= ROUNDING * half.norm()
        # Control: the sign of the other convention is no primitive.
        wrong = hochschild_differential(-by_hand, product) - sign * half
        assert float(wrong.norm() / half.norm()) == pytest.approx(2)


@pytest.mark.parametrize("condition", [1.0, 10.0])
def test_in_any_basis(condition):
    for seed, name in enumerate(NONCOMMUTATIVE):
        product = ALGEBRAS[name]
        turned = in_other_basis(product, of_condition(seed, len(product), condition))
        commutator = turned - turned.transpose(0, 1)
        assert primitive(half_bracket(commutator), turned).residual <= ROUNDING * condition**3


@NAMES
@given(seed=SEEDS)
def test_a_coboundary_has_a_primitive(name, seed):
    product = ALGEBRAS[name]
    n = len(product)
    original = gaussian(seed, n, n)
    found = primitive(hochschild_differential(original, product), product)
    assert found.residual <= ROUNDING
    difference = hochschild_differential(found.cochain - original, product)
    assert difference.norm() <= ROUNDING * original.norm()
    assert found.cochain.norm() <= (1 + ROUNDING) * original.norm()


@NAMES
@given(seed=SEEDS)
def test_what_is_not_closed_is_no_coboundary(name, seed):
    """Control: the residual of a general cochain is bounded away from zero."""
    n = len(ALGEBRAS[name])
    assert primitive(gaussian(seed, n, n, n), ALGEBRAS[name]).residual > 0.1


def test_over_the_zero_product_nothing_is_a_coboundary():
    """δ = 0: the obstruction of any bilinear φ₁ that is not associative stays as it is."""
    zero = torch.zeros(3, 3, 3, dtype=torch.float64)
    found = primitive(half_bracket(gaussian(0, 3, 3, 3)), zero)
    assert found.residual == 1.0
    assert not found.cochain.any()


def test_a_cocycle_of_nonzero_class():
    """Closed, orthogonal to every coboundary, and still unsolved with a coboundary added."""
    product, cocycle = truncated_polynomials(), nonzero_class()
    assert not hochschild_differential(cocycle, product).any()
    assert primitive(cocycle, product).residual == pytest.approx(1, abs=ROUNDING)
    coboundary = hochschild_differential(gaussian(0, 3, 3), product)
    mixed = cocycle + coboundary
    expected = float(cocycle.norm() / mixed.norm())
    assert primitive(mixed, product).residual == pytest.approx(expected, abs=ROUNDING)
    # In another basis the angle changes and the class does not vanish.
    basis = of_condition(0, 3, 3.0)
    turned = in_other_basis(cocycle, basis)
    assert primitive(turned, in_other_basis(product, basis)).residual > 0.1


@pytest.mark.parametrize(
    "name, expected",
    [
        # Separable: nothing above the centre.
        ("M_2", [1, 0, 0]),
        ("quaternions", [1, 0, 0]),
        ("R[S_3]", [3, 0, 0]),
        # The path algebra of one arrow.
        ("upper triangular", [1, 0, 0]),
        # Commutative, with derivations x ↦ x, x² and deformations x³ = s + tx.
        ("R[x]/x³", [3, 2, 2]),
    ],
)
def test_dimensions_of_cohomology(name, expected):
    assert dimensions_of_cohomology(ALGEBRAS[name]) == expected
    turned = in_other_basis(ALGEBRAS[name], of_condition(1, len(ALGEBRAS[name]), 3.0))
    assert dimensions_of_cohomology(turned) == expected


@pytest.mark.parametrize("name", NONCOMMUTATIVE)
def test_where_cohomology_vanishes_every_cocycle_is_a_coboundary(name):
    product = ALGEBRAS[name]
    n = len(product)
    _, sigma, Vh = torch.linalg.svd(differential_matrix(2, product))
    cocycles = Vh[int((sigma > 1e-10 * sigma[0]).sum()) :]
    for combination in gaussian(0, 3, len(cocycles)):
        cocycle = (combination @ cocycles).view(n, n, n)
        assert primitive(cocycle, product).residual <= ROUNDING


@NAMES
def test_the_matrix_is_the_differential(name):
    product = ALGEBRAS[name]
    n = len(product)
    for m in range(3):
        form = gaussian(m, *(n,) * (m + 1))
        expected = hochschild_differential(form, product).flatten()
        computed = differential_matrix(m, product) @ form.flatten()
        torch.testing.assert_close(computed, expected, rtol=0, atol=ROUNDING * float(form.norm()))


def test_elements_have_no_primitive():
    with pytest.raises(ValueError, match="arity 0") as refusal:
        primitive(gaussian(0, 4), matrix_algebra(2))
    assert "\n" not in str(refusal.value)
