"""Frozen blocks of every family: affine, and the block itself where they were recorded."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from reading_models import reading_model, some_tokens
from tiny_models import BLUEPRINTS, model_type

import state_table
from headalgebra.states import FrozenBlock, GuardError, Recording, record

# In one process, so that what its fixtures make is made once.
pytestmark = pytest.mark.xdist_group("frozen")

SEEING = ("clip_vision_model", "dinov2", "siglip_vision_model", "vit", "whisper")
REFUSED = {
    "gemma3n_text": "blocks",
    "gemma3n_text, keys of their own": "blocks",
    "gpt_oss": "affinity",
    "qwen3_next": "probabilities",
}
ROWS = state_table.PAGE.read_text().split(state_table.HEAD)[1].split("\n\n")[0].splitlines()
(PINNED,) = re.findall(
    r"^transformers==(.*)$",
    (Path(__file__).parents[2] / "envs/requirements.txt").read_text(),
    re.MULTILINE,
)
READING = [family for family in BLUEPRINTS if family not in {*SEEING, *REFUSED}]


@pytest.fixture(scope="module", params=READING)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def recording(family: str, tmp_path_factory: Any) -> Recording:
    return record(reading_model(family), some_tokens(), tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def blocks(recording: Recording) -> list[FrozenBlock]:
    """All at once: tiny ones have room."""
    return list(recording.blocks())


def randoms(block: FrozenBlock, n: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randn(block.input.shape, dtype=block.input.dtype, generator=generator)
        for _ in range(n)
    ]


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_every_family_passes_its_guards(family: str, recording: Recording) -> None:
    names = ["eager", "keywords", "probabilities", "affinity", "replay", "feed-forward locality"]
    assert [guard.guard for guard in recording.guards] == names
    assert all(guard.passed for guard in recording.guards)
    # Far from the tolerances: what is not float32 inside a family agrees to rounding.
    _, _, _, affinity, replay, _ = (guard.value for guard in recording.guards)
    assert replay < 1e-13
    assert affinity < 1e-14
    if version("transformers") == PINNED:  # where a family calls its softmax differs by release
        assert state_table.passed(family, recording).rstrip() in ROWS


def test_the_table_of_families_has_no_others() -> None:
    """`python docs/state_table.py` writes it."""
    names = {model_type(family) for family in (*READING, *REFUSED)}
    assert [row.split("`")[1] for row in ROWS] == sorted(names)


def test_a_frozen_block_is_the_block_where_it_was_recorded(
    recording: Recording, blocks: list[FrozenBlock]
) -> None:
    assert len(blocks) == recording.n_blocks
    for block in blocks:
        assert relative(block(block.input), recording.state(block.layer + 1)) < 1e-13
        assert torch.equal(block.input, recording.state(block.layer))


def test_linear_parts_are_linear_and_have_their_adjoint(blocks: list[FrozenBlock]) -> None:
    for block in blocks:
        x, y = randoms(block, 2)
        image = block.linear(x)
        assert relative(2 * image - 3 * block.linear(y), block.linear(2 * x - 3 * y)) < 1e-12
        assert relative(image + block.offset, block(x)) < 1e-13
        products = (image * y).sum(), (x * block.adjoint(y)).sum()
        assert abs(products[0] - products[1]) < 1e-13 * image.norm() * y.norm()


def test_tangents_are_central_differences(blocks: list[FrozenBlock]) -> None:
    """Step 1e-6: the third derivative leaves 1e-12 of it, rounding 1e-10."""
    h = 1e-6
    for block in blocks:
        (dx,) = randoms(block, 1)
        with torch.no_grad():
            ahead, behind = (block.live(block.input + s * h * dx) for s in (1, -1))
        along = block.tangent(dx)
        assert relative((ahead - behind) / (2 * h), along) < 1e-8
        several = block.tangents(torch.stack([dx, -2 * dx, block.input]))
        assert relative(several[0], along) < 1e-14
        assert relative(several[1], -2 * along) < 1e-14
        # The other linearisation: attention, scales and activations move too.
        assert relative(block.linear(dx), along) > 1e-3


def test_patterns_are_of_all_heads_and_sum_to_one(
    recording: Recording, blocks: list[FrozenBlock]
) -> None:
    n, t = recording.tokens.shape
    for block in blocks:
        P = block.probabilities
        assert P.shape == (n, recording.stack.module.config.num_attention_heads, t, t)
        torch.testing.assert_close(P.sum(-1), torch.ones_like(P[..., 0]))


def test_some_sequences_have_the_same_map(recording: Recording, blocks: list[FrozenBlock]) -> None:
    some = slice(1, 3)
    for whole, part in zip(blocks, recording.blocks(some), strict=True):
        (x,) = randoms(whole, 1)
        assert relative(part(x[some]), whole(x)[some]) < 1e-13


def test_a_frozen_gpt2_block_is_what_its_weights_say(tmp_path: Path) -> None:
    """By another route: weights multiplied out by hand."""
    recording = record(reading_model("gpt2", n_layer=2), some_tokens(), tmp_path)
    for block, module in zip(recording.blocks(), recording.stack.module.h, strict=True):
        dx, x = *randoms(block, 1), block.input
        n, t, d = x.shape

        def scaled(norm: Any, at: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            scale = (at.var(-1, correction=0, keepdim=True) + norm.eps).rsqrt()
            return (y - y.mean(-1, keepdim=True)) * scale * norm.weight

        with torch.no_grad():
            values = scaled(module.ln_1, x, dx) @ module.attn.c_attn.weight[:, 2 * d :]
            heads = values.reshape(n, t, 3, -1).transpose(1, 2)
            mixed = (block.probabilities @ heads).transpose(1, 2).reshape(n, t, d)
            middle = dx + mixed @ module.attn.c_proj.weight
            x_middle = x + module.attn(module.ln_1(x), attention_mask=causal(x))[0]
            u = module.mlp.c_fc(module.ln_2(x_middle))
            ratio = module.mlp.act(u) / u
            inner = ratio * (scaled(module.ln_2, x_middle, middle) @ module.mlp.c_fc.weight)
            expected = middle + inner @ module.mlp.c_proj.weight
        assert relative(block.linear(dx), expected) < 1e-13


def causal(x: torch.Tensor) -> torch.Tensor:
    t = x.shape[1]
    return torch.full((t, t), -1e300, dtype=x.dtype).triu(1)[None, None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", ["bert", "mixtral"])
def test_single_precision_has_its_own_rounding(
    family: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    guards = record(reading_model(family, dtype), some_tokens(), tmp_path).guards
    (affinity,) = (guard for guard in guards if guard.guard == "affinity")
    tolerance = affinity.tolerance
    assert tolerance == pytest.approx(1e-12 if dtype == torch.float64 else 5.4e-4, rel=0.01)
    assert 1e-5 * tolerance < affinity.value < 1e-2 * tolerance


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_encoder_is_read_alone_as_it_is_in_its_whole(family: str, tmp_path: Path) -> None:
    model, tokens = reading_model(family), some_tokens()
    whole = record(model, tokens, tmp_path / "whole")
    alone = record(model.get_encoder(), tokens, tmp_path / "alone")
    assert torch.equal(whole.state(whole.n_blocks), alone.state(alone.n_blocks))


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("mistral", {"sliding_window": 3}),
        ("gemma2", {"sliding_window": 3}),
        ("modernbert", {"local_attention": 4}),
        ("gpt_neo", {"window_size": 3}),
        ("deepseek_v2", {"first_k_dense_replace": 0, "num_experts_per_tok": 1}),
    ],
)
def test_windows_and_experts_pass_too(family: str, settings: Any, tmp_path: Path) -> None:
    """What tiny models of seven tokens would not come to otherwise."""
    recording = record(reading_model(family, **settings), some_tokens(), tmp_path)
    seen = [int((block.probabilities[0, 0] > 0).sum()) for block in recording.blocks()]
    whole = 49 if family == "modernbert" else 28
    assert min(seen) == whole if family == "deepseek_v2" else min(seen) < whole


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
@pytest.mark.parametrize("family", ["gpt2", "bert", "llama", "mixtral", "bloom", "t5"])
def test_the_gpu_has_the_same_maps(family: str, tmp_path: Path) -> None:
    """Both float64; states are on disk, maps on the device of the model.

    Rotary positions are tables in float32, whose cosines differ in the last bit on a GPU.
    """
    digits = 1e-6 if family in ("llama", "mixtral") else 1e-10
    here = record(reading_model(family), some_tokens(), tmp_path / "here")
    there = record(reading_model(family).to("cuda"), some_tokens(), tmp_path / "there")
    for block, other in zip(here.blocks(), there.blocks(), strict=True):
        x, y = randoms(block, 2)
        assert other.input.device.type == other.probabilities.device.type == "cuda"
        for name in ("linear", "adjoint", "tangent", "__call__"):
            expected, found = getattr(block, name)(x), getattr(other, name)(x.to("cuda"))
            assert found.device.type == "cuda"
            assert relative(found.cpu(), expected) < digits
            assert relative(getattr(other, name)(y.to("cuda")).cpu(), expected) > 1e-3
        assert relative(other.output.cpu(), block.output) < digits


@pytest.mark.parametrize("family", SEEING)
def test_models_that_read_no_tokens_are_refused(family: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only models of text"):
        record(reading_model(family), some_tokens(), tmp_path)


@pytest.mark.parametrize(("family", "guard"), REFUSED.items())
def test_what_cannot_be_held_is_refused_by_name(family: str, guard: str, tmp_path: Path) -> None:
    with pytest.raises(GuardError, match=f"guard {guard} failed") as refused:
        record(reading_model(family), some_tokens(), tmp_path)
    assert refused.value.guard == guard
    assert refused.value.value > refused.value.tolerance
    assert state_table.refused(family, refused.value).rstrip() in ROWS
