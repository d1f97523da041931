"""Constructed layers have the condition number and the basis that they were made with."""

import numpy as np
import pytest
import torch

from headalgebra.algebra.basis import basis_elements, orthonormal_basis
from headalgebra.algebra.constructed import ELEMENTS, conditioned_layer, gaussian_layer
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.linf import census, extract_dense, probed_words
from headalgebra.defaults import BALANCE_ABOVE, GRAM_FLOOR, RANK_CUTOFF
from heads import to_matrices
from thresholds import U

N, D = 5, 24


def seed(number: int = 0) -> np.random.SeedSequence:
    return np.random.SeedSequence(number)


@pytest.mark.parametrize("elements", ELEMENTS)
@pytest.mark.parametrize("kappa", [2.0, 300.0, 1e6])
def test_the_condition_number_and_the_basis_are_those_asked_for(
    elements: str, kappa: float
) -> None:
    layer = conditioned_layer(kappa, N, D, elements=elements, seed=seed())
    flat = layer.elements.reshape(N, -1)
    # A Gram matrix of condition κ_G is inverted on the way; of Gaussian products it is small.
    assert torch.allclose(flat @ flat.T, torch.eye(N, dtype=torch.float64), atol=1e4 * U)
    blocks = gram_blocks(layer.operators, balance_above=BALANCE_ABOVE)
    basis = orthonormal_basis(blocks, rank_cutoff=RANK_CUTOFF, gram_floor=GRAM_FLOOR)
    # The Gram matrix squares κ, above gram_floor; below it, the operators are decomposed.
    tolerance = 1e3 * min(kappa**2, 1 / GRAM_FLOOR) * U
    assert basis.kappa == pytest.approx(kappa, rel=max(tolerance, 1e3 * kappa * U))
    found = basis_elements(blocks.operators, basis.coefficients).reshape(N, -1)
    overlap = (found @ flat.T).abs()
    assert torch.allclose(overlap, torch.eye(N, dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize("elements", ELEMENTS)
@pytest.mark.parametrize("n", [2, 3, 7])
def test_singular_values_fall_evenly_on_a_logarithmic_scale(elements: str, n: int) -> None:
    kappa = 1e3
    operators = conditioned_layer(kappa, n, D, elements=elements, seed=seed(n)).operators
    stacked = to_matrices(operators).reshape(n, -1)
    expected = [kappa ** (-k / (n - 1)) for k in range(n)]
    # The smallest of them is known to the rounding of the largest, as the elements are.
    assert torch.linalg.svdvals(stacked).tolist() == pytest.approx(expected, abs=1e4 * U)


def test_triples_of_uneven_elements_differ_more() -> None:
    variation = {}
    for elements in ELEMENTS:
        layer = conditioned_layer(10.0, 12, 32, elements=elements, seed=seed(1))
        blocks = gram_blocks(layer.operators, balance_above=BALANCE_ABOVE)
        basis = orthonormal_basis(blocks, rank_cutoff=RANK_CUTOFF, gram_floor=GRAM_FLOOR)
        whole = 32**0.5 * torch.eye(32, dtype=torch.float64)
        squared = census(probed_words(blocks.operators, basis.coefficients, whole)).mean(1)
        variation[elements] = float(squared.std() / squared.mean())
        # Every direction once: no estimate, but the norm.
        dense = extract_dense(layer.elements).obstruction_rms
        assert float(squared.mean().sqrt()) == pytest.approx(dense, rel=1e-10)
    assert variation["even"] < 1 < variation["uneven"]


def test_the_seed_alone_decides() -> None:
    first, again, other = (gaussian_layer(3, 16, 4, seed=seed(number)) for number in (1, 1, 2))
    assert torch.equal(first.query_matrix, again.query_matrix)
    assert not torch.equal(first.query_matrix, other.query_matrix)
    assert (first.n_heads, first.d_model, first.d_head) == (3, 16, 4)
    # Of 3·16·4 entries of variance 1/16, six standard errors.
    assert float(first.query_matrix.var()) == pytest.approx(1 / 16, rel=6 * (2 / 192) ** 0.5)


@pytest.mark.parametrize("number", range(4))
def test_the_uneven_pair_commutes_least_of_all(number: int) -> None:
    """Alone, x yᵀ and y xᵀ have a bracket of norm √2; two others of 12 have about 1/4."""
    elements = conditioned_layer(10.0, 12, 32, elements="uneven", seed=seed(number)).elements
    a, b = torch.triu_indices(12, 12, offset=1)
    brackets = elements[a] @ elements[b] - elements[b] @ elements[a]
    first, *others = torch.linalg.matrix_norm(brackets).tolist()
    assert 2 * max(others) < first < 2**0.5


@pytest.mark.parametrize(
    ("kappa", "n", "d", "elements"),
    [(1.0, 3, 9, "even"), (2.0, 1, 9, "even"), (2.0, 9, 8, "even"), (2.0, 3, 9, "odd")],
)
def test_what_cannot_be_made_is_refused(kappa: float, n: int, d: int, elements: str) -> None:
    with pytest.raises(ValueError, match="no such layer"):
        conditioned_layer(kappa, n, d, elements=elements, seed=seed())
