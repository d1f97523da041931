"""Chen's identity and the antipode hold to rounding, and break when the code is broken."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from affine_blocks import OneAtATime, RandomBlock, stack
from headalgebra.dyson import (
    AffineBlock,
    GradedState,
    antipode_residuals,
    chen_residuals,
    dyson_orders,
)
from headalgebra.rounding import UNIT_ROUNDOFF

ROUNDOFFS = 100
"""Of the dtype, relative to the sum of the norms of the terms."""


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@given(depth=st.integers(1, 7), size=st.floats(0.05, 3), seed=st.integers(0, 99))
def test_both_hold_to_rounding(dtype: torch.dtype, depth: int, size: float, seed: int) -> None:
    blocks, x = stack(depth, size=size, seed=seed, dtype=dtype)
    bound = ROUNDOFFS * UNIT_ROUNDOFF[dtype]
    chen = chen_residuals(blocks, x, cuts=range(depth + 1), grades=depth)
    assert chen.shape == (depth + 1, depth + 1)
    assert chen.max() <= bound
    antipode = antipode_residuals(blocks, dyson_orders(blocks, x), grades=depth)
    assert antipode.shape == (depth + 1,)
    assert antipode[0] == 0 and antipode.max() <= bound


def test_they_are_no_identities_of_zero_terms() -> None:
    blocks, x = stack(5)
    orders = dyson_orders(blocks, x)
    assert (torch.stack([o.norm() for o in orders]) > 0.1 * x.norm()).all()
    # Another state than the one that the orders came from.
    wrong = [orders[0], *(order + x for order in orders[1:])]
    assert (antipode_residuals(blocks, wrong)[1:] > 0.02).all()


def test_blocks_made_anew_and_fewer_grades_give_the_same() -> None:
    made = OneAtATime((2, 3, 4), 0.7, 5, torch.float64, depth=6)
    x = stack(0)[1]
    orders = dyson_orders(made, x)
    assert antipode_residuals(made, orders, grades=3).shape == (4,)
    chen = chen_residuals(made, x, cuts=[2, 5], grades=3)
    assert chen.shape == (2, 4)
    assert torch.equal(chen, chen_residuals([*made], x, cuts=range(7), grades=3)[[2, 5]])


def old_divide(self: GradedState, block: AffineBlock, top: int) -> None:
    """The inverse with every grade meeting the lower one as it was."""
    while len(self.grades) <= top:
        self.grades.append(torch.zeros_like(self.grades[0]))
    for k in range(top, 0, -1):
        self._add_update(k, block, -1)


def test_the_old_lower_grade_shows_from_grade_two_on(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, x = stack(6)
    orders = dyson_orders(blocks, x)
    monkeypatch.setattr(GradedState, "divide", old_divide)
    residuals = antipode_residuals(blocks, orders)
    assert residuals[1] < 1e-14
    assert (residuals[2:4] > 0.02).all()


def test_a_wrong_order_of_blocks_shows_from_grade_two_on() -> None:
    blocks, x = stack(6)
    residuals = antipode_residuals(blocks[::-1], dyson_orders(blocks, x))
    assert residuals[1] < 1e-14
    assert (residuals[2:4] > 0.02).all()


def corrupted(blocks: list[RandomBlock], layer: int) -> list[RandomBlock]:
    """The blocks, the update of one of them changed by a millionth in another direction."""
    changed = copy.deepcopy(blocks)
    weight = changed[layer].weight
    changed[layer].weight = weight + 1e-6 * weight.norm() * torch.eye(len(weight)).to(weight) / 2
    return changed


@pytest.mark.parametrize("layer", range(6))
def test_a_millionth_of_one_update_shows(layer: int) -> None:
    blocks, x = stack(6)
    residuals = antipode_residuals(corrupted(blocks, layer), dyson_orders(blocks, x))
    assert (residuals[1:4] > 5e-9).all()


class ChangedBehind:
    """A stack whose blocks after a cut differ between the first traversal's two uses of them."""

    def __init__(self, block: RandomBlock, other: RandomBlock, uses: int) -> None:
        self.block, self.other, self.uses = block, other, uses
        self.offset = block.offset

    def linear(self, x: Tensor) -> Tensor:
        self.uses -= 1
        return (self.block if self.uses >= 0 else self.other).linear(x)


def test_chen_compares_two_computations() -> None:
    blocks, x = stack(3)
    # Behind the cut at 1 the last block is used by the parts first: 2 of T_0, 2 of T_1.
    mixed = [*blocks[:2], ChangedBehind(blocks[2], corrupted(blocks, 2)[2], 4)]
    residuals = chen_residuals(mixed, x, cuts=[1])[0]
    assert (residuals[1:] > 5e-9).all()


def test_no_more_applications_than_the_grades_need() -> None:
    blocks, x = stack(8)
    chen_residuals(blocks, x, cuts=[4], grades=3)
    # The whole has 1, 2, 3, 3 … grades to make; behind the cut T_j starts anew, up to 3 − j.
    whole = 1 + 2 + 6 * 3
    behind = sum(min(number, 3 - j) for j in range(4) for number in range(1, 5))
    assert sum(block.applications for block in blocks) == whole + behind
    orders = dyson_orders(blocks, x)
    for block in blocks:
        block.applications = 0
    antipode_residuals(blocks, orders, grades=3)
    assert sum(block.applications for block in blocks) == 8 * 3 * 4 / 2


def test_a_cut_behind_the_last_block_is_refused() -> None:
    blocks, x = stack(3)
    with pytest.raises(ValueError, match="no cut at 4 in 3 blocks"):
        chen_residuals(blocks, x, cuts=[4])
