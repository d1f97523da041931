"""Decoders of one size have as many parameters, whatever the width of their heads."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from headalgebra.training import Size

EVEN = st.integers(1, 16).map(lambda half: 2 * half)


def parameters(config: LlamaConfig) -> int:
    with torch.device("meta"):
        return LlamaForCausalLM(config).num_parameters()


@given(EVEN, EVEN, st.integers(1, 3), st.integers(1, 3), st.integers(150, 300))
def test_another_width_of_heads_is_made_up_for(
    r: int, other: int, heads: int, layers: int, feed_forward: int
) -> None:
    """To half a unit of the feed-forward part in each block, and no unit more would be nearer."""
    size = Size(layers, heads, 12)
    like = size.llama(8, 16, head_width=r, feed_forward=feed_forward)
    found = size.matched_feed_forward(other, instead_of=r, feed_forward=feed_forward)
    off = [
        abs(parameters(size.llama(8, 16, head_width=other, feed_forward=f)) - parameters(like))
        for f in (found, found - 1, found + 1)
    ]
    assert off[0] <= 3 * 12 / 2 * layers
    assert off[0] == min(off)
    assert size.matched_feed_forward(r, instead_of=r, feed_forward=feed_forward) == feed_forward


def test_the_grid_needs_it() -> None:
    """Heads of 30 axes in place of 32 take off more than 1 %, and less with a wider middle."""
    size = Size(4, 2, 64)
    like = size.llama(1024, 128, head_width=32, feed_forward=172)
    plain = size.llama(1024, 128, head_width=30, feed_forward=172)
    found = size.matched_feed_forward(30, instead_of=32, feed_forward=172)
    matched = size.llama(1024, 128, head_width=30, feed_forward=found)
    assert found == 177
    assert abs(parameters(plain) / parameters(like) - 1) > 0.01
    assert abs(parameters(matched) / parameters(like) - 1) < 0.002


def test_heads_that_cannot_be_made_up_for_are_refused() -> None:
    size = Size(1, 4, 8)
    with pytest.raises(ValueError, match="heads of 4 axes have more parameters than heads of 2"):
        size.matched_feed_forward(4, instead_of=2, feed_forward=10)
