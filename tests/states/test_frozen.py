"""Frozen blocks of every family: affine, and the block itself where they were recorded."""

from pathlib import Path
from typing import Any

import pytest
import torch
from reading_models import reading_model, some_tokens
from tiny_models import BLUEPRINTS

from headalgebra.states import FrozenBlock, GuardError, Recording, record

SEEING = ("vit", "dinov2", "siglip_vision_model", "whisper")
REFUSED = {"gpt_oss": "affinity", "qwen3_next": "probabilities"}
READING = [family for family in BLUEPRINTS if family not in {*SEEING, *REFUSED}]


@pytest.fixture(scope="module", params=READING)
def recording(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Recording:
    model = reading_model(request.param)
    return record(model, some_tokens(), tmp_path_factory.mktemp("states"))


def randoms(block: FrozenBlock, n: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randn(block.input.shape, dtype=block.input.dtype, generator=generator)
        for _ in range(n)
    ]


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_every_family_passes_its_guards(recording: Recording) -> None:
    assert [guard.guard for guard in recording.guards] == ["eager", "replay", "affinity"]
    assert all(guard.passed for guard in recording.guards)
    # Far from the tolerances: what is not float32 inside a family agrees to rounding.
    _, replay, affinity = (guard.value for guard in recording.guards)
    assert replay < 1e-13
    assert affinity < 1e-14


def test_a_frozen_block_is_the_block_where_it_was_recorded(recording: Recording) -> None:
    for block in recording.blocks():
        assert relative(block(block.input), recording.state(block.layer + 1)) < 1e-13
        assert torch.equal(block.input, recording.state(block.layer))
        x, _ = randoms(block, 2)
        assert relative(block.linear(x) + block.offset, block(x)) < 1e-13
        assert block.offset.shape == x.shape


def test_linear_parts_are_linear_and_have_their_adjoint(recording: Recording) -> None:
    for block in recording.blocks():
        x, y = randoms(block, 2)
        combined = block.linear(2 * x - 3 * y)
        assert relative(2 * block.linear(x) - 3 * block.linear(y), combined) < 1e-12
        products = (block.linear(x) * y).sum(), (x * block.adjoint(y)).sum()
        size = block.linear(x).norm() * y.norm()
        assert abs(products[0] - products[1]) < 1e-13 * size


def test_tangents_are_central_differences(recording: Recording) -> None:
    """Step 1e-6: the third derivative leaves 1e-12 of it, rounding 1e-10."""
    model = recording.stack
    for block in recording.blocks():
        (dx,) = randoms(block, 1)
        h = 1e-6
        with torch.no_grad():
            ahead, behind = (block._run(block.input + s * h * dx, "live") for s in (1, -1))
        along = block.tangent(dx)
        assert relative((ahead - behind) / (2 * h), along) < 1e-8
        # The other linearisation: attention, scales and activations move too.
        assert relative(block.linear(dx), along) > 1e-3
    assert model.n_outputs >= 0


def test_probabilities_are_those_that_the_model_gives(recording: Recording) -> None:
    for block in recording.blocks():
        P = block.probabilities
        n, t = recording.tokens.shape
        assert P.shape[0] == n and P.shape[2:] == (t, t)
        torch.testing.assert_close(P.sum(-1), torch.ones_like(P.sum(-1)))


def test_some_sequences_have_the_same_map(recording: Recording) -> None:
    some = slice(1, 3)
    for whole, part in zip(recording.blocks(), recording.blocks(some), strict=True):
        (x,) = randoms(whole, 1)
        assert relative(part(x[some]), whole(x)[some]) < 1e-13


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
