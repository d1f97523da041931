"""Every number in float32 is the float64 one to the rounding of float32, by the same code.

Operands are d×d with d small, so that the a-priori bounds stay far below the change of 1e-4 that
each law must see.
"""

import math

import numpy as np
import pytest
import torch

from headalgebra.algebra.basis import basis_elements
from headalgebra.algebra.coherence import dense_structure_constants
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.hochschild import commutator
from headalgebra.algebra.linf import (
    all_triples,
    census,
    extract_dense,
    literal_jacobiator,
    literal_triple,
    probed_words,
    sphere_probes,
    uniform_tuples,
    weighted_triples,
)
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import BALANCE_ABOVE
from headalgebra.rounding import UNIT_ROUNDOFF
from heads import basis_of, gaussian, orthogonal

D, HEADS, RANK = 8, 4, 3
SINGLE = UNIT_ROUNDOFF[torch.float32]
CHANGE = 1 + 1e-4

# [b,[c,a]]: three roundings of the operands in each of four words, and 4√2 d + 8 of the products
# and differences, relative to the product of the operands' norms.
NESTED_ROUNDINGS = 4 * math.sqrt(2) * D + 8 + 12


def unit_matrices(seed, n):
    matrices = gaussian(seed, n, D, D)
    return matrices / torch.linalg.matrix_norm(matrices)[:, None, None]


def layer_in(dtype, factor=1.0):
    queries, keys = gaussian(0, HEADS, D, RANK), gaussian(1, HEADS, D, RANK)
    return HeadOperators.from_factors(factor * queries, keys, dtype=dtype)


def coefficients():
    return basis_of(layer_in(torch.float64)).coefficients


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_operators_keep_the_dtype_asked_for(dtype):
    layer = layer_in(dtype)
    blocks = gram_blocks(layer, balance_above=1.0)  # every head rebuilt
    assert not torch.equal(blocks.operators.query_matrix, layer.query_matrix)
    for tensor in (
        layer.query_matrix,
        layer.key_matrix,
        blocks.operators.key_matrix,
        blocks.cross_gram,
        layer.materialise(0),
        basis_elements(layer, coefficients().to(dtype)),
        sphere_probes(D, 2, np.random.SeedSequence(0), dtype),
    ):
        assert tensor.dtype == dtype


def test_float64_is_the_default():
    queries = gaussian(0, HEADS, D, RANK).float()
    assert HeadOperators.from_factors(queries, queries).query_matrix.dtype == torch.float64
    assert sphere_probes(D, 2, np.random.SeedSequence(0)).dtype == torch.float64


def test_gram_blocks():
    """A rounding of each operand, and one for each of d terms."""
    fine, coarse = (
        gram_blocks(layer_in(dtype), balance_above=BALANCE_ABOVE)
        for dtype in (torch.float64, torch.float32)
    )
    bound = (D + 2) * SINGLE * fine.operators.key_matrix.abs().T @ fine.operators.query_matrix.abs()
    assert bool(((coarse.cross_gram.double() - fine.cross_gram).abs() <= bound).all())
    assert bool(((CHANGE * coarse.cross_gram.double() - fine.cross_gram).abs() > bound).any())


def test_dense_extraction():
    elements = unit_matrices(2, 5)
    reference = extract_dense(elements).obstruction_rms
    coarse = extract_dense(elements.float())
    tolerance = NESTED_ROUNDINGS * SINGLE
    assert abs(coarse.obstruction_rms - reference) <= tolerance
    assert abs(extract_dense(CHANGE * elements.float()).obstruction_rms - reference) > tolerance
    # ℓ₃ is three nested brackets, and what float32 leaves of them.
    assert 1e-3 * SINGLE < coarse.coherence_residual <= 3 * tolerance


@pytest.mark.parametrize("estimator", ["all", "uniform", "weighted"])
def test_probes(estimator):
    """Three letters deep, each d + Hr terms; the three words of a bracket are of like size."""

    def value(dtype, factor=1.0):
        probes = sphere_probes(D, 16, np.random.SeedSequence(3), dtype)
        words = probed_words(layer_in(dtype, factor), coefficients().to(dtype), probes)
        if estimator == "all":
            return all_triples(census(words)).value
        seed = np.random.SeedSequence(4)
        if estimator == "uniform":
            return uniform_tuples(census(words).mean(1), 100, seed).value
        return weighted_triples([words], 100, seed).value

    tolerance = 9 * (D + HEADS * RANK) * SINGLE
    assert value(torch.float32) == pytest.approx(value(torch.float64), rel=tolerance)
    changed = value(torch.float32, CHANGE)
    assert changed != pytest.approx(value(torch.float64), rel=tolerance)


def test_dense_structure_constants():
    """Of unit operators: two products of d terms, and an inner product of d² terms."""
    elements = basis_elements(layer_in(torch.float64), coefficients())
    fine, coarse = (dense_structure_constants(x) for x in (elements, elements.float()))
    changed = dense_structure_constants(CHANGE * elements.float())
    tolerance = (2 * (D + 3) + D * D) * SINGLE
    assert coarse.f.dtype == torch.float32
    assert float((coarse.f - fine.f).abs().max()) <= tolerance
    assert float((changed.f - fine.f).abs().max()) > tolerance
    # ||bracket||² of n² brackets, each a difference of two products of unit operators.
    squares = fine.commutator_squared
    rounding = 4 * (D + 3) * SINGLE * len(elements) * math.sqrt(squares)
    assert abs(coarse.commutator_squared - squares) <= rounding
    assert abs(changed.commutator_squared - squares) > 3e-4 * squares


def test_commuting_operators_vanish_to_the_rounding_of_their_dtype():
    turn = orthogonal(0, D)
    commuting = turn @ torch.diag_embed(torch.linalg.qr(gaussian(1, D, 3)).Q.T) @ turn.T
    for dtype in (torch.float64, torch.float32):
        assert dense_structure_constants(commuting.to(dtype)).abelian
    # Control: what float32 leaves does not pass for zero in float64.
    assert not dense_structure_constants(commuting.float().double()).abelian
    assert not dense_structure_constants(unit_matrices(3, 3).float()).abelian


def test_literal_jacobiator():
    """As many unit roundoffs in either precision."""
    a, b, c = unit_matrices(5, 3)
    for dtype in (torch.float64, torch.float32):
        triple = literal_triple(a.to(dtype), b.to(dtype), c.to(dtype))
        assert 0.3 < triple.jacobiator / triple.noise < 10
        assert triple.jacobiator <= triple.bound
        assert triple.bound == pytest.approx(
            (12 * math.sqrt(2) * D + 22) * UNIT_ROUNDOFF[dtype], rel=1e-5, abs=0
        )
        measured = literal_jacobiator(
            layer_in(dtype), coefficients().to(dtype), 4, np.random.SeedSequence(0)
        )
        assert 0.3 < measured.rms / measured.noise < 10


def test_a_bracket_in_float32():
    x, y = unit_matrices(6, 2)
    tolerance = 2 * (D + 3) * SINGLE
    assert float((commutator(x.float(), y.float()) - commutator(x, y)).norm()) <= tolerance
    assert float((commutator(CHANGE * x.float(), y.float()) - commutator(x, y)).norm()) > tolerance
