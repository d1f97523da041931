"""Gradients against differences, and alignment of known directions."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from headalgebra.convolution import gradient_alignment, state_gradients


def normal(seed: int, *sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draws(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


SPECIAL = {"bos_token_id": 0, "eos_token_id": 0}


def gpt2() -> tuple[nn.Module, nn.ModuleList]:
    torch.manual_seed(0)
    config = GPT2Config(n_layer=3, n_embd=16, n_head=2, vocab_size=40, n_positions=16, **SPECIAL)
    model = GPT2LMHeadModel(config).double().eval()
    return model, model.transformer.h


def llama() -> tuple[nn.Module, nn.ModuleList]:
    torch.manual_seed(0)
    config = LlamaConfig(
        num_hidden_layers=3,
        hidden_size=16,
        intermediate_size=24,
        num_attention_heads=2,
        vocab_size=40,
    )
    model = LlamaForCausalLM(config).double().eval()
    return model, model.model.layers


TOKENS = torch.tensor([[1, 5, 9, 30, 2, 7], [3, 3, 8, 0, 39, 11]])


def loss_with(model: nn.Module, block: nn.Module, step: Tensor) -> Tensor:
    """Summed cross-entropy of each sequence with a step added to what enters a block."""

    def add(_: nn.Module, positional: tuple, named: dict) -> tuple:
        if positional:
            return (positional[0] + step, *positional[1:]), named
        return positional, {**named, "hidden_states": named["hidden_states"] + step}

    handle = block.register_forward_pre_hook(add, with_kwargs=True)
    with torch.no_grad():
        logits = model(TOKENS, use_cache=False).logits[:, :-1]
    handle.remove()
    return nn.functional.cross_entropy(logits.mT, TOKENS[:, 1:], reduction="none").sum(1)


# Llama's norms and rotations are float32 within, which a longer step must outweigh.
@pytest.mark.parametrize(("made", "size", "digits"), [(gpt2, 1e-5, 1e-6), (llama, 1e-4, 1e-4)])
@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_agree_with_central_differences(
    made: Callable[[], tuple[nn.Module, nn.ModuleList]], size: float, digits: float, frozen: bool
) -> None:
    model, blocks = made()
    model.requires_grad_(not frozen)
    kept = copy.deepcopy(model.state_dict())
    gradients = state_gradients(model, blocks, TOKENS)
    assert len(gradients) == 3
    for layer, gradient in enumerate(gradients):
        assert gradient.shape == (2, 6, 16) and not gradient.requires_grad
        step = size * normal(layer, 2, 6, 16)
        rise = loss_with(model, blocks[layer], step) - loss_with(model, blocks[layer], -step)
        expected = 2 * (gradient * step).sum((1, 2))
        torch.testing.assert_close(rise, expected, rtol=digits, atol=digits * size)
        # Nothing attends to the last token, which has no next one.
        assert (gradient[:, -1] == 0).all() and (gradient[:, :-1] != 0).any(-1).all()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())
    assert not any(block._forward_pre_hooks for block in blocks)


def test_sequences_do_not_see_one_another() -> None:
    model, blocks = gpt2()
    both = state_gradients(model, blocks, TOKENS)
    second = state_gradients(model, blocks, TOKENS[1:])
    for one, other in zip(both, second, strict=True):
        torch.testing.assert_close(one[1:], other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_step_down_the_gradient_is_aligned_and_lowers_the_loss(sign: int) -> None:
    before, gradient = normal(0, 4, 30, 64), normal(1, 4, 30, 64)
    found = gradient_alignment(before, before - sign * 0.1 * gradient, gradient, draws(0))
    assert found.cosine == pytest.approx(sign) and found.cosine_error == pytest.approx(0, abs=1e-9)
    assert abs(found.chance) < 0.05
    # Independent directions in d dimensions, 4 · 29 of them.
    assert found.chance_spread == pytest.approx(64**-0.5, rel=0.3)
    sizes = gradient[:, :-1].square().sum((1, 2))
    assert found.change == pytest.approx(-0.1 * sign * float(sizes.mean()))
    assert found.change_error == pytest.approx(0.1 * float(sizes.std()) / 2)


def test_a_direction_that_all_tokens_share_is_chance_too() -> None:
    shared = normal(0, 64)
    gradient = shared + 0.1 * normal(1, 3, 20, 64)
    found = gradient_alignment(0 * gradient, -shared.expand_as(gradient), gradient, draws(0))
    assert found.cosine > 0.9 and found.chance == pytest.approx(found.cosine, abs=0.01)


def test_random_updates_are_at_chance_within_their_error() -> None:
    before, after, gradient = (normal(seed, 8, 50, 32) for seed in range(3))
    found = gradient_alignment(before, after, gradient, draws(0))
    assert found.cosine_error is not None and found.change_error is not None
    assert abs(found.cosine) < 4 * found.cosine_error < 0.1
    assert abs(found.change) < 4 * found.change_error


def test_the_last_token_does_not_count_and_a_zero_points_nowhere() -> None:
    before, after, gradient = (normal(seed, 2, 5, 8) for seed in range(3))
    expected = gradient_alignment(before, after, gradient, draws(0))
    after[:, -1], gradient[:, -1] = 1e3, 1e3
    assert gradient_alignment(before, after, gradient, draws(0)) == expected
    still = gradient_alignment(before, before, gradient, draws(0))
    assert (still.cosine, still.chance, still.change) == (0, 0, 0)


def test_one_sequence_has_no_error_and_one_token_no_chance() -> None:
    x = normal(0, 1, 3, 4)
    found = gradient_alignment(x, 2 * x, -x, draws(0))
    assert found.cosine == pytest.approx(1)
    assert found.cosine_error is None and found.change_error is None
    with pytest.raises(ValueError, match="another token"):
        gradient_alignment(x[:, :2], x[:, :2], x[:, :2], draws(0))
