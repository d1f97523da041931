"""Cochains as multilinear maps on matrices: their laws for any d, and agreement with tensors."""

import itertools
import operator
from functools import reduce

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headalgebra.algebra.hochschild import (
    MATRIX_PRODUCT,
    MatrixCochain,
    circle_product,
    commutator,
    gerstenhaber_bracket,
    hochschild_differential,
    matrix_algebra,
    obstruction,
)
from heads import SEEDS, gaussian
from thresholds import U

ARITIES = st.integers(0, 3)
THREE_ARITIES = st.tuples(ARITIES, ARITIES, ARITIES).filter(lambda a: a.count(0) <= 1)
SIZES = st.integers(1, 6)
COMMUTATOR = MatrixCochain(2, commutator)


def words(seed: int, d: int, arity: int) -> MatrixCochain:
    """``L_0 a_1 L_1 a_2 …`` plus a word with the arguments in another order, one transposed.

    The constants have norm 1, so that values are no larger than twice the arguments' norms.
    """
    left = gaussian(seed, 2, arity + 1, d, d)
    left = left / torch.linalg.matrix_norm(left)[..., None, None]
    order = torch.randperm(arity, generator=torch.manual_seed(seed)).tolist()

    def value(*a: Tensor) -> Tensor:
        shuffled = [a[k] if k else a[k].T for k in order]
        return sum(
            (
                reduce(operator.matmul, [L[0], *itertools.chain(*zip(x, L[1:], strict=True))])
                for L, x in zip(left, (a, shuffled), strict=True)
            ),
            start=torch.zeros(d, d, dtype=left.dtype),
        )

    return MatrixCochain(arity, value)


def unit_arguments(seed: int, count: int, d: int) -> list[Tensor]:
    a = gaussian(seed, count, d, d)
    return list(a / torch.linalg.matrix_norm(a)[:, None, None])


def in_matrix_units(form: MatrixCochain, d: int) -> Tensor:
    """The tensor of a cochain, value by value."""
    units = torch.eye(d * d, dtype=torch.float64).view(-1, d, d)
    values = [form(*a).flatten() for a in itertools.product(units, repeat=form.arity)]
    return torch.stack(values).view((d * d,) * (form.arity + 1))


def evaluate(form: Tensor, *arguments: Tensor) -> Tensor:
    for argument in arguments:
        form = torch.tensordot(argument.flatten(), form, dims=([0], [0]))
    return form


def assert_vanishes(value: Tensor, scale: float = 1.0) -> None:
    assert float(value.norm()) <= 1e3 * U * scale


@given(SEEDS, SIZES, ARITIES)
def test_differential_squares_to_zero(seed, d, m):
    form, a = words(seed, d, m), unit_arguments(seed + 1, m + 2, d)
    assert_vanishes(form.differential().differential()(*a))


def test_differential_is_not_zero_itself():
    """Control for the law above."""
    for m in range(4):
        form, a = words(m, 3, m), unit_arguments(m + 1, m + 1, 3)
        assert form.differential()(*a).norm() > 0.01


@given(SEEDS, SIZES, ARITIES)
def test_differential_is_the_bracket_with_the_product(seed, d, m):
    form, a = words(seed, d, m), unit_arguments(seed + 1, m + 1, d)
    by_bracket = MATRIX_PRODUCT.bracket(form)(*a)
    assert_vanishes(form.differential()(*a) - (-1) ** (m - 1) * by_bracket)


def test_the_sign_of_the_differential_matters():
    """Control: without (-1)^{m-1} the law above fails for every even m."""
    for m in (0, 2):
        form, a = words(m, 3, m), unit_arguments(m + 1, m + 1, 3)
        assert (form.differential()(*a) - MATRIX_PRODUCT.bracket(form)(*a)).norm() > 0.01


@given(SEEDS, SIZES, ARITIES, st.integers(1, 3))
def test_bracket_is_graded_antisymmetric(seed, d, p, q):
    left, right = words(seed, d, p), words(seed + 1, d, q)
    a = unit_arguments(seed + 2, p + q - 1, d)
    sign = (-1) ** ((p - 1) * (q - 1))
    assert_vanishes(left.bracket(right)(*a) + sign * right.bracket(left)(*a))


def graded_jacobi(forms, a, signed=True):
    total = torch.zeros_like(a[0])
    for k in range(3):
        first, second, third = (forms[(k + s) % 3] for s in range(3))
        sign = (-1) ** ((first.arity - 1) * (third.arity - 1)) if signed else 1
        total = total + sign * first.bracket(second.bracket(third))(*a)
    return total


@given(SEEDS, st.integers(1, 4), THREE_ARITIES.filter(lambda a: 2 < sum(a) < 8))
def test_graded_jacobi(seed, d, arities):
    forms = [words(seed + k, d, m) for k, m in enumerate(arities)]
    assert_vanishes(graded_jacobi(forms, unit_arguments(seed + 3, sum(arities) - 2, d)), 10)


def test_jacobi_needs_its_signs():
    """Control: where cochains of odd and even degree meet, the ungraded identity fails."""
    forms = [words(k, 3, m) for k, m in enumerate((2, 2, 1))]
    a = unit_arguments(3, 3, 3)
    assert graded_jacobi(forms, a, signed=False).norm() > 0.01


@given(SEEDS, SIZES)
def test_products_of_matrices_are_told_apart_exactly(seed, d):
    """On integers: [μ,μ] = 0, and for the commutator it is twice the obstruction."""
    a = list(torch.randint(-9, 10, (3, d, d), generator=torch.manual_seed(seed)))
    assert not MATRIX_PRODUCT.bracket(MATRIX_PRODUCT)(*a).any()
    of_commutator = COMMUTATOR.bracket(COMMUTATOR)(*a)
    assert torch.equal(of_commutator, 2 * obstruction(*a))
    assert torch.equal(2 * COMMUTATOR.differential()(*a), -of_commutator)


def test_the_commutator_is_not_associative():
    """Control: on matrices that do not commute both sides above are nonzero."""
    for d in (2, 5):
        a = list(torch.randint(-9, 10, (3, d, d), generator=torch.manual_seed(d)))
        assert COMMUTATOR.bracket(COMMUTATOR)(*a).any()
        assert not torch.equal(COMMUTATOR.differential()(*a), obstruction(*a))


@pytest.mark.parametrize("d, largest", [(1, 3), (2, 3), (3, 2)])
@pytest.mark.parametrize("seed", [0, 1])
def test_differential_agrees_with_structure_constants(d, largest, seed):
    for m in range(largest + 1):
        form, a = words(seed, d, m), unit_arguments(seed + 1, m + 1, d)
        tensor = hochschild_differential(in_matrix_units(form, d), matrix_algebra(d))
        value = form.differential()(*a)
        assert_vanishes(evaluate(tensor, *a) - value.flatten())
        # Control: in the opposite algebra it is another one, unless everything commutes.
        opposite = matrix_algebra(d).transpose(0, 1)
        other = hochschild_differential(in_matrix_units(form, d), opposite)
        assert d == 1 or (evaluate(other, *a) - value.flatten()).norm() > 0.01


@pytest.mark.parametrize("d, largest", [(1, 3), (2, 3), (3, 2)])
@pytest.mark.parametrize("operation", ["circle", "bracket"])
def test_operations_agree_with_structure_constants(d, largest, operation):
    on_tensors = {"circle": circle_product, "bracket": gerstenhaber_bracket}[operation]
    for p, q in itertools.product(range(largest + 1), repeat=2):
        if p + q == 0:
            continue
        left, right = words(p, d, p), words(q + 7, d, q)
        a = unit_arguments(p + q, p + q - 1, d)
        tensor = on_tensors(in_matrix_units(left, d), in_matrix_units(right, d))
        assert_vanishes(evaluate(tensor, *a) - getattr(left, operation)(right)(*a).flatten())


def test_arities_are_checked():
    with pytest.raises(ValueError, match="arity is -1"):
        MatrixCochain(-1, commutator)
    with pytest.raises(ValueError, match="3 matrices for a cochain of arity 2"):
        COMMUTATOR(*gaussian(0, 3, 2, 2))
    element = words(0, 2, 0)
    with pytest.raises(ValueError, match="arity is -1"):
        element.bracket(element)
