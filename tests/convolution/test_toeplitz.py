"""The convolution share is 1 for kernels, next to nothing for random rows, and gives P back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headalgebra.convolution import fit_convolution
from headalgebra.convolution.by_lag import LagModel

TOKENS = 24
CAUSAL = torch.ones(TOKENS, TOKENS).tril().bool()
EVERYWHERE = torch.ones(TOKENS, TOKENS).bool()
MASKS = {"causal": CAUSAL, "none": EVERYWHERE, "window": CAUSAL & ~torch.ones_like(CAUSAL).tril(-6)}
SEEDS = st.integers(0, 99)


def attention(scores: Tensor, visible: Tensor) -> Tensor:
    return scores.masked_fill(~visible, -torch.inf).softmax(-1)


def draws(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def kernel_scores(seed: int, heads: int) -> Tensor:
    kernel = torch.from_numpy(3 * draws(seed).standard_normal((heads, 2 * TOKENS - 1)))
    place = torch.arange(TOKENS)
    return kernel[:, place[:, None] - place + TOKENS - 1]


@pytest.mark.parametrize("mask", MASKS)
@given(seed=SEEDS)
def test_a_normalised_kernel_is_all_convolution_and_is_found(mask: str, seed: int) -> None:
    visible = MASKS[mask]
    patterns = attention(kernel_scores(seed, 2), visible).expand(3, 2, TOKENS, TOKENS)
    found = fit_convolution(patterns, draws(seed))
    torch.testing.assert_close(found.share, torch.ones(2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.pattern, patterns[0], rtol=1e-9, atol=1e-12)
    assert (found.chance < 0.5).all()


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_uniform_attention_is_a_convolution(mask: str, dtype: torch.dtype) -> None:
    visible = MASKS[mask]
    patterns = attention(torch.zeros(2, 1, TOKENS, TOKENS, dtype=dtype), visible)
    found = fit_convolution(patterns, draws(0))
    assert found.share.tolist() == found.chance.tolist() == [1]
    assert found.pattern.dtype == dtype
    torch.testing.assert_close(found.pattern, patterns[0])


def test_random_rows_have_the_share_that_counting_gives() -> None:
    n, tokens = 12, 96
    scores = torch.from_numpy(draws(0).standard_normal((n, 4, tokens, tokens)))
    visible = torch.ones(tokens, tokens).tril().bool()
    found = fit_convolution(attention(scores, visible), draws(1))
    # A kernel of T numbers, but for a constant, on N·T(T − 1)/2 deviations from rows' means.
    expected = 2 / (n * tokens)
    for share in (found.share, found.chance):
        assert share.mean() == pytest.approx(expected, rel=0.2)


@given(seed=SEEDS)
def test_the_fit_is_that_of_dense_least_squares(seed: int) -> None:
    n = 2
    scores = torch.from_numpy(draws(seed).standard_normal((n, 1, TOKENS, TOKENS)))
    patterns = attention(scores, CAUSAL)
    share = fit_convolution(patterns, draws(0)).share
    rows, columns = CAUSAL.nonzero().T
    design, values = [], []
    for sequence in range(n):
        row_terms = torch.eye(n * TOKENS)[sequence * TOKENS + rows]
        design.append(torch.cat([row_terms, torch.eye(TOKENS)[rows - columns]], 1).double())
        values.append(patterns[sequence, 0][CAUSAL].log())
    matrix, y = torch.cat(design), torch.cat(values)[:, None]
    within, fitted = (
        float((y - part @ torch.linalg.lstsq(part, y, driver="gelsd").solution).square().sum())
        for part in (matrix[:, : n * TOKENS], matrix)
    )
    assert float(share) == pytest.approx(1 - fitted / within, rel=1e-9)


@given(seed=SEEDS)
def test_row_factors_and_heads_beside_change_nothing(seed: int) -> None:
    scores = torch.from_numpy(draws(seed).standard_normal((2, 3, TOKENS, TOKENS)))
    scores = scores + kernel_scores(seed, 3)
    share = fit_convolution(attention(scores, CAUSAL), draws(0)).share
    moved = scores + torch.from_numpy(draws(1).standard_normal((2, 3, TOKENS, 1)))
    together = fit_convolution(attention(moved, CAUSAL), draws(0)).share
    torch.testing.assert_close(together, share, rtol=1e-9, atol=1e-12)
    alone = fit_convolution(attention(scores[:, 1:2], CAUSAL), draws(0)).share
    torch.testing.assert_close(alone, share[1:2], rtol=1e-9, atol=1e-12)
    assert ((share > 0) & (share < 1)).all()


def test_a_weight_that_vanishes_counts_as_the_smallest() -> None:
    scores = torch.zeros(1, 1, TOKENS, TOKENS)
    scores[..., 10, 3] = -1e4
    patterns = attention(scores, CAUSAL)
    found = fit_convolution(patterns, draws(0), visible=CAUSAL)
    assert 0 < found.share < 1 and found.pattern.isfinite().all()


@given(seed=SEEDS)
def test_permuting_moves_the_visible_values_within_their_rows(seed: int) -> None:
    place = torch.arange(TOKENS)
    model = LagModel(place[:, None] - place, MASKS["window"])
    values = torch.from_numpy(draws(seed).standard_normal((2, TOKENS, TOKENS)))
    permuted = model.permute(values, draws(seed + 1))
    assert not torch.equal(permuted, values)
    for row in range(TOKENS):
        seen = MASKS["window"][row]
        before, after = values[:, row, seen], permuted[:, row, seen]
        assert torch.equal(before.sort(-1).values, after.sort(-1).values)
