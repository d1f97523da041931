"""Permuted axes of every family: what is exact stays exact, and what breaks it is seen."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from reading_models import reading_model, some_tokens
from test_frozen import READING
from torch import Tensor, nn

from headalgebra.geometry.axes import (
    HeadAxes,
    Pairing,
    Permuted,
    Places,
    joint,
    outcomes,
    pair_across,
    pair_within,
    permuted,
    query_only,
    side_by_side,
    stream,
    trace_model,
)
from headalgebra.states import GuardError
from headalgebra.states.structure import Stack, find_stack

# In one process, so that what its fixtures make is made once.
pytestmark = pytest.mark.xdist_group("axes")

ONE_KEY = ("gpt_bigcode", "falcon")
TERMS = ("deberta-v2", "deberta-v2, one term")
LATENT = ("deepseek_v2", "deepseek_v2, queries at once", "deepseek_v3")
TRACED = [family for family in READING if family not in TERMS]

FREE = {
    **dict.fromkeys(("gptj", "codegen"), 2),
    **dict.fromkeys(("gpt_neox", "phi", "phi3", "stablelm"), 4),
    **dict.fromkeys(LATENT, 6),
    **dict.fromkeys(("bert", "roberta", "gpt2", "opt", "bart", "bloom", "mpnet", "albert"), 4),
    **dict.fromkeys(("t5", "umt5"), 5),
    **dict.fromkeys(("llama", "qwen3", "gemma3_text", "olmo2", "falcon", "esm", "modernbert"), 0),
    **dict.fromkeys(("stablelm, norms", "phi, norms"), 0),
}
"""Axes of a head that no position turns and no norm scales, by the families' descriptions."""


class Read:
    """A tiny model, its axes, and what it makes of a text."""

    def __init__(self, family: str, **settings: Any) -> None:
        self.tokens = some_tokens()
        self.stack: Stack = find_stack(reading_model(family, **settings), self.tokens)
        self.axes = trace_model(self.stack, self.tokens)
        self.before = outcomes(self.stack, self.tokens)

    def harm(self, changes: Iterable[Permuted] = ()) -> float:
        with permuted(changes):
            after = outcomes(self.stack, self.tokens)
        return float((after - self.before).norm() / self.before.norm())

    def drawn(self, draw: Callable[..., Iterable[Permuted]], *given: Any) -> list[Permuted]:
        generator = np.random.default_rng(5)
        return [change for block in self.axes for change in draw(block, generator, *given)]


def blocks(n: int, width: int) -> np.ndarray:
    return np.arange(n * width).reshape(n, width)


def joined(
    axes: HeadAxes, generator: np.random.Generator, pair: Callable[..., Pairing]
) -> Iterable[Permuted]:
    groups, _, width = axes.values.index.shape
    scores = pair(blocks(groups, len(axes.free)), generator) if len(axes.free) > 1 else None
    return joint(axes, pair(blocks(groups, width), generator), scores)


@pytest.fixture(scope="module", params=TRACED)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def read(family: str) -> Read:
    return Read(family)


def test_permuting_axes_within_a_head_changes_nothing(read: Read) -> None:
    """Sums of r terms in another order, some tens of products deep."""
    assert read.harm(read.drawn(joined, pair_within)) < 1e-13


def test_permuting_axes_across_heads_does(read: Read, family: str) -> None:
    if family in ONE_KEY:
        return
    assert read.harm(read.drawn(joined, pair_across)) > 1e-3


@pytest.mark.parametrize("pair", [pair_within, pair_across])
def test_queries_alone_are_not_permuted_for_free(
    read: Read, family: str, pair: Callable[..., Pairing]
) -> None:
    def draw(axes: HeadAxes, generator: np.random.Generator) -> list[Permuted]:
        groups, sharing, width = axes.queries.index.shape
        return [query_only(axes, pair(blocks(groups * sharing, width), generator))]

    assert read.harm(read.drawn(draw)) > 1e-4


def test_axes_that_positions_turn_or_norms_scale_are_left(read: Read, family: str) -> None:
    for axes in read.axes:
        assert family not in FREE or len(axes.free) == FREE[family]
        assert (axes.free_queries is None) == (axes.free_keys is None) == (not len(axes.free))
    if family == "smollm3":
        # Every fourth layer, here every third, has no rotary positions.
        assert [len(axes.free) for axes in read.axes] == [0, 0, 6, 0]


def test_permuted_outputs_are_those_of_permuted_weights(read: Read, family: str) -> None:
    """By another route: the weights and biases themselves are permuted, and put back."""
    changes = read.drawn(joined, pair_within if family in ONE_KEY else pair_across)
    with permuted(changes):
        expected = outcomes(read.stack, read.tokens)
    with InPlace(changes):
        found = outcomes(read.stack, read.tokens)
    assert float((found - expected).norm() / expected.norm()) < 1e-13
    assert read.harm() == 0


class InPlace:
    """Weights permuted where they are, with or without their biases."""

    def __init__(self, changes: Iterable[Permuted], *, biases: bool = True) -> None:
        self.changes, self.biases = list(changes), biases

    def __enter__(self) -> None:
        self.kept = []
        for change in self.changes:
            module = change.module
            across = int(change.rows != isinstance(module, nn.Linear))
            self.kept.append((module.weight, module.weight.data))
            module.weight.data = module.weight.data.index_select(across, change.order)
            if change.rows and self.biases and module.bias is not None:
                self.kept.append((module.bias, module.bias.data))
                module.bias.data = module.bias.data[change.order]

    def __exit__(self, *_: object) -> None:
        for parameter, data in reversed(self.kept):
            parameter.data = data


@pytest.mark.parametrize("family_", ["bert", "gpt2", "opt", "gpt_neox", "phi", "bloom", "qwen2"])
def test_biases_that_stay_behind_are_seen(family_: str) -> None:
    read = Read(family_)
    changes = read.drawn(joined, pair_within)
    with InPlace(changes):
        assert read.harm() < 1e-13
    with InPlace(changes, biases=False):
        assert read.harm() > 1e-3
    assert read.harm() == 0


@pytest.mark.parametrize("part", ["values", "outputs", "free_queries", "free_keys"])
@pytest.mark.parametrize("family_", ["bert", "gpt2", "gpt_neox", "t5"])
def test_one_misplaced_row_is_seen(family_: str, part: str) -> None:
    read = Read(family_)
    axes = read.axes[0]
    places: Places = getattr(axes, part)
    index = places.index.clone()
    index[0, 0, 0], index[1, 0, 1] = index[1, 0, 1].clone(), index[0, 0, 0].clone()
    read.axes[0] = replace(axes, **{part: replace(places, index=index)})
    assert read.harm(read.drawn(joined, pair_within)) > 1e-6


def test_coordinates_are_permuted_where_attention_reads_them(read: Read, family: str) -> None:
    if family in LATENT:
        assert {axes.not_readers for axes in read.axes} == {
            "queries, keys and values are not made of one state"
        }
        return

    def draw(axes: HeadAxes, generator: np.random.Generator) -> Iterable[Permuted]:
        assert axes.not_readers == ""
        return stream(axes, generator.permutation(axes.d_model))

    changes = read.drawn(draw)
    with permuted(changes):
        expected = outcomes(read.stack, read.tokens)
    with InPlace(changes):
        found = outcomes(read.stack, read.tokens)
    assert float((found - expected).norm() / expected.norm()) < 1e-13
    assert read.harm(changes) > 1e-3


def test_rows_are_where_the_layouts_have_them() -> None:
    """[q k v] of GPT-2, each head's [q k v] of GPT-NeoX, and three heads on a key of llama."""
    heads = torch.arange(12).view(3, 1, 4)
    axes = Read("gpt2").axes[0]
    assert torch.equal(axes.queries.index, heads)
    assert axes.free_keys is not None and torch.equal(axes.free_keys.index, 12 + heads)
    assert torch.equal(axes.values.index, 24 + heads)
    assert torch.equal(axes.outputs.index, heads)
    neox = Read("gpt_neox")
    rows = torch.arange(72).view(3, 3, 8)
    axes = neox.axes[1]
    assert torch.equal(axes.queries.index, rows[:, None, 0])
    assert torch.equal(axes.values.index, rows[:, None, 2])
    assert axes.values.module is neox.stack.module.layers[1].attention.query_key_value
    assert axes.outputs.module is neox.stack.module.layers[1].attention.dense
    llama = Read("llama")
    axes = llama.axes[0]
    assert torch.equal(axes.queries.index, torch.arange(24).view(2, 2, 6))
    assert torch.equal(axes.values.index, torch.arange(12).view(2, 1, 6))
    assert axes.values.module is llama.stack.module.layers[0].self_attn.v_proj
    assert {*axes.readers} == {
        getattr(llama.stack.module.layers[0].self_attn, f"{part}_proj") for part in "qkv"
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slow_rotations_are_seen(dtype: torch.dtype) -> None:
    """The slowest pair of axes turns by 5e-7 a token."""
    settings = {"head_dim": 64, "rope_parameters": {"rope_type": "default", "rope_theta": 3e6}}
    model, tokens = reading_model("llama", dtype, **settings), some_tokens(1, 32)
    assert not any(len(axes.free) for axes in trace_model(find_stack(model, tokens), tokens))


def test_the_factor_of_yarn_is_taken_off() -> None:
    settings = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 9.0}
    settings |= {"original_max_position_embeddings": 8, "attention_factor": 1.3}
    read = Read("llama", rope_parameters=settings, max_position_embeddings=32)
    assert torch.equal(read.axes[0].queries.index, torch.arange(24).view(2, 2, 6))
    assert read.harm(read.drawn(joined, pair_within)) < 1e-13


@pytest.mark.parametrize("family_", TERMS)
def test_scores_of_several_products_are_refused(family_: str) -> None:
    with pytest.raises(GuardError, match=r"guard axes failed .* multiplies states with states"):
        Read(family_)


class Shifted(nn.Module):
    """Adds a number."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5


class Uneven(nn.Module):
    """Multiplies every axis by a factor of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.arange(1, x.shape[-1] + 1)


class Forked(nn.Module):
    """Two modules that read the same."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(24, 24), nn.Linear(24, 24)

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) + self.other(x)


class Twice(nn.Module):
    """Gives each of the first half twice."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : x.shape[-1] // 2].repeat_interleave(2, -1)


@pytest.mark.parametrize(
    ("projection", "more", "reason"),
    [
        ("v_proj", Shifted, "values are more than rows of weights"),
        ("k_proj", Shifted, "keys are more than rows of weights"),
        ("q_proj", Uneven, "queries are more than rows of weights"),
        ("v_proj", nn.Tanh, "values are not rows of weights"),
        ("q_proj", nn.Tanh, "queries are not rows of weights"),
        ("v_proj", lambda: nn.RMSNorm(12), "turns or normalises its values"),
        ("q_proj", Twice, "makes several queries of one row"),
        ("v_proj", Twice, "values of a head are not its own"),
        ("o_proj", lambda: nn.RMSNorm(24), "does not read once, as it is, what"),
        ("o_proj", Forked, "does not read once, as it is, what"),
        ("o_proj", nn.Sigmoid, "does not read once, as it is, what"),
    ],
)
def test_what_is_no_row_of_weights_is_refused(
    projection: str, more: Callable[[], nn.Module], reason: str
) -> None:
    model = reading_model("llama")
    for layer in model.layers:
        own, made = getattr(layer.self_attn, projection), more().double()
        parts = (made, own) if projection == "o_proj" else (own, made)
        setattr(layer.self_attn, projection, nn.Sequential(*parts))
    with pytest.raises(GuardError, match=reason) as refused:
        trace_model(find_stack(model, some_tokens()), some_tokens())
    assert refused.value.guard == "axes"


def test_a_norm_of_queries_leaves_them_and_the_keys_alone() -> None:
    read = Read("opt")
    assert [len(axes.free) for axes in read.axes] == [4, 4]
    for layer in read.stack.module.decoder.layers:
        layer.self_attn.q_proj = nn.Sequential(layer.self_attn.q_proj, nn.RMSNorm(12).double())
    axes = trace_model(read.stack, read.tokens)
    assert [len(block.free) for block in axes] == [0, 0]
    assert torch.equal(axes[0].queries.index, read.axes[0].queries.index)


def test_the_model_is_left_as_it_was_whatever_happens() -> None:
    read = Read("gpt2")
    kept = {name: value.clone() for name, value in read.stack.model.state_dict().items()}
    own = {name: dict(module.__dict__) for name, module in read.stack.model.named_modules()}
    with pytest.raises(RuntimeError, match="within"), permuted(read.drawn(joined, pair_across)):
        raise RuntimeError("within")
    with pytest.raises(GuardError):
        read.stack.model.h[0].attn.c_proj = nn.Sequential(
            nn.Sigmoid(), read.stack.model.h[0].attn.c_proj
        )
        trace_model(read.stack, read.tokens)
    read.stack.model.h[0].attn.c_proj = read.stack.model.h[0].attn.c_proj[1]
    for name, module in read.stack.model.named_modules():
        assert module.__dict__.keys() == own[name].keys()
    for name, value in read.stack.model.state_dict().items():
        assert torch.equal(value, kept[name])
    assert read.harm() == 0


def stream_harms(arrange: Callable[[Tensor], None], models: int = 40) -> np.ndarray:
    """Change of the last state of random models by coordinates permuted within and across."""
    tokens, generator = some_tokens(), np.random.default_rng(0)
    harms = []
    for seed in range(models):
        torch.manual_seed(seed)
        model = reading_model("gpt2", n_embd=24, n_head=6, n_layer=1)
        for parameter in model.parameters():
            parameter.data.normal_(0.0, 0.3)
        arrange(model.h[0].attn.c_attn.weight.data)
        stack = find_stack(model, tokens)
        (axes,) = trace_model(stack, tokens)
        before = outcomes(stack, tokens)
        of_model = []
        for pair in (pair_within, pair_across):
            with permuted(stream(axes, pair(blocks(6, 4), generator))):
                of_model.append(float((outcomes(stack, tokens) - before).norm() / before.norm()))
        harms.append(of_model)
    return np.array(harms)


def standard_errors(harms: np.ndarray) -> float:
    """How many of them across is above within."""
    gap = harms[:, 1] - harms[:, 0]
    return float(gap.mean() / gap.std(ddof=1) * len(gap) ** 0.5)


def test_coordinates_of_random_models_are_exchangeable() -> None:
    harms = stream_harms(lambda _: None)
    assert harms.min() > 1e-2
    assert abs(standard_errors(harms)) < 3


def test_blocks_that_mean_something_are_told_from_random_ones() -> None:
    """Where coordinates of a block are read alike, nothing within it can be told apart."""

    def alike(weight: Tensor) -> None:
        weight[:] = weight[::4].repeat_interleave(4, 0)

    harms = stream_harms(alike)
    assert harms[:, 0].max() < 1e-13
    assert standard_errors(harms) > 10


def test_permutations_side_by_side_do_what_each_does_alone(read: Read, family: str) -> None:
    pair = pair_within if family in ONE_KEY else pair_across
    generator = np.random.default_rng(9)
    draws = [[c for block in read.axes for c in joined(block, generator, pair)] for _ in range(3)]
    with permuted(side_by_side(draws)):
        together = outcomes(read.stack, read.tokens, 3)
    for draw, found in zip(draws, together, strict=True):
        with permuted(draw):
            (alone,) = outcomes(read.stack, read.tokens)
        assert float((found - alone).norm() / alone.norm()) < 1e-13
        assert family in ONE_KEY or float((found - read.before).norm()) > 0
