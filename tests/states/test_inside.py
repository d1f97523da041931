"""What is seen inside a block is what its modules were given."""

import pytest
import torch
from reading_models import reading_model, some_tokens

from headalgebra.rounding import UNIT_ROUNDOFF
from headalgebra.states import FrozenBlock, record

TOLERANCE = 1000 * UNIT_ROUNDOFF[torch.float64]


@pytest.fixture(scope="module", params=["gpt2", "llama", "qwen3", "gemma2", "bert"])
def blocks(request, tmp_path_factory) -> list[FrozenBlock]:
    model = reading_model(request.param)
    recording = record(model, some_tokens(), tmp_path_factory.mktemp("states"))
    return list(recording.blocks(looking_inside=True))


def module_of(block: FrozenBlock, name: str) -> torch.nn.Module:
    return block.module.get_submodule(name)


def test_a_norm_makes_of_what_entered_it_what_its_module_makes(blocks):
    for block in blocks:
        for seen in block.inside.norms:
            with torch.no_grad():
                expected = module_of(block, seen.name)(seen.given)
            found = seen.normalised * seen.held.gain + seen.held.shift
            # Families round to float32 inside their norms.
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
            assert not torch.allclose(seen.held(1.01 * seen.given), expected, rtol=1e-6, atol=1e-6)


def test_every_norm_of_a_block_is_seen_once(blocks):
    for block in blocks:
        names = [seen.name for seen in block.inside.norms]
        of_module = [
            name for name, it in block.module.named_modules() if "Norm" in type(it).__name__
        ]
        assert sorted(names) == sorted(of_module)


def test_an_activation_gives_the_next_product_its_result_or_its_gated_result(blocks):
    for block in blocks:
        (seen,) = block.inside.activations
        with torch.no_grad():
            result = module_of(block, seen.name)(seen.before)
        gated = hasattr(block.module, "mlp") and hasattr(block.module.mlp, "up_proj")
        if not gated:
            assert torch.equal(seen.after, result)
            continue
        factor = (seen.after / result)[result != 0]
        assert not torch.allclose(factor, torch.ones_like(factor))


def test_scores_of_what_attention_was_given_are_its_pattern(blocks):
    for block in blocks:
        (seen,) = block.inside.attention
        shared = seen.query.shape[1] // seen.key.shape[1]
        scores = seen.scaling * seen.query @ seen.key.repeat_interleave(shared, 1).mT
        softcap = getattr(block.module, "config", None)
        softcap = getattr(softcap, "attn_logit_softcapping", None)
        if softcap:
            scores = softcap * torch.tanh(scores / softcap)
        P = block.probabilities
        found = scores.masked_fill(P == 0, -torch.inf).softmax(-1)
        assert float((found - P).abs().max()) <= TOLERANCE


def test_nothing_is_kept_unless_asked(blocks, tmp_path):
    recording = record(reading_model("gpt2"), some_tokens(), tmp_path)
    assert all(block.inside is None for block in recording.blocks())
