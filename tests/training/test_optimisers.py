"""Steps in another basis are those of a model in another basis, and all optimisers go on."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from small_trainings import RECIPE, SIZE, contents, gpt2, killed, llama, trained
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from transformers import PreTrainedModel, set_seed

from headalgebra.training import Recipe, Trained, TrainingTokens
from headalgebra.training.models import build_model
from headalgebra.training.optimisers import RotatedAdamW, random_rotation, rotate_steps
from headalgebra.training.residual import fix_gains, residual_axes
from headalgebra.variants import Variant

D = SIZE.width
EPS = torch.finfo(torch.float64).eps
RATES = {"sgd": 0.3, "rotated": 3e-3}


@given(st.integers(1, 40), st.integers(0, 99))
def test_a_rotation_is_orthogonal_and_leaves_the_ones(d: int, seed: int) -> None:
    R = random_rotation(d, seed)
    assert (R @ R.T - torch.eye(d)).abs().max() <= 20 * d * EPS
    assert (R.sum(1) - 1).abs().max() <= 20 * d * EPS
    assert torch.equal(R, random_rotation(d, seed))


def test_a_rotation_leaves_no_axis_and_is_another_for_another_seed() -> None:
    """Off the ones each entry is normal with variance 1/d, nearly."""
    d = 64
    one, other = random_rotation(d, 0), random_rotation(d, 1)
    for R in (one, other, one @ other.T):
        assert abs(float(R.square().mean()) * d - 1) < 1e-9
        # The largest of 4,096 normal numbers lies beyond 5.5 once in 6,000.
        assert R.abs().max() < 5.5 / d**0.5
        assert abs(float(R.diagonal().mean()) - 1 / d) < 5 / d


def least_squares(seed: int, optimiser: Callable[..., Optimizer], turn: Any = None) -> list[Tensor]:
    """Weights after ten steps on random gradients: a matrix either way round, a shift, another."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((5, 3), (3, 5), (5,), (3,))
    parameters = [nn.Parameter(torch.randn(it, generator=generator).double()) for it in shapes]
    targets = [torch.randn(it, generator=generator).double() for it in shapes]
    optimizer = optimiser(parameters)
    if turn is not None:
        rotate_steps(optimizer, dict(zip(parameters, (0, 1, 0), strict=False)), turn)
    for _ in range(10):
        optimizer.zero_grad()
        for parameter, target in zip(parameters, targets, strict=True):
            (parameter - target).pow(4).sum().mul(0.01).backward()
        kept = [it.grad.clone() for it in parameters]
        optimizer.step()
        assert all(torch.equal(it.grad, one) for it, one in zip(parameters, kept, strict=True))
    return [it.detach() for it in parameters]


def apart(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def sgd(parameters: list[nn.Parameter]) -> Optimizer:
    return SGD(parameters, lr=0.05, momentum=0.9, weight_decay=0.1)


def adamw(parameters: list[nn.Parameter]) -> Optimizer:
    return AdamW(parameters, lr=0.05, weight_decay=0.1)


@given(st.integers(0, 99))
def test_sgd_knows_no_basis_and_adamw_does(seed: int) -> None:
    """Momentum and decay are the same in every basis; a division axis by axis is not."""
    R = random_rotation(5, seed)
    assert apart(least_squares(seed, sgd), least_squares(seed, sgd, R)) < 1000 * EPS
    assert apart(least_squares(seed, adamw), least_squares(seed, adamw, R)) > 1e-3
    # A matrix that turns, and is not turned back.
    assert apart(least_squares(seed, sgd), least_squares(seed, sgd, 1.01 * R)) > 1e-3


@given(st.integers(0, 99))
def test_the_basis_that_there_is_changes_nothing(seed: int) -> None:
    unit = torch.eye(5, dtype=torch.float64)
    assert apart(least_squares(seed, adamw), least_squares(seed, adamw, unit)) == 0


def test_a_parameter_without_a_gradient_is_left_alone() -> None:
    used, unused = (nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer = RotatedAdamW(
        [used, unused], lr=0.1, axes={used: 0, unused: 0}, rotation=random_rotation(3, 0)
    )
    used.sum().backward()
    optimizer.step()
    assert torch.equal(unused, torch.ones(3)) and unused.grad is None
    assert not torch.equal(used, torch.ones(3))


def varied(architecture: str, normaliser: str | None) -> Callable[[], PreTrainedModel]:
    config = (
        SIZE.gpt2(280, 16)
        if architecture == "gpt2"
        else SIZE.llama(280, 16, head_width=6, feed_forward=40)
    )

    def build() -> PreTrainedModel:
        """With biases that are not 0, in float64."""
        model = build_model(config, Variant(normaliser=normaliser), seed=4).double()
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("bias"):
                    parameter.normal_(0, 0.1, generator=generator)
        return model

    return build


CASES = [("gpt2", None), ("gpt2", "none"), ("gpt2", "rmsnorm"), ("llama", None), ("llama", "none")]


@torch.no_grad()
def rotate(model: PreTrainedModel, R: Tensor) -> PreTrainedModel:
    """The model in another basis, by hand."""
    stream: dict[str, int | None] = {
        **dict.fromkeys(("wte.weight", "wpe.weight", "embed_tokens.weight"), 1),
        **dict.fromkeys(("attn.c_attn.weight", "mlp.c_fc.weight"), 0),
        **dict.fromkeys(("attn.c_proj.weight", "mlp.c_proj.weight"), 1),
        **dict.fromkeys(("attn.c_proj.bias", "mlp.c_proj.bias"), 0),
        **dict.fromkeys(("ln_1.bias", "ln_2.bias", "ln_f.bias"), 0),
        **dict.fromkeys(("q_proj.weight", "k_proj.weight", "v_proj.weight"), 1),
        **dict.fromkeys(("gate_proj.weight", "up_proj.weight"), 1),
        **dict.fromkeys(("o_proj.weight", "down_proj.weight"), 0),
    }
    for name, parameter in model.named_parameters():
        match next((axis for end, axis in stream.items() if name.endswith(end)), None):
            case 0:
                parameter.copy_(R @ parameter)
            case 1:
                parameter.copy_(parameter @ R.T)
    return model


def logits(model: PreTrainedModel, tokens: TrainingTokens) -> Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=tokens.test, use_cache=False).logits


def tolerance(architecture: str, normaliser: str | None) -> float:
    """Llama's RMSNorm is in float32, whatever its model is in."""
    return 1e-4 if (architecture, normaliser) == ("llama", None) else 1e-9


@pytest.mark.parametrize(("architecture", "normaliser"), CASES)
def test_residual_axes_are_those_that_a_model_can_be_turned_in(
    tokens: TrainingTokens, architecture: str, normaliser: str | None
) -> None:
    """A model computes the same in another basis: all of these axes, and no other."""
    model, R = varied(architecture, normaliser)(), random_rotation(D, 0)
    before = logits(model, tokens)
    axes = residual_axes(model)
    by_hand = dict(rotate(varied(architecture, normaliser)(), R).named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter in axes:
                turned = torch.tensordot(parameter, R, ([axes[parameter]], [1]))
                parameter.copy_(turned.movedim(-1, axes[parameter]))
            assert torch.allclose(parameter, by_hand[name], atol=1e-12, rtol=0), name
    room = tolerance(architecture, normaliser) * float(before.abs().max())
    assert (logits(model, tokens) - before).abs().max() < room
    for parameter, axis in axes.items():
        with torch.no_grad():
            kept = parameter.clone()
            parameter.copy_(parameter.roll(1, axis))
            assert (logits(model, tokens) - before).abs().max() > 5 * room
            parameter.copy_(kept)


def ended(of: Trained) -> dict[str, Tensor]:
    return load_file(of.folder / f"{of.checkpoints[-1]}/model.safetensors")


SHORT = replace(RECIPE, steps=20, checkpoints=1, gains="fixed", clip=0.5)


@pytest.mark.parametrize(("architecture", "normaliser"), CASES)
def test_another_basis_of_the_optimiser_is_another_basis_of_the_model(
    tokens: TrainingTokens, tmp_path: Path, architecture: str, normaliser: str | None
) -> None:
    """AdamW of a turned model is rotated AdamW of the model, turned; with clipping and decay."""
    build, R = varied(architecture, normaliser), random_rotation(D, 5)

    def turned() -> PreTrainedModel:
        return rotate(build(), R)

    def run(name: str, start: Callable[[], PreTrainedModel], optimiser: Any) -> dict[str, Tensor]:
        recipe = replace(SHORT, optimiser=optimiser)
        return ended(trained(tokens, tmp_path / name, recipe=recipe, build=start, seed=5))

    rotated, expected = run("rotated", build, "rotated"), run("turned", turned, "adamw")
    plain = run("plain", build, "adamw")
    for start, close in ((rotated, True), (plain, False)):
        model = build()
        model.load_state_dict(start, strict=False)
        rotate(model, R)
        off = max(float((model.state_dict()[it] - expected[it]).abs().max()) for it in expected)
        # Where a gradient is near 0, Adam makes a step of the rate out of rounding.
        room = tolerance(architecture, normaliser)
        assert (off < room) if close else (off > 5 * room), off


def test_fixed_gains_stay_at_1_and_learned_ones_do_not(
    tokens: TrainingTokens, tmp_path: Path
) -> None:
    for build, ends in ((gpt2, ("ln_1.weight", "ln_f.weight")), (llama, ("layernorm.weight",))):
        for gains in ("learned", "fixed"):
            folder = tmp_path / build.__name__ / gains
            found = ended(trained(tokens, folder, build=build, recipe=replace(SHORT, gains=gains)))
            kept = [torch.equal(it, torch.ones(D)) for n, it in found.items() if n.endswith(ends)]
            assert len(kept) > 2 and {*kept} == {gains == "fixed"}


@pytest.mark.parametrize("normaliser", ["layernorm", "rmsnorm", "symmetriser", "none"])
def test_every_normaliser_has_its_gains_fixed(normaliser: str) -> None:
    mixing = "uniform" if normaliser == "symmetriser" else None
    model = build_model(SIZE.gpt2(280, 16), Variant(normaliser=normaliser, mixing=mixing))
    fix_gains(model)
    fixed = {name for name, it in model.named_parameters() if not it.requires_grad}
    norms = {f"transformer.{it}.weight" for it in ("h.0.ln_1", "h.1.ln_2", "ln_f")}
    assert fixed >= norms if normaliser != "none" else not fixed
    assert all("ln_" in it and it.endswith("weight") for it in fixed)


@pytest.mark.parametrize("optimiser", ["sgd", "rotated"])
def test_a_killed_training_goes_on_with_every_optimiser(
    tokens: TrainingTokens, tmp_path: Path, optimiser: Any
) -> None:
    """To the same bytes; without the state of the optimizer it does not."""
    recipe = replace(RECIPE, steps=30, optimiser=optimiser, learning_rate=RATES[optimiser])
    whole = trained(tokens, tmp_path / "whole", recipe=recipe)
    losses = pd.read_parquet(whole.folder / "metrics.parquet")["validation_loss"].dropna()
    assert losses.iloc[-1] < losses.iloc[0] - 0.3
    killed(14, tokens, tmp_path / "run", recipe)
    (state,) = (tmp_path / "run/resumable").glob("checkpoint-*")
    shutil.copytree(tmp_path / "run", tmp_path / "forgetful")
    kept = tmp_path / "forgetful/resumable" / state.name / "optimizer.pt"
    torch.save(torch.load(kept) | {"state": {}}, kept)
    assert contents(trained(tokens, tmp_path / "run", recipe=recipe).folder) == contents(
        whole.folder
    )
    forgetful = trained(tokens, tmp_path / "forgetful", recipe=recipe)
    assert not same(ended(forgetful), ended(whole))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(it, other[name]) for name, it in one.items())


def test_sgd_is_that_of_torch(tokens: TrainingTokens, tmp_path: Path) -> None:
    """Its rate, momentum and decay are those of the recipe."""
    recipe = Recipe(
        steps=3, batch=4, checkpoints=3, warm_up=0.0, final=1.0, clip=1e9, optimiser="sgd"
    )
    recipe = replace(recipe, learning_rate=0.2, betas=(0.7, 0.95), weight_decay=0.3)
    few = replace(tokens, train=tokens.train[:4])
    found = trained(few, tmp_path, recipe=recipe)
    set_seed(0)
    model = gpt2()
    groups = [
        {"params": [it for it in model.parameters() if it.ndim > 1], "weight_decay": 0.3},
        {"params": [it for it in model.parameters() if it.ndim == 1]},
    ]
    by_hand = SGD(groups, lr=0.2, momentum=0.7)
    for _ in range(3):
        by_hand.zero_grad()
        model(input_ids=few.train, labels=few.train).loss.backward()
        by_hand.step()
    for name, it in ended(found).items():
        # Four sequences in another order, in float32.
        assert torch.allclose(it, model.state_dict()[name], rtol=0, atol=1e-5), name


def test_a_model_whose_stream_is_unknown_is_refused(tokens: TrainingTokens, tmp_path: Path) -> None:
    def other() -> PreTrainedModel:
        model = gpt2()
        model.transformer.extra = nn.Linear(2, 2)
        return model

    with pytest.raises(ValueError, match=r"transformer\.extra: which of its axes is") as refused:
        trained(tokens, tmp_path, build=other, recipe=replace(RECIPE, optimiser="rotated"))
    assert "\n" not in str(refused.value)
    assert not [*tmp_path.iterdir()]
