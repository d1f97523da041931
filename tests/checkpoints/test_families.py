"""The factors of each family reproduce the attention scores of its own implementation."""

from collections.abc import Callable

import pytest
import torch
from score_rounding import absolute_factors, deviation, random_inputs, score_rounding, scores
from tiny_models import BLUEPRINTS, model_type

from headalgebra.checkpoints import LayerFactors, open_folder


@pytest.mark.parametrize("head", [False, True], ids=["bare", "prefixed"])
@pytest.mark.parametrize("max_shard_size", ["1GB", "8KB"], ids=["single", "sharded"])
def test_scores_are_those_of_the_model(
    shared_model: Callable, family: str, head: bool, max_shard_size: str
) -> None:
    """For every layer, head and pair of tokens, within rounding; wrong slices are far outside."""
    tiny = shared_model(family, head=head, max_shard_size=max_shard_size)
    checkpoint = open_folder(tiny.folder)
    assert (len(checkpoint.files) > 2) == (max_shard_size == "8KB")
    for layer in range(checkpoint.n_layers):
        inputs = random_inputs(9, checkpoint.d_model)
        scored = tiny.score(layer, inputs)
        factors = checkpoint.read_layer(layer)
        expected = scored.queries @ scored.keys.mT
        rounding = score_rounding(
            inputs, absolute_factors(checkpoint, layer), more_terms=40, unit=tiny.unit
        )
        assert (scores(inputs, factors) - expected).abs().le(rounding).all()

        queries, keys, owners = factors.queries, factors.keys, factors.key_of_head
        swapped = keys[owners]
        wrong = {
            "queries and keys swapped": LayerFactors(swapped, queries, torch.arange(len(queries))),
            "heads interleaved": LayerFactors(interleaved(queries), interleaved(keys), owners),
            "next layer": checkpoint.read_layer((layer + 1) % checkpoint.n_layers),
        }
        if len(keys) > 1:
            wrong["neighbour's key"] = LayerFactors(queries, keys, owners.roll(1))
        if 1 < len(keys) < len(queries):
            tiled = torch.arange(len(queries)) % len(keys)
            wrong["groups tiled"] = LayerFactors(queries, keys, tiled)
        for mistake, factors in wrong.items():
            assert deviation(scores(inputs, factors), expected) > 0.1, mistake


def interleaved(side: torch.Tensor) -> torch.Tensor:
    """The same columns, dealt out to the heads in turn."""
    n_heads, d, r = side.shape
    return side.permute(1, 0, 2).reshape(d, r, n_heads).permute(2, 0, 1)


EXACT = [
    family
    for family, blueprint in BLUEPRINTS.items()
    if blueprint.score_norms is None and not blueprint.single
]


@pytest.mark.parametrize("family", EXACT)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_factors_are_the_stored_bits(
    shared_model: Callable, family: str, dtype: torch.dtype
) -> None:
    """No arithmetic touches the weights, whatever type they are stored in.

    The model itself multiplies them by the identity, which is exact.
    """
    tiny = shared_model(family, dtype=dtype)
    checkpoint = open_folder(tiny.folder)
    assert checkpoint.dtype == dtype
    for layer in range(checkpoint.n_layers):
        factors = checkpoint.read_layer(layer)
        scored = tiny.score(layer, torch.eye(checkpoint.d_model, dtype=dtype))
        assert torch.equal(factors.queries, scored.queries)
        assert torch.equal(factors.keys[factors.key_of_head], scored.keys)
        for side in (factors.queries, factors.keys):
            assert side.dtype == dtype and side.is_contiguous()


def test_sizes_are_those_of_the_configuration(shared_model: Callable, family: str) -> None:
    """The checkpoint says how large its attention is, and each layer who shares keys."""
    tiny = shared_model(family)
    checkpoint = open_folder(tiny.folder)
    assert checkpoint.family == model_type(family)
    heads = (checkpoint.n_heads, checkpoint.n_kv_heads)
    sizes = (checkpoint.n_layers, *heads, checkpoint.d_model, checkpoint.d_head)
    assert sizes == tiny.blueprint.sizes
    factors = checkpoint.read_layer(0)
    assert tuple(factors.queries.shape) == (heads[0], *sizes[3:])
    assert tuple(factors.keys.shape) == (heads[1], *sizes[3:])
