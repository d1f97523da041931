"""Drawn layers follow the architecture's own initialisation, and depend on seed and layer only."""

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from headalgebra.checkpoints import CheckpointError, LayerFactors, initialise

CONFIGS = {
    "bert": {
        "model_type": "bert",
        "hidden_size": 192,
        "num_attention_heads": 6,
        "num_hidden_layers": 3,
        "intermediate_size": 8,
        "vocab_size": 16,
        "initializer_range": 0.05,
    },
    "gpt2": {
        "model_type": "gpt2",
        "n_embd": 192,
        "n_head": 6,
        "n_layer": 3,
        "n_inner": 8,
        "vocab_size": 16,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "initializer_range": 0.05,
    },
}


def equal(one: LayerFactors, other: LayerFactors) -> bool:
    """Whether two layers agree to the bit."""
    return torch.equal(one.queries, other.queries) and torch.equal(one.keys, other.keys)


def weights(factors: LayerFactors) -> Tensor:
    """All query and key weights of a layer, in float64."""
    return torch.cat([factors.queries.flatten(), factors.keys.flatten()]).double()


def is_standard_normal(z: Tensor) -> bool:
    """Whether mean, mean square and law of N draws are within 5 standard deviations of theirs."""
    n = z.numel()
    mean = abs(z.mean()) * math.sqrt(n)
    mean_square = abs(z.square().mean() - 1) * math.sqrt(n / 2)
    return bool(max(mean, mean_square) < 5) and stats.kstest(z.numpy(), "norm").pvalue > 5e-7


def test_draws_are_normal_with_the_configured_width(family: str) -> None:
    """Another centre, another width or another law would be told apart."""
    drawn = initialise(CONFIGS[family], seed=0)
    assert drawn.dtype == torch.float32 and drawn.files == {}
    for layer in range(drawn.n_layers):
        factors = drawn.read_layer(layer)
        assert factors.queries.shape == factors.keys.shape == (6, 192, 32)
        z = weights(factors) / 0.05
        assert is_standard_normal(z)
        uniform = math.sqrt(12) * (torch.special.ndtr(z) - 0.5)
        for wrong in (z + 0.05, 1.04 * z, uniform):
            assert not is_standard_normal(wrong)


def test_width_is_that_of_the_model_itself(family: str) -> None:
    """A freshly built transformers model has the same standard deviation."""
    from transformers import CONFIG_MAPPING, AutoModel

    torch.manual_seed(0)
    model = AutoModel.from_config(CONFIG_MAPPING[family](**CONFIGS[family]))
    own = (
        model.encoder.layer[1].attention.self.query.weight
        if family == "bert"
        else model.h[1].attn.c_attn.weight[:, :384]
    ).detach()

    def deviation(config: dict[str, Any]) -> float:
        """Difference of the standard deviations in units of its own standard deviation."""
        drawn = weights(initialise(config, seed=0).read_layer(1))
        spread = math.sqrt(1 / (2 * own.numel()) + 1 / (2 * drawn.numel()))
        return float(abs(own.double().std() / drawn.std() - 1) / spread)

    assert deviation(CONFIGS[family]) < 5
    assert deviation(CONFIGS[family] | {"initializer_range": 0.055}) > 5


def test_a_layer_depends_on_its_seed_and_number_only(family: str) -> None:
    """Not on the depth of the model, nor on which layers were read before."""
    layers = "num_hidden_layers" if family == "bert" else "n_layer"
    short = initialise(CONFIGS[family], seed=4)
    deep = initialise(CONFIGS[family] | {layers: 20}, seed=4)
    other = initialise(CONFIGS[family], seed=5)
    read = [deep.read_layer(layer) for layer in reversed(range(3))][::-1]
    for layer in range(3):
        assert equal(short.read_layer(layer), read[layer])
        assert not equal(short.read_layer(layer), other.read_layer(layer))
    assert not equal(read[0], read[1])
    assert short.revision == other.revision != deep.revision


@pytest.mark.parametrize("width", [0, -0.02, float("nan"), float("inf")])
def test_widths_that_are_not_positive_are_refused(family: str, width: float) -> None:
    """There is no random matrix to draw."""
    with pytest.raises(CheckpointError, match="initializer_range"):
        initialise(CONFIGS[family] | {"initializer_range": width}, seed=0)


def test_a_negative_seed_is_refused(family: str) -> None:
    """The generator has none."""
    with pytest.raises(CheckpointError, match="seed is -1"):
        initialise(CONFIGS[family], seed=-1)
