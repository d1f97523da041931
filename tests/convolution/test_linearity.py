"""R² of an affine map is 1 for affine blocks, and for the update 0 where it is noise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headalgebra.convolution import linearity

D = 8


def normal(seed: int, *sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seed=st.integers(0, 99))
def test_an_affine_block_is_linear(seed: int) -> None:
    x = normal(seed, 40 * D, D)
    after = x + x @ normal(seed + 1, D, D) + normal(seed + 2, D)
    found = linearity(x, after)
    assert found.state == pytest.approx(1, abs=1e-12)
    assert found.update == pytest.approx(1, abs=1e-12)
    assert found.note == ""


def test_an_update_of_noise_leaves_the_state_linear() -> None:
    x, noise = normal(0, 4000, D), normal(1, 4000, D)
    found = linearity(x, x + 0.5 * noise)
    assert found.update == pytest.approx(0, abs=0.01)
    # Of the variance of what leaves, 1/(1 + 1/4) is in what enters.
    assert found.state == pytest.approx(0.8, abs=0.01)


def test_the_share_of_a_signal_in_noise_is_found() -> None:
    x, noise = normal(0, 4000, D), normal(1, 4000, D)
    update = x @ normal(2, D, D) / D**0.5
    noise *= update.std() / noise.std()
    assert linearity(x, x + update + noise).update == pytest.approx(0.5, abs=0.03)


@settings(max_examples=5)
@given(seed=st.integers(0, 99), factor=st.sampled_from([1e-6, 1e5]))
def test_scale_place_and_directions_of_the_states_change_nothing(seed: int, factor: float) -> None:
    x = normal(seed, 300, D)
    after = x + torch.tanh(3 * x @ normal(seed + 1, D, D))
    expected = linearity(x, after)
    frame = torch.linalg.qr(normal(seed + 2, D, D))[0]
    move = normal(seed + 3, D)
    found = linearity(factor * (x @ frame + move), factor * (after @ frame + move))
    assert found.state == pytest.approx(expected.state, abs=1e-8)
    assert found.update == pytest.approx(expected.update, abs=1e-8)
    assert 0 < found.update < 0.95 < 1.0  # tanh is not affine


def test_fitted_noise_does_not_count() -> None:
    # In sample, 4d tokens of noise have R² = 1/4.
    for seed in range(5):
        x, noise = normal(seed, 4 * 40, 40), normal(seed + 50, 4 * 40, 40)
        found = linearity(x, x + noise)
        assert found.update is not None and -0.15 < found.update < 0.02


def test_held_out_tokens_are_not_fitted() -> None:
    # Half of the update is noise; in sample, 4d tokens would have R² = 0.6.
    for seed in range(5):
        x, noise = normal(seed, 4 * 40, 40), normal(seed + 50, 4 * 40, 40)
        update = x @ normal(seed + 99, 40, 40) / 40**0.5 + noise
        found = linearity(x, x + update)
        assert found.update is not None and 0.1 < found.update < 0.5


def test_too_few_tokens_and_no_update_are_said() -> None:
    x = normal(0, 4 * D - 1, D)
    assert linearity(x, x) == linearity(x, 2 * x)
    assert linearity(x, x).state is None
    assert linearity(x, x).note == f"{4 * D - 1} tokens, and an affine map of {D} wants {4 * D}"
    still = linearity(normal(0, 9 * D, D), normal(0, 9 * D, D))
    assert still.state == pytest.approx(1) and still.update is None and "no update" in still.note
