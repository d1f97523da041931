"""Norms with other scales than their own, against models that have them."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from reading_models import reading_model, some_tokens
from torch import Tensor, nn

from headalgebra.geometry.ablation import FirstScales, constant_scales, stream_scales
from headalgebra.rounding import UNIT_ROUNDOFF
from headalgebra.states import Recording, record

FAMILIES = ["gpt2", "bert", "qwen3", "olmo2"]
TOLERANCE = 1000 * UNIT_ROUNDOFF[torch.float64]
near = pytest.approx


def distance(found: Tensor, expected: Tensor) -> float:
    return float(torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected))


@pytest.fixture(scope="module", params=FAMILIES)
def recording(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Recording:
    return record(reading_model(request.param), some_tokens(), tmp_path_factory.mktemp("states"))


def test_a_block_with_its_own_scales_is_itself(recording: Recording) -> None:
    for block in recording.blocks():
        scales = stream_scales(block)
        moved = block.input + 0.1 * block.output
        for live in (False, True):
            found = block.rescaled(scales, block.input, live=live)
            assert distance(found, block.output) < TOLERANCE
            twice = {name: 2 * scale for name, scale in scales.items()}
            assert distance(block.rescaled(twice, block.input, live=live), block.output) > 1e-2
        # What is held does not move with the state, and what is live does.
        assert distance(block.rescaled(scales, moved), block(moved)) < TOLERANCE
        assert distance(block.rescaled(scales, moved, live=True), block.live(moved)) > 1e-3
        # Nothing of it stays.
        with pytest.raises(ValueError, match=f"block {block.layer} has no norm nothing"):
            block.rescaled({"nothing": torch.ones(1, dtype=torch.float64)}, block.input)
        assert distance(block(block.input), block.output) < TOLERANCE


def test_norms_of_queries_and_keys_stay(tmp_path: Path) -> None:
    of_stream = {"input_layernorm", "post_attention_layernorm"}
    for block in record(reading_model("qwen3"), some_tokens(), tmp_path).blocks():
        assert stream_scales(block).keys() == of_stream
        assert block.norms.keys() - of_stream == {"self_attn.q_norm", "self_attn.k_norm"}


def test_the_first_block_has_the_first_scales_and_one_block_is_a_whole_model(
    recording: Recording,
) -> None:
    run = FirstScales(recording.state(0))
    gains = [run.add(block) for block in recording.blocks()]
    assert gains[0].all_tokens == near(1, abs=TOLERANCE)
    assert gains[0].without_first == near(1, abs=TOLERANCE)
    assert all(abs(gain.all_tokens - 1) > 1e-3 for gain in gains[1:])


def test_first_scales_are_those_of_the_first_block(recording: Recording) -> None:
    first, second, *_ = recording.blocks()
    run = FirstScales(recording.state(0))
    run.add(first)
    run.add(second)
    expected = second.rescaled(stream_scales(first), first.output)
    assert distance(run.state, expected) < TOLERANCE
    assert distance(run.state, second.output) > 1e-2


def test_what_leaves_a_post_norm_is_as_large_as_its_scale(tmp_path: Path) -> None:
    recording = record(reading_model("bert"), some_tokens(), tmp_path)
    for block in recording.blocks():
        name = "output.LayerNorm"
        shift = block.norms[name].shift
        for factor in (0.0, 0.5, 10.0):
            scales = {name: factor * stream_scales(block)[name]}
            for live in (False, True):
                found = block.rescaled(scales, block.input, live=live) - shift
                expected = factor * (block.output - shift)
                assert float((found - expected).abs().max()) < 1e-10 * max(factor, 1)


class ConstantNorm(nn.Module):
    """A LayerNorm that multiplies every token by the same number."""

    def __init__(self, norm: nn.LayerNorm, scale: float) -> None:
        super().__init__()
        self.norm, self.scale = norm, scale

    def forward(self, x: Tensor) -> Tensor:
        """In place of the norm."""
        return (x - x.mean(-1, keepdim=True)) * self.scale * self.norm.weight + self.norm.bias


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_a_constant_scale_does_what_a_model_with_such_a_norm_does(
    family: str, tmp_path: Path
) -> None:
    tokens = some_tokens()
    model = reading_model(family, head=family == "gpt2")
    recording = record(model, tokens, tmp_path)
    scales = [
        {name: float(scale.mean()) for name, scale in stream_scales(block).items()}
        for block in recording.blocks()
    ]
    found = list(constant_scales(recording.stack, tokens))
    (first, *_, last) = dict.fromkeys(one.layer for one in found)
    ends = list(constant_scales(recording.stack, tokens, layers=(first, last)))
    assert ends == [one for one in found if one.layer in (first, last)]
    assert [(one.layer, one.norm) for one in found] == [
        (layer, name) for layer, own in enumerate(scales) for name in own
    ]
    last = recording.state(recording.n_blocks)
    before = loss(model, tokens) if family == "gpt2" else None
    changes = []
    for one in found:
        scale = scales[one.layer][one.norm]
        other = with_constant(model, recording.stack.blocks[one.layer], one.norm, scale)
        state = last_state(other, tokens)
        assert one.change == near(distance(state, last), rel=1e-5)
        for gain, t in ((one.gain.all_tokens, 0), (one.gain.without_first, 1)):
            assert gain == near(float(state[:, t:].norm() / last[:, t:].norm()), rel=1e-5)
        if before is None:
            assert one.loss_rise is None
        else:
            assert one.loss_rise == near(loss(other, tokens) - before, rel=1e-4, abs=1e-6)
        changes.append(one.change)
    assert len({round(change, 6) for change in changes}) == len(changes)


def with_constant(model: Any, block: nn.Module, name: str, scale: float) -> Any:
    place = next(place for place, module in model.named_modules() if module is block)
    other = deepcopy(model)
    other.set_submodule(
        f"{place}.{name}", ConstantNorm(other.get_submodule(f"{place}.{name}"), scale)
    )
    return other


def last_state(model: Any, tokens: Tensor) -> Tensor:
    kept: list[Tensor] = []
    blocks = model.base_model.h if hasattr(model.base_model, "h") else model.encoder.layer

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        kept.append(output if isinstance(output, Tensor) else output[0])

    hook = blocks[-1].register_forward_hook(keep)
    with torch.no_grad():
        model(input_ids=tokens)
    hook.remove()
    return kept[0]


def loss(model: Any, tokens: Tensor) -> float:
    with torch.no_grad():
        logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
    return float(nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()))
