"""The exact norms of all triples: those of dense brackets, at the cost that is stated."""

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given
from torch.utils.flop_counter import FlopCounterMode

from headalgebra.algebra.hochschild import obstruction
from headalgebra.algebra.linf import extract_dense, triple_squares, triple_squares_flops
from heads import (
    basis_of,
    blocks_of,
    elements_of,
    from_matrices,
    gaussian,
    gaussian_heads,
    heavy_tailed,
    layers,
)

SHAPES = {
    "wide": {"heads": 4, "d": 6, "r": 3},
    "narrow": {"heads": 3, "d": 16, "r": 2},
    "head wider than the stream": {"heads": 3, "d": 4, "r": 6},
    "shared keys": {"heads": 5, "d": 12, "r": 3, "key_of_head": [0, 1, 0, 1, 1]},
}


def squares_of(layer):
    return triple_squares(blocks_of(layer).operators, basis_of(layer).coefficients)


def dense_squares(layer):
    E = elements_of(layer)
    return torch.stack(
        [
            torch.stack(
                [
                    obstruction(E[a], E[b], E[c]).square().sum()
                    for a, c in combinations(range(len(E)), 2)
                ]
            )
            for b in range(len(E))
        ]
    )


@given(layers(min_heads=2))
def test_squares_are_those_of_dense_brackets(layer):
    if basis_of(layer).dimension < 2:
        return
    # Coefficients of up to κ times an element's size cancel in each of three factors.
    rounding = 1e-13 * layer.d_model * basis_of(layer).kappa ** 3
    torch.testing.assert_close(
        squares_of(layer).sqrt(), dense_squares(layer).sqrt(), rtol=0, atol=rounding
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape(shape):
    layer = gaussian_heads(3, **SHAPES[shape])
    squares, expected = squares_of(layer), dense_squares(layer)
    torch.testing.assert_close(squares, expected, rtol=1e-12, atol=0)
    # Control: another order of the elements is not the same.
    assert not torch.allclose(squares.flip(0), expected, rtol=1e-2)


@pytest.mark.parametrize("distance", [1e-3, 1e-6])
def test_nearly_commuting_elements_keep_their_digits(distance):
    """The obstruction is of the distance's order; from traces it would lose half its digits."""
    commuting = torch.diag_embed(gaussian(0, 4, 6))
    layer = from_matrices(commuting + distance * gaussian(1, 4, 6, 6))
    value = math.sqrt(float(squares_of(layer).mean()))
    dense = extract_dense(elements_of(layer)).obstruction_rms
    assert 0.1 * distance < value < 10 * distance
    assert value == pytest.approx(dense, rel=1e-14 / distance, abs=0)


def test_commuting_elements_have_no_obstruction():
    layer = from_matrices(torch.diag_embed(gaussian(0, 4, 6)))
    assert float(squares_of(layer).max()) < 1e-30


def test_blocks_of_rows_do_not_show(monkeypatch):
    layer = heavy_tailed(1)
    whole = squares_of(layer)
    monkeypatch.setattr("headalgebra.algebra.linf.exact.BRACKET_NUMBERS", 1)
    torch.testing.assert_close(squares_of(layer), whole, rtol=1e-13, atol=1e-30)


@pytest.mark.parametrize("shape", SHAPES)
def test_flops_are_those_that_are_stated(shape):
    layer = gaussian_heads(3, **SHAPES[shape])
    basis = basis_of(layer)
    with FlopCounterMode(display=False) as counted:
        triple_squares(layer, basis.coefficients)
    stated = triple_squares_flops(
        d=layer.d_model,
        heads=layer.n_heads,
        keys=len(layer.keys),
        r=layer.d_head,
        n=basis.dimension,
    )
    assert counted.get_total_flops() == stated
