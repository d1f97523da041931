"""The orders are the sums over paths, and sum up to the forward pass."""

from functools import reduce
from itertools import accumulate, combinations
from math import comb

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from affine_blocks import OneAtATime, RandomBlock, stack
from headalgebra.dyson import OrderNorms, dyson_orders, order_norms
from headalgebra.rounding import UNIT_ROUNDOFF

SIZES = st.floats(0.05, 3)


def forward(blocks: list[RandomBlock], x: Tensor) -> Tensor:
    return reduce(lambda state, block: block(state), blocks, x)


def paths(blocks: list[RandomBlock], x: Tensor, k: int) -> Tensor:
    """Order k of one sequence, path by path, by matrices on (x, 1)."""
    start = torch.cat([x[0].flatten(), x.new_ones(1)])
    updates = [block.update() for block in blocks]
    total = torch.zeros_like(start)
    for chosen in combinations(updates, k):
        total += reduce(lambda state, matrix: matrix @ state, chosen, start)
    return total[:-1].reshape(x.shape)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@given(depth=st.integers(0, 7), size=SIZES, seed=st.integers(0, 99))
def test_orders_sum_up_to_the_forward_pass(
    dtype: torch.dtype, depth: int, size: float, seed: int
) -> None:
    blocks, x = stack(depth, size=size, seed=seed, dtype=dtype)
    orders = dyson_orders(blocks, x)
    assert len(orders) == depth + 1
    scale = sum(float(torch.linalg.vector_norm(order)) for order in orders)
    error = torch.linalg.vector_norm(sum(orders) - forward(blocks, x))
    assert error <= 100 * (depth + 1) * UNIT_ROUNDOFF[dtype] * scale


@given(depth=st.integers(1, 6), size=SIZES, seed=st.integers(0, 99))
def test_an_order_is_the_sum_over_paths_of_its_length(depth: int, size: float, seed: int) -> None:
    blocks, x = stack(depth, shape=(1, 3, 4), size=size, seed=seed)
    for k, order in enumerate(dyson_orders(blocks, x)):
        torch.testing.assert_close(order, paths(blocks, x, k), rtol=1e-11, atol=1e-12)


def test_half_as_many_applications_as_pairs_of_blocks_and_states() -> None:
    blocks, x = stack(9)
    kept = x.clone()
    orders = dyson_orders(blocks, x)
    assert sum(block.applications for block in blocks) == 9 * 10 / 2
    assert orders[0] is x and torch.equal(x, kept)


def test_blocks_made_anew_give_the_same_orders() -> None:
    made = OneAtATime((2, 3, 4), 0.7, 5, torch.float64, depth=4)
    x = stack(0)[1]
    for one, other in zip(dyson_orders(made, x), dyson_orders([*made], x), strict=True):
        assert torch.equal(one, other)


@given(factor=st.floats(0.1, 3), seed=st.integers(0, 99))
def test_order_k_is_of_degree_k_in_the_updates(factor: float, seed: int) -> None:
    blocks, x = stack(4, seed=seed)
    orders = dyson_orders(blocks, x)
    for block in blocks:
        block.size *= factor
        block.offset = block.offset * factor
    for k, order in enumerate(dyson_orders(blocks, x)):
        torch.testing.assert_close(order, factor**k * orders[k], rtol=1e-10, atol=1e-12)


class Scaling:
    """x ↦ (1 + v) x."""

    def __init__(self, v: float) -> None:
        self.v, self.offset = v, torch.zeros(1, 2, 1, dtype=torch.float64)

    def linear(self, x: Tensor) -> Tensor:
        return (1 + self.v) * x


@given(depth=st.integers(1, 30), v=st.floats(0.01, 5))
def test_equal_commuting_updates_are_binomial_and_are_their_own_guide(depth: int, v: float) -> None:
    x = torch.ones(1, 2, 1, dtype=torch.float64)
    orders = dyson_orders([Scaling(v)] * depth, x)
    norms = order_norms(orders, (1 + v) ** depth * x)
    expected = [comb(depth, k) * v**k / (1 + v) ** depth for k in range(depth + 1)]
    torch.testing.assert_close(norms.norm, norms.norm.new_tensor(expected), rtol=1e-11, atol=0)
    torch.testing.assert_close(norms.guide, norms.norm, rtol=1e-9, atol=1e-15)
    assert norms.update_size == pytest.approx(v, rel=1e-9)
    assert norms.cancellation == pytest.approx(1, rel=1e-12)
    assert norms.mean_path_length == pytest.approx(depth * v / (1 + v), rel=1e-11)


def test_norms_are_those_of_orders_and_partial_sums() -> None:
    blocks, x = stack(5)
    orders, x_L = dyson_orders(blocks, x), forward(blocks, x)
    for first in (0, 1):
        norms = order_norms(iter(orders), x_L, first_token=first)
        size = x_L[:, first:].norm()
        for k, partial in enumerate(accumulate(orders)):
            assert float(norms.norm[k]) == pytest.approx(float(orders[k][:, first:].norm() / size))
            error = float((partial - x_L)[:, first:].norm() / size)
            assert float(norms.partial_error[k]) == pytest.approx(error, abs=1e-14)
        assert norms.partial_error[-1] <= 1e-14 * norms.cancellation
        assert norms.cumulative[-1] == pytest.approx(norms.cancellation)
        assert float(norms.path_lengths.sum()) == pytest.approx(1)


def test_a_sum_that_comes_near_and_leaves_again_has_not_converged() -> None:
    error = torch.tensor([2.0, 0.05, 0.3, 0.1, 0.01], dtype=torch.float64)
    assert OrderNorms(error, error).converged_at() == 3
    assert OrderNorms(error, error).converged_at(0.4) == 1
    assert OrderNorms(error, error).converged_at(0.001) is None
    assert OrderNorms(error, error).converged_at(2.0) == 0


def test_no_tokens_or_a_zero_state_are_refused() -> None:
    x = torch.zeros(1, 2, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="zero"):
        order_norms([x], x)
    with pytest.raises(ValueError, match="no tokens from 2 on"):
        order_norms([x + 1], x + 1, first_token=2)
