"""The factors of each family reproduce the attention scores of its own implementation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from headalgebra.checkpoints import LayerFactors, open_folder


def scores(inputs: Tensor, factors: LayerFactors) -> Tensor:
    """Scores [H, n, n] of all pairs of inputs [n, d]."""
    queries = inputs @ factors.queries
    keys = (inputs @ factors.keys)[factors.key_of_head]
    return queries @ keys.mT


def score_rounding(inputs: Tensor, factors: LayerFactors) -> Tensor:
    """Bound on the difference of two float64 evaluations of the scores, in any summation order.

    Each evaluation nests inner products of length d, d and r, so it is off by at most
    gamma(2d + r) times the scores of the absolute values (Higham 2002, section 3.5).
    """
    terms = 2 * factors.queries.shape[1] + factors.queries.shape[2]
    unit = 2.0**-53
    absolute = LayerFactors(factors.queries.abs(), factors.keys.abs(), factors.key_of_head)
    return 2 * terms * unit / (1 - terms * unit) * scores(inputs.abs(), absolute)


@pytest.mark.parametrize("head", [False, True], ids=["bare", "prefixed"])
@pytest.mark.parametrize("max_shard_size", ["1GB", "8KB"], ids=["single", "sharded"])
def test_scores_are_those_of_the_model(
    tiny_model: Callable, family: str, head: bool, max_shard_size: str
) -> None:
    """For every layer, head and pair of tokens, within rounding; wrong slices are far outside."""
    tiny = tiny_model(family, head=head, max_shard_size=max_shard_size)
    checkpoint = open_folder(tiny.folder)
    assert (len(checkpoint.files) > 2) == (max_shard_size == "8KB")
    generator = torch.Generator().manual_seed(1)
    for layer in range(checkpoint.n_layers):
        inputs = torch.randn(9, checkpoint.d_model, generator=generator, dtype=torch.float64)
        queries, keys = tiny.queries_and_keys(layer, inputs)
        factors = checkpoint.read_layer(layer)
        expected, rounding = queries @ keys.mT, score_rounding(inputs, factors)
        assert (scores(inputs, factors) - expected).abs().le(rounding).all()

        n_heads, d, r = factors.queries.shape
        wrong = {
            "queries and keys swapped": LayerFactors(
                factors.keys, factors.queries, factors.key_of_head
            ),
            "heads interleaved": LayerFactors(
                *(
                    side.permute(1, 0, 2).reshape(d, r, n_heads).permute(2, 0, 1)
                    for side in (factors.queries, factors.keys)
                ),
                factors.key_of_head,
            ),
            "neighbour's key": LayerFactors(
                factors.queries, factors.keys, factors.key_of_head.roll(1)
            ),
            "next layer": checkpoint.read_layer((layer + 1) % checkpoint.n_layers),
        }
        for mistake, factors in wrong.items():
            deviation = (scores(inputs, factors) - expected).norm() / expected.norm()
            assert deviation > 0.1, mistake


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_factors_are_the_stored_bits(tiny_model: Callable, family: str, dtype: torch.dtype) -> None:
    """No arithmetic touches the weights, whatever type they are stored in."""
    tiny = tiny_model(family, dtype=dtype)
    checkpoint = open_folder(tiny.folder)
    assert checkpoint.dtype == dtype
    for layer in range(checkpoint.n_layers):
        factors = checkpoint.read_layer(layer)
        for side, matrix in zip(
            (factors.queries, factors.keys), tiny.projections(layer), strict=True
        ):
            assert torch.equal(torch.cat(list(side), dim=1), matrix)
            assert side.dtype == dtype and side.is_contiguous()
        assert factors.key_of_head.tolist() == [0, 1, 2]


def test_sizes_are_those_of_the_configuration(tiny_model: Callable, family: str) -> None:
    """The checkpoint says how large its attention is."""
    checkpoint = open_folder(tiny_model(family).folder)
    assert checkpoint.family == family
    sizes = (checkpoint.n_layers, checkpoint.n_heads, checkpoint.n_kv_heads)
    assert (*sizes, checkpoint.d_model, checkpoint.d_head) == (12, 3, 3, 12, 4)
