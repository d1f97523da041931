"""Layers whose heads are known algebras, with every number worked by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from algebras import commutators, direct_sum, heisenberg, sl2, so3, structure_tensor, su2
from headalgebra.algebra.coherence import (
    TwoTermLinf,
    jacobiator_ratio,
    nested_bracket,
    projected_jacobiator,
    projected_jacobiator_rms,
)
from headalgebra.algebra.linf import extract_dense
from headalgebra.algebra.operators import HeadOperators
from heads import (
    SEEDS,
    basis_of,
    elements_of,
    from_matrices,
    gaussian,
    of_condition,
    orthogonal,
    pairs_of,
    structure_of,
)
from thresholds import U

ALGEBRAS = {"so(3)": so3(), "su(2)": su2(), "Heisenberg": heisenberg(), "sl(2)": sl2()}
NAMES = pytest.mark.parametrize("name", ALGEBRAS)


def turned(matrices, seed):
    """The same heads in a random orthonormal frame of the space they act on."""
    turn = orthogonal(seed, matrices.shape[-1])
    layer = from_matrices(matrices)
    return HeadOperators.from_factors(turn @ layer.queries, turn @ layer.keys, layer.key_of_head)


@NAMES
@given(seed=SEEDS)
def test_closed_with_no_jacobiator(name, seed):
    structure = structure_of(turned(ALGEBRAS[name], seed))
    assert structure.closure_defect == pytest.approx(0, abs=64 * U)
    assert projected_jacobiator_rms(structure.f) <= 64 * U


@NAMES
@pytest.mark.parametrize("condition", [3.0, 30.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_any_spanning_set_of_heads_will_do(name, condition, seed):
    mixed = torch.einsum("ab,bij->aij", of_condition(seed, 3, condition), ALGEBRAS[name])
    layer = turned(mixed, seed)
    kappa = basis_of(layer).kappa
    structure = structure_of(layer)
    assert abs(structure.closure_defect) <= 64 * U * kappa**3
    assert projected_jacobiator_rms(structure.f) <= 64 * U * kappa**3


@NAMES
@given(seed=SEEDS, distance=st.floats(1e-3, 1e-1))
def test_a_disturbed_algebra_is_not_closed(name, seed, distance):
    """Control for the laws above: they notice a thousandth."""
    disturbed = ALGEBRAS[name] + distance * gaussian(seed, *ALGEBRAS[name].shape)
    structure = structure_of(from_matrices(disturbed))
    if ALGEBRAS[name].shape[-1] == 2:  # three 2×2 matrices: their traceless part is sl(2) itself
        assert abs(structure.closure_defect) > distance**2 * 1e-8
    else:
        assert structure.closure_defect > distance**2 * 1e-2


@pytest.mark.parametrize(
    "name, epsilon, epsilon_relative, kappa, norm_of_f",
    [
        # Three brackets of norm √2 between matrices of norm √2; f = ε_abc/√2.
        ("so(3)", math.sqrt(2) / 3, math.sqrt(2) / 2, 1, math.sqrt(3)),
        # Three brackets of norm 1 between matrices of norm 1; f = ε_abc.
        ("su(2)", 1 / 4, 1, 1, math.sqrt(6)),
        # One bracket of norm 1 between matrices of norm 1.
        ("Heisenberg", 1 / 9, 1 / 3, 1, math.sqrt(2)),
        # Brackets of norms 2, 2, √2 between matrices of norms √2, 1, 1.
        ("sl(2)", (4 + math.sqrt(2)) / 6, math.sqrt(2), math.sqrt(2), math.sqrt(12)),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_by_hand(name, epsilon, epsilon_relative, kappa, norm_of_f, seed):
    layer = turned(ALGEBRAS[name], seed)
    pairs = pairs_of(layer)
    assert pairs.epsilon == pytest.approx(epsilon, rel=1e-13)
    assert pairs.epsilon_relative == pytest.approx(epsilon_relative, rel=1e-13)
    assert basis_of(layer).kappa == pytest.approx(kappa, rel=1e-13)
    assert float(structure_of(layer).f.norm()) == pytest.approx(norm_of_f, rel=1e-13)


def test_rotations_have_the_rotations_obstruction():
    """[E_b,[E_c,E_a]] with E = L/√2 has norm 1/2 unless b is the third: 6 of 9 triples."""
    for seed in (0, 1):
        dense = extract_dense(elements_of(turned(so3(), seed)))
        assert dense.obstruction_rms == pytest.approx(math.sqrt(1 / 6), rel=1e-13)
        assert dense.coherence_residual <= 16 * U


def test_structure_constants_are_the_textbook_ones():
    epsilon = torch.zeros(3, 3, 3, dtype=torch.float64)
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        epsilon[a, b, c], epsilon[b, a, c] = 1, -1
    for matrices, scale in ((so3(), 1), (su2(), 1)):
        f = structure_tensor(matrices, commutators(matrices))
        torch.testing.assert_close(f, scale * epsilon, rtol=0, atol=1e-14)
    f = structure_tensor(sl2(), commutators(sl2()))
    expected = torch.zeros(3, 3, 3, dtype=torch.float64)
    expected[0, 1, 1], expected[0, 2, 2], expected[1, 2, 0] = 2, -2, 1
    torch.testing.assert_close(f, expected - expected.transpose(0, 1), rtol=0, atol=1e-14)


@NAMES
def test_structure_constants_are_those_of_the_algebra(name):
    """In the basis that the layer's own heads give, whatever its rotation."""
    layer = turned(ALGEBRAS[name], 3)
    E = elements_of(layer)
    expected = structure_tensor(E, commutators(E))
    torch.testing.assert_close(structure_of(layer).f, expected, rtol=0, atol=64 * U)


@NAMES
def test_two_term_relations(name):
    f = structure_of(turned(ALGEBRAS[name], 0)).f
    linf = TwoTermLinf.from_bracket(f)
    assert all(value <= 64 * U for value in linf.residuals_on_basis().values())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sum_of_algebras_is_an_algebra(seed):
    """so(3) ⊕ so(3): many exact zeros beside brackets of size one, and no zero over zero."""
    layer = turned(direct_sum(so3(), so3()), seed)
    structure = structure_of(layer)
    f = structure.f
    assert f.shape == (6, 6, 6)
    assert structure.closure_defect == pytest.approx(0, abs=64 * U)
    assert jacobiator_ratio(f) <= 1e3 * U
    assert float(projected_jacobiator(f).norm()) <= 1e3 * U
    for found in TwoTermLinf.from_bracket(f).residuals_on_basis().values():
        assert found <= 64 * U
    assert pairs_of(layer).epsilon == pytest.approx(6 * math.sqrt(2) / 15 / 6, rel=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nilpotent_of_step_two_has_no_ratio(seed):
    """Heisenberg: nested brackets vanish, so there is nothing to compare ℓ₃ with."""
    f = structure_of(turned(heisenberg(), seed)).f
    assert float(nested_bracket(f).norm()) <= 64 * U
    assert math.isnan(jacobiator_ratio(f))
    found = TwoTermLinf.from_bracket(f).residuals_on_basis()
    assert all(value <= 64 * U for value in found.values())


@pytest.mark.parametrize("seed", range(4))
def test_nor_has_a_skewed_spanning_set(seed):
    mixed = torch.einsum("ab,bij->aij", of_condition(seed, 3, 50.0), heisenberg())
    structure = structure_of(turned(mixed, seed))
    assert math.isnan(jacobiator_ratio(structure.f, structure.kappa))
    # Control: as if the basis were orthonormal to the last digit, a ratio of rounding errors.
    assert jacobiator_ratio(structure.f, 1.0) > 1e-4


def commuting(kind, seed, heads=4, d=9):
    """Heads that commute exactly, and the rounding of their products relative to their norms."""
    turn = orthogonal(seed, d)
    X = gaussian(seed, d, d) / math.sqrt(d)
    if kind == "diagonal":
        return torch.diag_embed(gaussian(seed, heads, d))
    if kind == "simultaneously diagonal":
        return turn @ torch.diag_embed(gaussian(seed, heads, d)) @ turn.T
    powers = torch.stack([torch.linalg.matrix_power(X, k) for k in range(heads)])
    return torch.einsum("hk,kij->hij", gaussian(seed + 1, heads, heads), powers)


@pytest.mark.parametrize("kind", ["diagonal", "simultaneously diagonal", "polynomial"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_commuting_heads(kind, seed):
    matrices = commuting(kind, seed)
    pairs = pairs_of(from_matrices(matrices))
    assert pairs.epsilon_relative <= 64 * U
    if kind == "diagonal":
        assert pairs.epsilon == 0
    structure = structure_of(from_matrices(matrices))
    assert structure.abelian
    assert math.isnan(structure.closure_defect)
    # Chance would have them commute no more than others.
    assert pairs.epsilon_haar > 1e-2 * float(matrices.square().sum()) / len(matrices) / 9
    # Control: one head that is not of the family.
    other = torch.cat([matrices[:-1], gaussian(seed + 2, 1, 9, 9)])
    assert pairs_of(from_matrices(other)).epsilon_relative > 1e-2
    assert not structure_of(from_matrices(other)).abelian
