"""Convolution shares, responses, linearity and alignment on a GPU agree with the CPU."""

from dataclasses import astuple

import numpy as np
import pytest
import torch
from torch import Tensor

from headalgebra.convolution import (
    fit_convolution,
    gradient_alignment,
    impulse_response,
    impulse_share,
    linearity,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


def normal(seed: int, *sizes: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(sizes))


def draws() -> np.random.Generator:
    return np.random.default_rng(0)


def test_patterns() -> None:
    mask = torch.ones(16, 16).triu(1).bool()
    patterns = normal(0, 3, 2, 16, 16).masked_fill(mask, -torch.inf).softmax(-1)
    expected = fit_convolution(patterns, draws())
    found = fit_convolution(patterns.cuda(), draws())
    for one, other in zip(astuple(found), astuple(expected), strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-10, atol=1e-12)


def test_responses() -> None:
    mixing, x = normal(0, 12, 12), torch.zeros(1, 12, 5, dtype=torch.float64)
    positions = [0, 4, 9]
    expected = impulse_response([lambda p: mixing @ p], x, draws(), positions=positions)
    found = impulse_response([lambda p: mixing.cuda() @ p], x.cuda(), draws(), positions=positions)
    torch.testing.assert_close(found.cpu(), expected)
    assert impulse_share(found, draws(), positions=positions) == pytest.approx(
        impulse_share(expected, draws(), positions=positions), rel=1e-9
    )


def test_linearity_and_alignment() -> None:
    before, after, gradient = (normal(seed, 4, 40, 8) for seed in range(3))
    expected = linearity(before.flatten(0, 1), after.flatten(0, 1))
    found = linearity(before.cuda().flatten(0, 1), after.cuda().flatten(0, 1))
    assert astuple(found)[:2] == pytest.approx(astuple(expected)[:2], rel=1e-9)
    aligned = gradient_alignment(before, after, gradient, draws())
    # As live models on a GPU have it: gradients come back to the CPU.
    mixed = gradient_alignment(before.cuda(), after.cuda(), gradient, draws())
    assert astuple(mixed) == pytest.approx(astuple(aligned), rel=1e-9)
