"""The Hochschild complex of an algebra by its laws, and the commutator's place in it."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from algebras import (
    commutators,
    in_other_basis,
    quaternions,
    so3,
    structure_tensor,
    symmetric_group,
    truncated_polynomials,
    unit,
    upper_triangular,
)
from headalgebra.algebra.hochschild import (
    circle_product,
    gerstenhaber_bracket,
    hochschild_differential,
    insert,
    matrix_algebra,
    obstruction,
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


def associator(product: Tensor) -> Tensor:
    """(ab)c - a(bc) of basis elements, number by number."""
    n, mu = len(product), product.tolist()
    values = [
        sum(mu[a][b][x] * mu[x][c][e] - mu[b][c][x] * mu[a][x][e] for x in range(n))
        for a, b, c, e in itertools.product(range(n), repeat=4)
    ]
    return torch.tensor(values, dtype=product.dtype).view(n, n, n, n)


def cross_product() -> Tensor:
    """The product of R³ that is Lie, not associative."""
    return structure_tensor(so3(), commutators(so3()))


INTEGER = {
    "M_2": matrix_algebra(2),
    "upper triangular": upper_triangular(),
    "R[x]/x³": truncated_polynomials(),
    "R[S_3]": symmetric_group(),
    "quaternions": quaternions(),
}
# In bases that have nothing special about them.
ASSOCIATIVE = [
    in_other_basis(product, of_condition(seed, len(product), 3.0))
    for seed, product in enumerate(INTEGER.values())
]
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


@pytest.mark.parametrize(
    "product, m",
    [(product, m) for product in ASSOCIATIVE for m in range(4) if len(product) + m < 9],
)
def test_differential_squares_to_zero_over_an_associative_product(product, m):
    form = cochain(m, len(product), m)
    once = hochschild_differential(form, product)
    twice = hochschild_differential(once, product)
    commutative = float((product - product.transpose(0, 1)).norm()) <= 1e3 * U
    assert once.norm() > 0.1 * form.norm() or (commutative and m == 0)
    assert_vanishes(twice, float(form.norm() * product.norm() ** 2))


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
        assert bracket.norm() > 0.1 * product.norm() ** 2 / len(product)
        assert_vanishes(bracket - 2 * associator(product), float(product.norm()) ** 2)


@pytest.mark.parametrize("name", INTEGER)
@given(data=st.data())
def test_integer_constants_decide_associativity(name, data):
    """[μ,μ] = 0 to the last digit; one constant changed, and it is exactly twice the associator."""
    product = INTEGER[name].long()
    assert not associator(product).any()
    assert not gerstenhaber_bracket(product, product).any()
    changed = product.clone()
    n = len(product)
    index = data.draw(st.tuples(*[st.integers(0, n - 1)] * 3))
    changed[index] += data.draw(st.integers(-3, 3).filter(bool))
    bracket = gerstenhaber_bracket(changed, changed)
    assert torch.equal(bracket, 2 * associator(changed))
    assert bool(bracket.any()) == bool(associator(changed).any())


def test_every_small_product_is_told_apart():
    """All 256 products on two elements with constants 0 and 1: both directions, exactly."""
    associative = 0
    for constants in itertools.product((0, 1), repeat=8):
        product = torch.tensor(constants).view(2, 2, 2)
        vanishes = not gerstenhaber_bracket(product, product).any()
        assert vanishes == (not associator(product).any())
        associative += vanishes
    assert 0 < associative < 256


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

    def of_circles(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return circle_product(circle_product(a, b), c) - circle_product(a, circle_product(b, c))

    difference = of_circles(x, y, z) - sign * of_circles(x, z, y)
    assert_vanishes(difference, float(x.norm() * y.norm() * z.norm()) * n * n)


@pytest.mark.parametrize("name", INTEGER)
def test_differential_of_the_commutator_is_minus_the_obstruction(name):
    """δφ₁ = -½[φ₁,φ₁]_G to the last digit; over a noncommutative algebra neither side is zero."""
    product = INTEGER[name].long()
    bracket = product - product.transpose(0, 1)
    twice_half = gerstenhaber_bracket(bracket, bracket)
    differential = hochschild_differential(bracket, product)
    assert torch.equal(2 * differential, -twice_half)
    if name != "R[x]/x³":
        assert twice_half.any()
        assert not torch.equal(2 * differential, twice_half)


def test_obstruction_in_coordinates_is_half_the_bracket():
    """The same number from matrices and from structure constants."""
    product = matrix_algebra(2)
    bracket = product - product.transpose(0, 1)
    half = gerstenhaber_bracket(bracket, bracket) / 2
    a, b, c = gaussian(1, 3, 2, 2)
    torch.testing.assert_close(
        evaluate(half, a.flatten(), b.flatten(), c.flatten()),
        obstruction(a, b, c).flatten(),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("d", [1, 2, 3])
def test_matrix_algebra_multiplies_matrices(d):
    units = torch.stack([unit(d, i, j) for i in range(d) for j in range(d)])
    products = torch.einsum("abc,cij->abij", matrix_algebra(d), units)
    assert torch.equal(products, units[:, None] @ units[None])
    if d > 1:  # control: the opposite product is another one
        assert not torch.equal(products, units[None] @ units[:, None])
