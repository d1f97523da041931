"""Tiny random transformers, saved as their own library saves them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

SIZES = {
    "bert": {
        "hidden_size": 12,
        "num_attention_heads": 3,
        "num_hidden_layers": 12,
        "intermediate_size": 8,
    },
    "gpt2": {"n_embd": 12, "n_head": 3, "n_layer": 12, "n_inner": 8},
}


@dataclass(frozen=True)
class TinyModel:
    """A model in memory, the folder it was saved to, and its attention modules by layer."""

    folder: Path
    model: Any
    attention: list[Any]

    def projections(self, layer: int) -> tuple[Tensor, Tensor]:
        """The weights of a layer as [in, out] matrices for the queries and for the keys."""
        module = self.attention[layer]
        if hasattr(module, "c_attn"):
            queries, keys, _ = module.c_attn.weight.detach().chunk(3, dim=1)
            return queries, keys
        return module.query.weight.detach().T, module.key.weight.detach().T

    def queries_and_keys(self, layer: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """What the attention module itself multiplies, [H, n, r] each, for inputs [n, d]."""
        from transformers import AttentionInterface
        from transformers.models.gpt2.modeling_gpt2 import eager_attention_forward

        scored = []

        def note(module: Any, query: Tensor, key: Tensor, *rest: Any, **options: Any) -> Any:
            scored.append((query[0], key[0]))
            return eager_attention_forward(module, query, key, *rest, **options)

        AttentionInterface.register("noting", note)
        self.model.set_attn_implementation("noting")
        with torch.no_grad():
            self.attention[layer](inputs[None])
        return scored[0]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TinyModel]:
    """Build, randomise and save a model of a family, bare or with its language-model head."""
    import transformers

    classes = {
        ("bert", False): transformers.BertModel,
        ("bert", True): transformers.BertForMaskedLM,
        ("gpt2", False): transformers.GPT2Model,
        ("gpt2", True): transformers.GPT2LMHeadModel,
    }
    configs = {"bert": transformers.BertConfig, "gpt2": transformers.GPT2Config}

    def build(
        family: str,
        *,
        head: bool = False,
        dtype: torch.dtype = torch.float64,
        max_shard_size: str = "1GB",
    ) -> TinyModel:
        config = configs[family](
            vocab_size=16, bos_token_id=None, eos_token_id=None, **SIZES[family]
        )
        model = classes[family, head](config).eval().to(dtype)
        generator = torch.Generator().manual_seed(7)
        for parameter in model.parameters():
            if parameter.ndim == 2:  # biases stay zero, as the factors leave them out
                parameter.data.normal_(std=0.5, generator=generator)
        base = model.base_model
        attention = (
            [layer.attention.self for layer in base.encoder.layer]
            if family == "bert"
            else [layer.attn for layer in base.h]
        )
        folder = tmp_path_factory.mktemp(family)
        model.save_pretrained(folder, max_shard_size=max_shard_size)
        return TinyModel(folder, model, attention)

    return build


@pytest.fixture(params=["bert", "gpt2"])
def family(request: pytest.FixtureRequest) -> str:
    """Each known family in turn."""
    return request.param
