"""The Hochschild complex by its laws, and the commutator's place in it."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from algebras import so3, structure_tensor, unit
from headalgebra.hochschild import (
    circle_product,
    commutator,
    gerstenhaber_bracket,
    hochschild_differential,
    insert,
    obstruction,
    star_associator,
)
from heads import SEEDS, gaussian, of_condition
from thresholds import U

ARITIES = st.integers(0, 3)
# The bracket of two elements would have arity -1.
THREE_ARITIES = st.tuples(ARITIES, ARITIES, ARITIES).filter(lambda a: a.count(0) <= 1)


def cochain(seed: int, n: int, arity: int) -> Tensor:
    return gaussian(seed, *(n,) * (arity + 1))


def evaluate(form: Tensor, *arguments: Tensor) -> Tensor:
    for argument in arguments:
        form = torch.tensordot(argument, form, dims=([0], [0]))
    return form


def matrix_algebra(seed: int = 0) -> Tensor:
    """The product of M_2(R), in a basis that has nothing special about it."""
    units = torch.stack([unit(2, i, j) for i in (0, 1) for j in (0, 1)])
    elements = torch.einsum("ab,bij->aij", of_condition(seed, 4, 3.0), units)
    return structure_tensor(elements, elements[:, None] @ elements[None])


def truncated_polynomials() -> Tensor:
    """The product of R[x]/x³."""
    product = torch.zeros(3, 3, 3, dtype=torch.float64)
    for i, j in itertools.product(range(3), repeat=2):
        if i + j < 3:
            product[i, j, i + j] = 1
    return product


def cross_product() -> Tensor:
    """The product of R³ that is Lie, not associative."""
    L = so3()
    return structure_tensor(L, L[:, None] @ L[None] - L[None] @ L[:, None])


ASSOCIATIVE = [matrix_algebra(), truncated_polynomials()]
NOT_ASSOCIATIVE = [cross_product(), gaussian(0, 3, 3, 3)]


def assert_vanishes(value: Tensor, scale: float) -> None:
    assert float(value.norm()) <= 1e3 * U * scale


@given(SEEDS, st.integers(1, 3), ARITIES)
def test_differential_is_the_alternating_sum(seed, n, m):
    product, form = gaussian(seed, n, n, n), cochain(seed + 1, n, m)
    a = list(gaussian(seed + 2, m + 1, n))

    def times(x: Tensor, y: Tensor) -> Tensor:
        return evaluate(product, x, y)

    expected = times(a[0], evaluate(form, *a[1:]))
    for i in range(1, m + 1):
        merged = [*a[: i - 1], times(a[i - 1], a[i]), *a[i + 1 :]]
        expected = expected + (-1) ** i * evaluate(form, *merged)
    expected = expected + (-1) ** (m + 1) * times(evaluate(form, *a[:m]), a[m])
    computed = evaluate(hochschild_differential(form, product), *a)
    torch.testing.assert_close(computed, expected, rtol=1e-11, atol=1e-11)


@given(SEEDS, st.integers(1, 3), st.integers(1, 3), ARITIES, st.data())
def test_insertion_keeps_the_arguments_in_order(seed, n, p, q, data):
    slot = data.draw(st.integers(0, p - 1))
    outer, inner = cochain(seed, n, p), cochain(seed + 1, n, q)
    a = list(gaussian(seed + 2, p + q - 1, n)) if p + q > 1 else []
    inside = evaluate(inner, *a[slot : slot + q])
    expected = evaluate(outer, *a[:slot], inside, *a[slot + q :])
    computed = evaluate(insert(outer, inner, slot), *a)
    torch.testing.assert_close(computed, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("m", range(4))
@pytest.mark.parametrize("product", ASSOCIATIVE)
def test_differential_squares_to_zero_over_an_associative_product(product, m):
    form = cochain(m, len(product), m)
    once = hochschild_differential(form, product)
    twice = hochschild_differential(once, product)
    commutative = torch.equal(product, product.transpose(0, 1))
    assert once.norm() > 0.1 * form.norm() or (commutative and m == 0)
    assert_vanishes(twice, float(once.norm() * product.norm()))


@pytest.mark.parametrize("m", [1, 2])
@pytest.mark.parametrize("product", NOT_ASSOCIATIVE)
def test_differential_does_not_square_to_zero_otherwise(product, m):
    once = hochschild_differential(cochain(m, len(product), m), product)
    twice = hochschild_differential(once, product)
    assert twice.norm() > 0.1 * once.norm() * product.norm() / len(product)


def test_bracket_of_a_product_with_itself_is_twice_its_associator():
    for product in ASSOCIATIVE:
        assert_vanishes(gerstenhaber_bracket(product, product), float(product.norm()) ** 2)
    for product in NOT_ASSOCIATIVE:
        bracket = gerstenhaber_bracket(product, product)
        left = torch.einsum("abx,xce->abce", product, product)
        right = torch.einsum("bcx,axe->abce", product, product)
        assert bracket.norm() > 0.1 * product.norm() ** 2 / len(product)
        assert_vanishes(bracket - 2 * (left - right), float(product.norm()) ** 2)


@given(SEEDS, st.integers(1, 3), ARITIES)
def test_differential_is_the_bracket_with_the_product(seed, n, m):
    """δφ = (-1)^{m-1} [μ, φ]_G for any bilinear μ."""
    product, form = gaussian(seed, n, n, n), cochain(seed + 1, n, m)
    difference = hochschild_differential(form, product) - (-1.0) ** (m - 1) * gerstenhaber_bracket(
        product, form
    )
    assert_vanishes(difference, float(product.norm() * form.norm()) * n)


@given(SEEDS, st.integers(1, 3), ARITIES, ARITIES)
def test_bracket_is_graded_antisymmetric(seed, n, p, q):
    left, right = cochain(seed, n, p), cochain(seed + 1, n, q)
    swapped = gerstenhaber_bracket(right, left)
    total = gerstenhaber_bracket(left, right) + (-1.0) ** ((p - 1) * (q - 1)) * swapped
    assert_vanishes(total, float(left.norm() * right.norm()) * n)


def graded_jacobi(x: Tensor, y: Tensor, z: Tensor, signed: bool = True) -> Tensor:
    degrees = [form.ndim - 2 for form in (x, y, z)]
    forms = (x, y, z)
    total = torch.zeros(())
    for k in range(3):
        first, second, third = (forms[(k + s) % 3] for s in range(3))
        sign = (-1.0) ** (degrees[k] * degrees[(k + 2) % 3]) if signed else 1.0
        nested = gerstenhaber_bracket(first, gerstenhaber_bracket(second, third))
        total = total + sign * nested
    return total


@given(SEEDS, st.integers(1, 3), THREE_ARITIES)
def test_graded_jacobi(seed, n, arities):
    forms = [cochain(seed + k, n, arity) for k, arity in enumerate(arities)]
    scale = float(torch.stack([form.norm() for form in forms]).prod())
    assert_vanishes(graded_jacobi(*forms), scale * n * n)


def test_jacobi_needs_its_signs():
    """Control: where cochains of odd and even degree meet, the ungraded identity fails."""
    forms = [cochain(k, 2, arity) for k, arity in enumerate((2, 2, 1))]
    scale = float(torch.stack([form.norm() for form in forms]).prod())
    assert graded_jacobi(*forms, signed=False).norm() > 0.1 * scale


@given(SEEDS, st.integers(1, 2), THREE_ARITIES)
def test_circle_product_is_pre_lie(seed, n, arities):
    """Its associator is graded symmetric in the last two."""
    x, y, z = (cochain(seed + k, n, arity) for k, arity in enumerate(arities))
    sign = (-1.0) ** ((arities[1] - 1) * (arities[2] - 1))

    def associator(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return circle_product(circle_product(a, b), c) - circle_product(a, circle_product(b, c))

    difference = associator(x, y, z) - sign * associator(x, z, y)
    assert_vanishes(difference, float(x.norm() * y.norm() * z.norm()) * n * n)


@pytest.mark.parametrize("product", ASSOCIATIVE)
def test_differential_of_the_commutator_is_minus_the_obstruction(product):
    """δφ₁ = -½[φ₁,φ₁]_G; over the noncommutative algebra neither side is zero."""
    bracket = product - product.transpose(0, 1)
    half = gerstenhaber_bracket(bracket, bracket) / 2
    differential = hochschild_differential(bracket, product)
    assert_vanishes(differential + half, float(product.norm()) ** 2)
    if product is ASSOCIATIVE[0]:
        assert half.norm() > 0.1 * bracket.norm() ** 2 / len(product)
        assert (differential - half).norm() > half.norm()


@given(SEEDS, st.integers(1, 6), st.floats(-3, 3))
def test_obstruction_and_associator_on_matrices(seed, d, t):
    a, b, c = gaussian(seed, 3, d, d)
    nested = commutator(b, commutator(c, a))
    scale = float(a.norm() * b.norm() * c.norm()) * (1 + abs(t)) ** 2
    assert_vanishes(obstruction(a, b, c) - nested, scale)
    assert_vanishes(star_associator(a, b, c, t) - (t + t * t) * nested, scale)


def test_deformed_product_is_associative_at_both_ends_only():
    a, b, c = gaussian(0, 3, 4, 4)
    scale = float(a.norm() * b.norm() * c.norm())
    for t in (0.0, -1.0):
        assert_vanishes(star_associator(a, b, c, t), scale)
    for t in (-2.0, -0.5, 0.5, 1.0):
        assert star_associator(a, b, c, t).norm() > 0.05 * scale


def test_obstruction_in_coordinates_is_half_the_bracket():
    """The same number from matrices and from structure tensors."""
    units = torch.stack([unit(2, i, j) for i in (0, 1) for j in (0, 1)])
    product = structure_tensor(units, units[:, None] @ units[None])
    bracket = product - product.transpose(0, 1)
    half = gerstenhaber_bracket(bracket, bracket) / 2
    x = gaussian(1, 3, 4)
    a, b, c = torch.einsum("ka,aij->kij", x, units)
    coordinates = torch.einsum("aij,ij->a", units, obstruction(a, b, c))
    torch.testing.assert_close(evaluate(half, *x), coordinates, rtol=1e-12, atol=1e-12)
