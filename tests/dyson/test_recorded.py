"""What a live model's frozen blocks give: orders that sum up to its states, and impulses."""

from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from headalgebra.convolution import fit_convolution, impulse_response
from headalgebra.dyson import antipode_residuals, chen_residuals, dyson_orders, order_norms
from headalgebra.dyson.resummation import resum
from headalgebra.states import Recording, record

SIZES = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 40}
WIDE = {"num_hidden_layers": 4, "initializer_range": 0.5, "attn_implementation": "eager"}


def bert() -> PreTrainedModel:
    """Post-norm, every token sees every other."""
    return BertModel(BertConfig(**SIZES, **WIDE), add_pooling_layer=False)


def llama() -> PreTrainedModel:
    """Pre-norm, causal, gated, RMSNorm."""
    special = {"bos_token_id": 0, "eos_token_id": 0}
    return LlamaForCausalLM(LlamaConfig(**SIZES, **WIDE, **special))


@pytest.fixture(params=[bert, llama], ids=lambda made: made.__name__)
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Recording:
    torch.manual_seed(0)
    model = request.param().double().eval().requires_grad_(False)
    tokens = torch.randint(40, (3, 7), generator=torch.Generator().manual_seed(0))
    return record(model, tokens, tmp_path)


def test_orders_of_frozen_blocks_sum_up_to_the_last_state(recording: Recording) -> None:
    x_0, x_L = recording.state(0), recording.state(4)
    orders = dyson_orders(recording.blocks(), x_0)
    for first_token in (0, 1):
        norms = order_norms(orders, x_L, first_token=first_token)
        assert norms.partial_error[-1] < 1e-12 < 0.01 < norms.norm[1:].min()
    assert antipode_residuals([*recording.blocks()], orders).max() < 1e-13
    assert chen_residuals(recording.blocks(), x_0, cuts=[1, 2, 3]).max() < 1e-13
    sums = torch.stack([*accumulate(orders)]).flatten(1, 2)
    rows = resum(sums, x_L.flatten(0, 1), lengths=[4])
    assert next(row.median for row in rows if row.method == "last") < 1e-12


def test_an_impulse_does_not_reach_the_tokens_that_cannot_see_it(recording: Recording) -> None:
    one = slice(0, 1)
    response = impulse_response(
        (block.tangents for block in recording.blocks(one)),
        recording.state(0, one),
        np.random.default_rng(0),
        positions=range(7),
        draws=1,
    )
    causal = isinstance(recording.stack.model, LlamaForCausalLM)
    reached = torch.ones(7, 7).triu() if causal else torch.ones(7, 7)
    assert torch.equal(response > 0, reached.bool())


def test_patterns_are_seen_through_their_own_mask(recording: Recording) -> None:
    causal = isinstance(recording.stack.model, LlamaForCausalLM)
    for block in recording.blocks():
        found = fit_convolution(block.probabilities, np.random.default_rng(0))
        assert ((found.share > 0) & (found.share < 1)).all()
        assert causal == bool((found.pattern.triu(1) == 0).all())
        torch.testing.assert_close(found.pattern.sum(-1), torch.ones(2, 7).double())
