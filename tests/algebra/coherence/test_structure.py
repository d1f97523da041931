"""Structure constants and the closure defect: blocks against dense, and where blocks give way."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.algebra.basis import basis_elements
from headalgebra.algebra.coherence import (
    dense_structure_constants,
    jacobiator_ratio,
    projected_jacobiator_rms,
    structure_constants,
)
from headalgebra.algebra.coherence.structure import projected_bracket
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import WELL_BELOW
from heads import (
    SEEDS,
    basis_of,
    blocks_of,
    from_matrices,
    gaussian,
    gaussian_heads,
    layers,
    orthogonal,
    structure_of,
)
from thresholds import ALWAYS, NEVER, U


def near_heads(seed, distance, n=5, d=20, r=4):
    """Heads a distance from one another, whose condition number is about its inverse."""
    queries, keys = gaussian(seed, d, r), gaussian(seed + 1, d, r)
    return HeadOperators.from_factors(
        queries + distance * gaussian(seed + 2, n, d, r),
        keys + distance * gaussian(seed + 3, n, d, r),
    )


def structure_by(layer, well_below, cancellation_below):
    basis = basis_of(layer)
    return structure_constants(
        blocks_of(layer),
        basis.coefficients,
        kappa_used=basis.kappa_used,
        well_below=well_below,
        cancellation_below=cancellation_below,
    )


def by_blocks(layer):
    return structure_by(layer, ALWAYS, NEVER)


def by_dense(layer):
    return structure_by(layer, NEVER, NEVER)


def relative_error(computed, true):
    return float((computed - true).norm() / true.norm())


@given(layers(min_heads=2, min_d=3))
def test_dense_constants_are_inner_products_of_brackets(layer):
    E = basis_elements(blocks_of(layer).operators, basis_of(layer).coefficients)
    products = E[:, None] @ E[None]
    brackets = products - products.transpose(0, 1)
    constants = dense_structure_constants(E)
    expected = torch.einsum("abij,cij->abc", brackets, E)
    torch.testing.assert_close(constants.f, expected, rtol=0, atol=1e-13)
    assert constants.commutator_squared == pytest.approx(float(brackets.square().sum()), rel=1e-12)
    assert torch.equal(constants.f, -constants.f.transpose(0, 1))


@given(layers(min_heads=2, min_d=3), st.integers(1, 3))
def test_blocks_say_the_same_however_many_heads_are_formed_at_once(layer, heads):
    whole = by_blocks(layer)
    with pytest.MonkeyPatch.context() as patched:
        numbers = heads * layer.n_heads * layer.d_head**2
        patched.setattr("headalgebra.algebra.operators.STRIP_NUMBERS", numbers)
        in_strips = by_blocks(layer)
    n = len(whole.f)
    # As many roundings as there are terms in a sum, of products of at most unit elements, which
    # carry the condition number of the basis thrice and four times.
    terms = U * layer.n_heads**2 * layer.d_head * whole.kappa**3
    torch.testing.assert_close(in_strips.f, whole.f, rtol=0, atol=terms)
    assert in_strips.commutator_squared == pytest.approx(
        whole.commutator_squared, abs=n**2 * terms * whole.kappa
    )


@pytest.mark.parametrize("distance", [1.0, 0.3, 0.1, 0.03, 0.015])
@pytest.mark.parametrize("seed", [0, 10])
def test_blocks_agree_with_dense_in_the_well_conditioned_band(seed, distance):
    """To u κ³ in f and u κ⁴ in the squared commutators."""
    layer = near_heads(seed, distance)
    kappa = basis_of(layer).kappa
    blocks, dense = by_blocks(layer), by_dense(layer)
    assert relative_error(blocks.f, dense.f) <= 64 * U * kappa**3
    squares = blocks.commutator_squared / dense.commutator_squared
    assert abs(squares - 1) <= 64 * U * kappa**4
    if kappa < WELL_BELOW:
        assert torch.equal(structure_of(layer).f, blocks.f)


@given(layers(min_heads=2, min_d=3))
def test_shared_keys(layer):
    blocks, dense = by_blocks(layer), by_dense(layer)
    kappa = basis_of(layer).kappa
    scale = float(dense.f.norm()) + 1
    assert float((blocks.f - dense.f).norm()) <= 256 * U * kappa**3 * scale
    # A difference of sums that are no larger than the squared norms of n² products.
    squares = abs(blocks.commutator_squared - dense.commutator_squared)
    assert squares <= 256 * U * kappa**4 * (dense.commutator_squared + len(dense.f) ** 2)


@pytest.mark.parametrize(
    "key_of_head", [[0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 2, 2], [2, 0, 1, 0, 2, 2]]
)
def test_a_shared_key_is_as_good_as_copies_of_it(key_of_head):
    shared = HeadOperators.from_factors(
        gaussian(0, 6, 24, 4),
        gaussian(1, 3, 24, 4)[: max(key_of_head) + 1],
        torch.tensor(key_of_head),
    )
    copies = HeadOperators.from_factors(shared.queries, shared.keys[shared.key_of_head])
    assert copies.own_keys and not shared.own_keys
    one, other = by_blocks(shared), by_blocks(copies)
    kappa = basis_of(copies).kappa
    assert relative_error(one.f, other.f) <= 64 * U * kappa**3
    assert abs(one.commutator_squared / other.commutator_squared - 1) <= 64 * U * kappa**4


def test_dense_takes_over_outside_the_band():
    layer = near_heads(0, 1e-3)
    assert basis_of(layer).kappa > WELL_BELOW
    blocks, dense, chosen = by_blocks(layer), by_dense(layer), structure_of(layer)
    assert torch.equal(chosen.f, dense.f)
    # Control: it has to.
    assert relative_error(blocks.f, dense.f) > 1e-10


def test_dense_takes_over_where_commutators_are_small():
    """Well conditioned and nearly commuting: the difference of squares has lost its digits."""
    turn = orthogonal(0, 12)
    diagonal = turn @ torch.diag_embed(gaussian(1, 4, 12)) @ turn.T
    layer = from_matrices(diagonal + 1e-8 * gaussian(2, 4, 12, 12))
    assert basis_of(layer).kappa < WELL_BELOW
    blocks, dense, chosen = by_blocks(layer), by_dense(layer), structure_of(layer)
    assert torch.equal(chosen.f, dense.f)
    assert chosen.commutator_squared == dense.commutator_squared
    # Control: it has to.
    assert abs(blocks.commutator_squared / dense.commutator_squared - 1) > 0.01


@given(SEEDS)
def test_what_is_reported_does_not_depend_on_the_basis(seed):
    layer = gaussian_heads(seed, heads=4, d=10, r=3)
    E = basis_elements(layer, basis_of(layer).coefficients)
    mixed = torch.einsum("ab,bij->aij", orthogonal(seed, 4), E)
    one, other = dense_structure_constants(E), dense_structure_constants(mixed)
    for number in (
        lambda s: s.closure_defect,
        lambda s: s.closure_isotropy,
        lambda s: jacobiator_ratio(s.f),
        lambda s: projected_jacobiator_rms(s.f),
    ):
        assert number(other) == pytest.approx(number(one), rel=1e-11)


@given(layers(min_heads=3, min_d=3))
def test_closure_defect_is_a_share(layer):
    structure = structure_of(layer)
    if structure.abelian:
        return
    assert -1e-9 <= structure.closure_defect <= 1 + 1e-9
    n, d = len(structure.f), layer.d_model
    assert structure.closure_isotropy == pytest.approx(
        (1 - structure.closure_defect) * d * d / n, rel=1e-12
    )


def test_all_matrices_are_closed_and_isotropic():
    for d in (2, 3):
        structure = structure_of(gaussian_heads(0, heads=d * d, d=d, r=d))
        assert structure.closure_defect == pytest.approx(0, abs=1e-9)
        assert structure.closure_isotropy == pytest.approx(1, abs=1e-9)


def test_brackets_of_random_full_rank_operators_are_isotropic():
    """Some 450 independent squares: their mean is within 4 · √(2/450) of its expectation."""
    structure = structure_of(from_matrices(gaussian(0, 10, 20, 20)))
    assert structure.closure_isotropy == pytest.approx(1, abs=4 * math.sqrt(2 / 450))


def test_brackets_that_leave_the_span_altogether():
    """[e_1 e_2^T, e_2 e_1^T] is diagonal, and neither of the two is."""
    nilpotent = torch.zeros(2, 3, 3, dtype=torch.float64)
    nilpotent[0, 0, 1] = nilpotent[1, 1, 0] = 1
    structure = structure_of(from_matrices(nilpotent))
    assert structure.closure_defect == 1
    assert structure.commutator_squared == pytest.approx(4)
    assert not structure.f.any()


@pytest.mark.parametrize("heads", [0, 1])
def test_without_pairs_there_is_no_closure(heads):
    structure = dense_structure_constants(gaussian(0, heads, 4, 4))
    assert structure.abelian
    assert math.isnan(structure.closure_defect) and math.isnan(structure.closure_isotropy)


@pytest.mark.parametrize("distance", [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6])
def test_brackets_of_commuting_heads_vanish(distance):
    """However close they are: the basis then magnifies the rounding, and is known to."""
    turn = orthogonal(0, 16)
    diagonals = gaussian(1, 16) + distance * gaussian(2, 4, 16)
    layer = from_matrices(turn @ torch.diag_embed(diagonals) @ turn.T)
    structure = structure_of(layer)
    assert basis_of(layer).rank == 4
    assert structure.abelian
    assert math.isnan(structure.closure_defect) and math.isnan(structure.closure_isotropy)
    # Control: heads that differ as little and do not commute have a closure defect.
    noncommuting = diagonals.new_zeros(4, 16, 16) + torch.diag(diagonals[0])
    noncommuting = noncommuting + distance * gaussian(3, 4, 16, 16)
    assert structure_of(from_matrices(noncommuting)).closure_defect > 0.1


@given(SEEDS, st.floats(1e-4, 1e4))
def test_scale_and_rotation_do_not_show(seed, scale):
    layer, turn = gaussian_heads(seed, heads=4, d=10, r=3), orthogonal(seed, 10)
    turned = HeadOperators.from_factors(scale * (turn @ layer.queries), turn @ layer.keys)
    reference, structure = structure_of(layer), structure_of(turned)
    assert structure.closure_defect == pytest.approx(reference.closure_defect, rel=1e-11)
    assert jacobiator_ratio(structure.f) == pytest.approx(jacobiator_ratio(reference.f), rel=1e-9)


@given(layers(min_heads=1, min_d=3))
def test_the_projected_bracket_alone(layer):
    """The same products, summed by the same calls, with or without the squared commutators.

    Where heads share keys there are fewer of them.
    """
    blocks, basis = blocks_of(layer), basis_of(layer)
    f, beside_squares = projected_bracket(blocks, basis.coefficients), by_blocks(layer).f
    if layer.own_keys:
        assert torch.equal(f, beside_squares)
    scale = float(f.norm()) + 1
    assert float((f - beside_squares).norm()) <= 256 * U * basis.kappa**3 * scale


def test_the_projected_bracket_of_fewer_elements_than_heads():
    layer = gaussian_heads(0, heads=5, d=16, r=3, key_of_head=[0, 0, 1, 1, 2])
    coefficients = basis_of(layer, max_dim=3).coefficients
    dense = dense_structure_constants(basis_elements(layer, coefficients)).f
    f = projected_bracket(blocks_of(layer), coefficients)
    assert relative_error(f, dense) < 256 * U
    # Control: the heads must keep their own keys.
    other = gaussian_heads(0, heads=5, d=16, r=3, key_of_head=[0, 1, 1, 2, 2])
    assert relative_error(projected_bracket(blocks_of(other), coefficients), dense) > 0.1
