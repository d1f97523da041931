"""Every guard fires when what it guards is broken, and says so by its name."""

from collections.abc import Callable
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
from reading_models import reading_model, some_tokens
from torch import nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from headalgebra.states import Guard, GuardError, attention, held, open_recording, record
from headalgebra.states.by_hand import BY_HAND
from headalgebra.states.recording import live_blocks
from headalgebra.states.structure import find_stack

FEW = {"num_hidden_layers": 2}


def refusal(model: Any, folder: Path) -> GuardError:
    with pytest.raises(GuardError) as refused:
        record(model, some_tokens(), folder)
    assert str(refused.value).startswith(f"guard {refused.value.guard} failed with ")
    assert not refused.value.failed.passed
    return refused.value


def test_what_is_no_number_has_not_passed() -> None:
    assert Guard("affinity", 1e-13, 1e-12).demand().passed
    with pytest.raises(GuardError, match=r"guard affinity failed with nan against 1e-12: block 3"):
        Guard("affinity", float("nan"), 1e-12, "block 3").demand()


def test_without_its_mask_a_decoder_sees_the_future(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(AttentionMaskInterface._global_mapping, attention.NAME)
    failed = refusal(reading_model("gpt2", n_layer=2), tmp_path)
    assert failed.guard == "eager"
    assert failed.value > 1e-2


@pytest.mark.parametrize("dropped", [False, True], ids=["unheard", "dropped"])
def test_a_keyword_that_is_not_known_is_refused(
    dropped: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And where it is dropped without a word, the untouched model gives it away."""

    def deaf(*given: Any, position_bias: Any = None, **named: Any) -> Any:
        more = {} if dropped else {"bias_of_places": position_bias}
        return attention.attend(*given, **named, **more)

    monkeypatch.setitem(AttentionInterface._global_mapping, attention.NAME, deaf)
    failed = refusal(reading_model("t5"), tmp_path)
    assert failed.guard == ("eager" if dropped else "keywords")
    assert failed.value > 1e-2
    assert dropped or "T5Attention gives attention bias_of_places" in str(failed)


def test_random_attention_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def dropping(*given: Any, **named: Any) -> Any:
        return attention.attend(*given, **named | {"dropout": 0.1})

    monkeypatch.setitem(AttentionInterface._global_mapping, attention.NAME, dropping)
    assert refusal(reading_model("gpt2", n_layer=2), tmp_path).guard == "keywords"


def test_attention_that_goes_round_the_registry_is_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(BY_HAND, "bloom")
    failed = refusal(reading_model("bloom"), tmp_path)
    assert failed.guard == "probabilities"
    assert "BloomBlock computes 0 attention patterns" in str(failed)


def test_two_patterns_in_a_block_are_one_too_many(tmp_path: Path) -> None:
    model = reading_model("gpt2", n_layer=2)
    attend = model.h[1].attn.forward

    def twice(self: Any, *given: Any, **named: Any) -> Any:
        attend(*given, **named)
        return attend(*given, **named)

    model.h[1].attn.forward = MethodType(twice, model.h[1].attn)
    failed = refusal(model, tmp_path)
    assert (failed.guard, failed.value) == ("probabilities", 1)


def nothing_but(*kinds: str) -> Callable[[nn.Module], list[tuple[nn.Module, str]]]:
    parts = held._parts
    return lambda block: [part for part in parts(block) if part[1] in kinds]


@pytest.mark.parametrize(
    ("family", "kinds", "settings"),
    [
        ("opt", ("norm",), FEW),  # its ReLU is missed
        ("llama", ("norm", "router"), FEW),  # its gate
        ("bert", ("activation",), FEW),  # its norms
        ("llama", ("activation",), FEW),
        ("mixtral", ("norm", "activation"), FEW | {"num_local_experts": 4}),  # its router
    ],
)
def test_what_is_not_held_bends_the_block(
    family: str,
    kinds: tuple[str, ...],
    settings: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(held, "_parts", nothing_but(*kinds))
    failed = refusal(reading_model(family, **settings), tmp_path)
    # With other experts, a block also computes more or less than it did.
    assert failed.guard in (("affinity", "replay") if family == "mixtral" else ("affinity",))
    assert failed.value > 1e-2


def test_factors_that_no_module_computes_have_to_be_declared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(BY_HAND, "esm")
    assert refusal(reading_model("esm"), tmp_path).guard == "affinity"


def test_plain_and_gated_activations_are_told_apart() -> None:
    """A plain one held whole would be affine too, and wrong."""
    gated = {}
    for family in ("gpt2", "opt", "phi", "llama", "phi3", "mixtral"):
        stack = find_stack(reading_model(family), some_tokens())
        block = next(live_blocks(stack, some_tokens()))
        activations = [n for n in block._tape._notes if isinstance(n, held.Activation)]
        (gated[family],) = {activation.gated for activation in activations}
        assert not block._tape.unsettled
    assert [family for family, is_gated in gated.items() if is_gated] == [
        "llama",
        "phi3",
        "mixtral",
    ]


@pytest.mark.parametrize("gated", [False, True])
def test_an_activation_that_no_product_tells_apart_is_tried(
    gated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "PRODUCTS", {})
    tokens = some_tokens()
    stack = find_stack(reading_model("llama" if gated else "gpt2"), tokens)
    block = next(live_blocks(stack, tokens))
    (activation,) = block._tape.unsettled
    assert bool(activation.gated) == gated
    assert block.affinity(torch.Generator().manual_seed(0)).passed


def test_an_activation_that_is_not_0_at_0_is_refused(tmp_path: Path) -> None:
    model = reading_model("opt", activation_function="sigmoid", **FEW)
    failed = refusal(model, tmp_path)
    assert (failed.guard, failed.value) == ("holding", 0.5)


def test_a_norm_of_another_kind_is_refused(tmp_path: Path) -> None:
    class CubicNorm(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / x.abs().pow(3).mean(-1, keepdim=True).pow(1 / 3)

    model = reading_model("llama", **FEW)
    model.layers[1].input_layernorm = CubicNorm()
    failed = refusal(model, tmp_path)
    assert failed.guard == "holding"
    assert "CubicNorm is neither" in str(failed)


def test_something_between_blocks_breaks_the_chain(tmp_path: Path) -> None:
    model = reading_model("gpt2", n_layer=3)
    model.h[1].register_forward_pre_hook(lambda _, given: (2 * given[0], *given[1:]))
    assert refusal(model, tmp_path).guard == "blocks"


def test_states_that_are_no_vectors_are_no_chain(tmp_path: Path) -> None:
    model = reading_model("gpt2", n_layer=2)
    model.h = nn.ModuleList()
    assert refusal(model, tmp_path).guard == "blocks"


def test_blocks_of_another_model_do_not_replay(tmp_path: Path) -> None:
    model, tokens = reading_model("gpt2", n_layer=2), some_tokens()
    recording = record(model, tokens, tmp_path)
    model.h[1].mlp.c_fc.bias.data[0] += 1e-6
    with pytest.raises(GuardError, match="block 1, run again") as refused:
        list(recording.blocks())
    assert refused.value.guard == "replay"


def test_a_recording_is_opened_again_with_its_own_tokens(tmp_path: Path) -> None:
    model, tokens = reading_model("gpt2", n_layer=2), some_tokens()
    with pytest.raises(ValueError, match="no whole recording"):
        open_recording(model, tokens, tmp_path)
    recorded = record(model, tokens, tmp_path)
    opened = open_recording(model, tokens, tmp_path)
    x = torch.ones_like(recorded.state(0))
    for block, again in zip(recorded.blocks(), opened.blocks(), strict=True):
        assert torch.equal(block(x), again(x))
    with pytest.raises(ValueError, match="other tokens"):
        open_recording(model, tokens + 1 - 2 * (tokens > 8), tmp_path)


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    tokens = some_tokens()
    with pytest.raises(ValueError, match="training mode"):
        record(reading_model("gpt2", n_layer=2).train(), tokens, tmp_path)
    with pytest.raises(ValueError, match=r"bfloat16; load it as float64"):
        record(reading_model("gpt2", torch.bfloat16, n_layer=2), tokens, tmp_path)


def test_a_model_is_left_as_it_was(tmp_path: Path) -> None:
    model, tokens = reading_model("llama", **FEW), some_tokens()
    before = model(input_ids=tokens).last_hidden_state
    modules = {name: dict(module.__dict__) for name, module in model.named_modules()}
    record(model, tokens, tmp_path)
    assert torch.equal(model(input_ids=tokens).last_hidden_state, before)
    after = {name: dict(module.__dict__) for name, module in model.named_modules()}
    assert {name: set(parts) for name, parts in after.items()} == {
        name: set(parts) for name, parts in modules.items()
    }
    assert model.config._attn_implementation == "sdpa"
