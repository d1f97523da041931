"""Tiny variants of decoders, every parameter of which has an effect."""

from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, LlamaConfig

from headalgebra.training.models import build_model
from headalgebra.variants import Variant

VARIANTS = {
    "softmax": Variant(),
    "window": Variant(attention="window", width=3),
    "linear": Variant(attention="linear"),
    "triangular": Variant(heads="triangular", overlap=0.5),
    "sine": Variant(heads="sine", overlap=1.0),
    "sine, window": Variant(heads="sine", overlap=0.5, attention="window", width=3),
    "layernorm": Variant(normaliser="layernorm"),
    "rmsnorm": Variant(normaliser="rmsnorm"),
    "none": Variant(normaliser="none"),
    "symmetriser": Variant(normaliser="symmetriser", mixing="uniform"),
    "symmetriser, linear": Variant(normaliser="symmetriser", mixing="identity", attention="linear"),
}
OF_LLAMA = ("window", "linear", "layernorm", "none", "symmetriser, linear")
CASES = [
    (name, architecture)
    for name in VARIANTS
    for architecture in ("gpt2", "llama")
    if architecture == "gpt2" or name in OF_LLAMA
]
T = 9


def configuration(architecture: str = "gpt2", **more: Any) -> GPT2Config | LlamaConfig:
    special = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 3, "hidden_size": 24, "vocab_size": 16}
    usual: dict[str, Any] = sizes | {"max_position_embeddings": 32} | special
    if architecture == "llama":
        return LlamaConfig(**usual | {"intermediate_size": 20, "head_dim": 8} | more)
    dropout = dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), 0.0)
    return GPT2Config(**usual | {"n_inner": 20} | dropout | more)


def started(variant: Variant, architecture: str = "gpt2", **more: Any) -> Any:
    """At its start, in float64; attention as the formula has it, without other kernels."""
    model = build_model(configuration(architecture, **more), variant, seed=5).double().eval()
    if not variant.varies_attention:
        model.set_attn_implementation("eager")
    return model


def varied(variant: Variant, architecture: str = "gpt2", **more: Any) -> Any:
    """With weights, biases and gains drawn anew, so that none is 0 or 1."""
    model = started(variant, architecture, **more)
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        mean = 0.5 if parameter.ndim == 1 and not name.endswith("bias") else 0.0
        parameter.data.normal_(mean, 0.3, generator=generator)
    return model


def some_ids(n: int = 2, t: int = T, seed: int = 1) -> Tensor:
    return torch.randint(1, 16, (n, t), generator=torch.Generator().manual_seed(seed))


def logits(model: Any, ids: Tensor, **named: Any) -> Tensor:
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False, **named).logits
