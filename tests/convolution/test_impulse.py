"""The impulse response of known linear maps."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headalgebra.convolution import impulse_response, impulse_share

TOKENS, D = 20, 6
POSITIONS = (0, 3, 7, 12, 15)


def draws(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def mixing(matrix: Tensor, frame: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """Tokens mixed by a matrix, and dimensions turned by an orthogonal one."""
    return lambda x: matrix @ x @ (torch.eye(D).to(x) if frame is None else frame)


def test_no_blocks_leave_the_unit_impulse() -> None:
    x = torch.zeros(1, TOKENS, D, dtype=torch.float64)
    found = impulse_response([], x, draws(0), positions=POSITIONS)
    expected = torch.eye(TOKENS, dtype=torch.float64)[list(POSITIONS)]
    torch.testing.assert_close(found, expected)


@given(seed=st.integers(0, 99), n=st.integers(1, 3))
def test_the_response_of_mixed_tokens_is_the_product_of_the_mixings(seed: int, n: int) -> None:
    matrices = torch.from_numpy(draws(seed).standard_normal((3, TOKENS, TOKENS)))
    frame = torch.linalg.qr(torch.from_numpy(draws(seed).standard_normal((D, D))))[0]
    x = torch.zeros(n, TOKENS, D, dtype=torch.float64)
    tangents = (mixing(matrix, frame) for matrix in matrices)
    found = impulse_response(tangents, x, draws(seed), positions=POSITIONS)
    product = (matrices[2] @ matrices[1] @ matrices[0]).abs()
    torch.testing.assert_close(found, product.T[list(POSITIONS)])


def test_the_mean_square_is_over_directions() -> None:
    scale = torch.arange(1.0, D + 1).double()
    x = torch.zeros(1, 2, D, dtype=torch.float64)
    found = impulse_response([lambda p: p * scale], x, draws(0), positions=[0], draws=20_000)
    # Of a uniform direction, the mean of |Dv|² is tr(D²)/d.
    assert found[0, 0] == pytest.approx(float(scale.square().mean().sqrt()), rel=0.02)
    assert found[0, 1] == 0


@pytest.mark.parametrize("causal", [True, False])
def test_a_convolution_has_the_share_one_and_random_mixing_chance(causal: bool) -> None:
    place = torch.arange(TOKENS)
    lag = place[:, None] - place
    kernel = (-0.3 * lag.abs()).double().exp() * (1 + (lag % 3))
    noise = torch.from_numpy(draws(0).standard_normal((TOKENS, TOKENS))).exp()
    if causal:
        kernel, noise = kernel.tril(), noise.tril()
    x = torch.zeros(1, TOKENS, D, dtype=torch.float64)
    positions = range(TOKENS)
    shares = []
    for matrix in (kernel, noise):
        response = impulse_response([mixing(matrix)], x, draws(0), positions=positions)
        shares.append(impulse_share(response, draws(1), positions=positions))
    assert shares[0][0] == pytest.approx(1, abs=1e-12) and shares[0][1] < 0.5
    assert abs(shares[1][0] - shares[1][1]) < 0.15
