"""Factors and their Gram blocks say what the dense operators say."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from headalgebra.algebra.commutators import commutator_norms
from headalgebra.algebra.gram import GramBlocks, balance, gram_blocks, symmetric_gram
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import BALANCE_ABOVE
from heads import (
    SEEDS,
    blocks_of,
    gaussian,
    gaussian_heads,
    largest_relative_change,
    layers,
    numbers_of,
    of_condition,
    to_matrices,
)
from thresholds import NEVER, U


def assert_equal(computed, expected, scale, roundings=64):
    error = float((computed - expected).abs().max()) if computed.numel() else 0.0
    assert error <= roundings * U * float(scale)


def condition_changed(layer, condition, seed=0):
    """The same operators from factors Q G and K G^-T, another G for every head."""
    queries, keys = layer.queries.clone(), layer.keys.clone()
    for h in range(layer.n_heads):
        G = of_condition(seed + 2 * h, layer.d_head, condition)
        queries[h] = queries[h] @ G
        keys[h] = torch.linalg.solve(G, keys[h].T).T
    return HeadOperators.from_factors(queries, keys)


@given(layers())
def test_blocks_are_products_of_the_factors(layer):
    blocks = blocks_of(layer)
    Q, K = layer.queries, layer.keys[layer.key_of_head]
    scale_Q, scale_K = Q.square().sum(), K.square().sum()
    assert_equal(blocks.QQ(), Q[:, None].mT @ Q[None], scale_Q)
    assert_equal(blocks.KK_of_heads(), K[:, None].mT @ K[None], scale_K)
    assert_equal(blocks.M_of_heads(), K[:, None].mT @ Q[None], (scale_Q * scale_K).sqrt())


@given(layers())
def test_inner_products_and_traces_are_those_of_the_operators(layer):
    blocks, A = blocks_of(layer), to_matrices(layer)
    scale = layer.queries.square().sum() * layer.keys.square().sum()
    assert_equal(blocks.inner_products(), torch.einsum("iab,jab->ij", A, A), scale)
    M = blocks.diagonal_M()
    assert_equal(torch.einsum("haa->h", M), torch.einsum("haa->h", A), scale.sqrt())
    assert_equal(torch.einsum("hab,hba->h", M, M), torch.einsum("hab,hba->h", A, A), scale)


@given(SEEDS)
def test_nonzero_eigenvalues_are_those_of_the_diagonal_block(seed):
    layer = gaussian_heads(seed, heads=2, d=9, r=3)
    for A, M in zip(to_matrices(layer), blocks_of(layer).diagonal_M(), strict=True):
        of_operator = torch.linalg.eigvals(A)
        largest = of_operator[of_operator.abs().argsort(descending=True)[:3]]
        of_block = torch.linalg.eigvals(M)
        # The two lists come in different orders: compare elementary symmetric functions.
        for power in (1, 2, 3):
            difference = (largest**power).sum() - (of_block**power).sum()
            assert abs(difference) <= 1e4 * U * float(A.norm() ** power)


@given(layers(), SEEDS)
def test_actions_on_vectors_are_those_of_the_operators(layer, seed):
    A, heads, d = to_matrices(layer), layer.n_heads, layer.d_model
    vectors, coefficients = gaussian(seed, d, 2, 3), gaussian(seed + 1, heads)
    scale = layer.queries.norm() * layer.keys.norm() * vectors.norm() * coefficients.norm()
    keyed = layer.key_products(vectors)
    combined = layer.query_combination(coefficients[:, None, None, None] * keyed)
    expected = torch.einsum("h,hij,jpq->ipq", coefficients, A, vectors)
    assert_equal(combined, expected, heads * scale)
    assert_equal(
        layer.combine(coefficients), torch.einsum("h,hij->ij", coefficients, A), heads * scale
    )
    for h in range(heads):
        assert_equal(layer.materialise(h), A[h], scale)


def test_key_map_matters():
    """Control for the laws above: heads that share a key are not heads that do not."""
    layer = gaussian_heads(0, heads=4, d=6, r=2, key_of_head=[0, 0, 1, 1])
    crossed = HeadOperators(layer.query_matrix, layer.key_matrix, torch.tensor([0, 1, 0, 1]))
    difference = blocks_of(layer).inner_products() - blocks_of(crossed).inner_products()
    assert float(difference.abs().max()) > 1.0


@given(SEEDS, st.integers(1, 40), st.integers(1, 12))
def test_symmetric_gram_is_the_plain_product(seed, columns, panels):
    factors = gaussian(seed, 5, columns)
    gram = symmetric_gram(factors, panels)
    assert_equal(gram, factors.T @ factors, factors.square().sum())


@given(SEEDS, st.sampled_from([1.0, 1e3, 1e6]))
def test_balance_keeps_the_operators_and_equals_the_gram_matrices(seed, condition):
    layer = condition_changed(gaussian_heads(seed, heads=3, d=8, r=3), condition, seed)
    balanced = balance(layer, torch.tensor([0, 2]))
    scale = layer.queries.norm(dim=(1, 2)).max() * layer.keys.norm(dim=(1, 2)).max()
    assert_equal(to_matrices(balanced), to_matrices(layer), scale)
    for h in (0, 2):
        Q, K = balanced.queries[h], balanced.keys[balanced.key_of_head[h]]
        sigma = torch.linalg.svdvals(to_matrices(balanced)[h])[:3]
        assert_equal(Q.T @ Q, torch.diag(sigma), scale)
        assert_equal(K.T @ K, torch.diag(sigma), scale)
    assert torch.equal(balanced.queries[1], layer.queries[1])
    assert torch.equal(balanced.keys[balanced.key_of_head[1]], layer.keys[1])


def test_a_balanced_head_leaves_the_others_their_shared_key():
    layer = gaussian_heads(3, heads=4, d=7, r=2, key_of_head=[0, 0, 1, 1])
    balanced = balance(layer, torch.tensor([1]))
    assert balanced.keys.shape[0] == 3
    assert balanced.key_of_head[2] == balanced.key_of_head[3]
    assert len({int(k) for k in balanced.key_of_head}) == 3
    assert torch.equal(balanced.keys[balanced.key_of_head[0]], layer.keys[0])
    assert_equal(to_matrices(balanced), to_matrices(layer), layer.queries.square().sum())


def test_well_scaled_heads_are_left_alone():
    layer = gaussian_heads(0, heads=3, d=16, r=4)
    assert blocks_of(layer).operators is layer


@pytest.mark.parametrize("factor", ["queries", "keys"])
def test_either_factor_may_be_badly_scaled(factor):
    layer = gaussian_heads(0, heads=3, d=16, r=4)
    factors = {"queries": layer.queries.clone(), "keys": layer.keys.clone()}
    factors[factor][1] = factors[factor][1] @ of_condition(0, 4, 1e4)
    bad = HeadOperators.from_factors(**factors)
    rebuilt = blocks_of(bad).operators
    assert torch.equal(rebuilt.queries[[0, 2]], bad.queries[[0, 2]])
    assert not torch.equal(rebuilt.queries[1], bad.queries[1])
    assert_equal(to_matrices(rebuilt), to_matrices(bad), 1e2 * to_matrices(bad).norm())


@pytest.mark.parametrize("condition", [1e6, 1e8])
def test_balancing_keeps_every_number(condition):
    """What is lost is what forming Q G and K G^-T loses, condition times u; it was all of it."""
    layer = gaussian_heads(5, heads=4, d=48, r=6)
    changed, reference = condition_changed(layer, condition), numbers_of(layer)
    unavoidable = 100 * condition * U
    assert largest_relative_change(numbers_of(changed), reference) <= unavoidable

    Q, K = changed.query_matrix, changed.key_matrix
    unbalanced = GramBlocks(changed, Q.T @ Q, K.T @ K, K.T @ Q)
    norms = [
        commutator_norms(blocks, cancellation_below=NEVER)[0, 1:]
        for blocks in (unbalanced, blocks_of(layer))
    ]
    assert float((norms[0] / norms[1] - 1).abs().max()) > 100 * unavoidable


@given(layers(), st.integers(-40, 40))
def test_factors_scaled_against_each_other_change_nothing(layer, exponent):
    """By a power of two not a single digit."""
    scaled = HeadOperators(
        2.0**exponent * layer.query_matrix, 2.0**-exponent * layer.key_matrix, layer.key_of_head
    )
    assert torch.equal(blocks_of(scaled).inner_products(), blocks_of(layer).inner_products())


@pytest.mark.parametrize("d, r", [(2, 5), (1, 3), (4, 4)])
def test_more_columns_than_rows(d, r):
    layer = gaussian_heads(1, heads=3, d=d, r=r)
    A, blocks = to_matrices(layer), blocks_of(layer)
    scale = layer.queries.square().sum() * layer.keys.square().sum()
    assert_equal(blocks.inner_products(), torch.einsum("iab,jab->ij", A, A), scale)
    assert_equal(to_matrices(blocks.operators), A, scale)


@pytest.mark.parametrize("zero", [[0], [1], [0, 1, 2]])
def test_zero_heads(zero):
    layer = gaussian_heads(2, heads=3, d=6, r=2)
    queries = layer.queries.clone()
    queries[zero] = 0
    blocks = blocks_of(HeadOperators.from_factors(queries, layer.keys))
    products = blocks.inner_products()
    assert not products[zero].any()
    assert all(products[h, h] > 0 for h in range(3) if h not in zero)


def test_factors_of_any_precision_are_widened():
    queries, keys = gaussian(0, 2, 5, 3), gaussian(1, 2, 5, 3)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        layer = HeadOperators.from_factors(queries.to(dtype), keys.to(dtype))
        assert layer.query_matrix.dtype == torch.float64
        assert torch.equal(layer.queries, queries.to(dtype).double())


@pytest.mark.parametrize("key_of_head", [[0, 2], [-1, 0]])
def test_keys_that_do_not_exist_are_refused(key_of_head):
    with pytest.raises(ValueError, match=r"0\.\.1") as refusal:
        HeadOperators.from_factors(
            gaussian(0, 2, 5, 3), gaussian(1, 2, 5, 3), torch.tensor(key_of_head)
        )
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "queries, keys, heads",
    [((2, 5, 3), (2, 4, 3), 2), ((2, 5, 3), (2, 5, 2), 2), ((2, 5, 3), (2, 5, 3), 3)],
)
def test_shapes_that_disagree_are_refused(queries, keys, heads):
    """By the shape check where it is installed, by name where it is not."""
    with pytest.raises((ValueError, TypeCheckError)):
        HeadOperators.from_factors(
            gaussian(0, *queries), gaussian(1, *keys), torch.zeros(heads, dtype=torch.int64)
        )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_factors_that_are_not_finite_are_refused(bad):
    queries = gaussian(0, 2, 5, 3)
    queries[1, 2, 0] = bad
    sound = gaussian(1, 2, 5, 3)
    with pytest.raises(ValueError, match="queries"):
        gram_blocks(HeadOperators.from_factors(queries, sound), balance_above=BALANCE_ABOVE)
    with pytest.raises(ValueError, match="keys"):
        gram_blocks(HeadOperators.from_factors(sound, queries), balance_above=BALANCE_ABOVE)
