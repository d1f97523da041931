"""What transformers' own implementation of each family computes, on tiny random models."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Blueprint:
    """How to build a tiny model of a family and where its parts are.

    Attributes
    ----------
    config, model, head
        Classes of transformers: the configuration, the bare model, the model with a head.
    settings
        Attributes of the configuration.
    sizes
        Layers, heads, key/value heads, d and r that they mean.
    attention, outputs, norm
        Paths to the attention module of a layer, to the output projection, and to the norm in
        front, from the bare model.
    rotary
        Whether attention takes ``position_embeddings`` made by the model's ``rotary_emb``.
    arguments
        What else the attention module wants.
    """

    config: str
    model: str
    head: str
    settings: Mapping[str, Any]
    sizes: tuple[int, int, int, int, int]
    attention: str
    outputs: str
    norm: str | None = None
    rotary: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)


SMALL = {
    "hidden_size": 12,
    "num_hidden_layers": 12,
    "num_attention_heads": 3,
    "intermediate_size": 8,
    "vocab_size": 16,
}
# Heads of width 6 in a stream of width 16, and groups of three.
GROUPED = SMALL | {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
}
SPECIAL = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
ROPE = {"rope_theta": 9.0, "rope_type": "default"}
DECODER = {"attention": "layers.{}.self_attn", "outputs": "layers.{}.self_attn.o_proj"}

BLUEPRINTS = {
    "bert": Blueprint(
        "BertConfig",
        "BertModel",
        "BertForMaskedLM",
        SMALL,
        (12, 3, 3, 12, 4),
        attention="encoder.layer.{}.attention.self",
        outputs="encoder.layer.{}.attention.output.dense",
    ),
    "gpt2": Blueprint(
        "GPT2Config",
        "GPT2Model",
        "GPT2LMHeadModel",
        {"n_embd": 12, "n_head": 3, "n_layer": 12, "n_inner": 8, "vocab_size": 16, **SPECIAL},
        (12, 3, 3, 12, 4),
        attention="h.{}.attn",
        outputs="h.{}.attn.c_proj",
        norm="h.{}.ln_1",
    ),
    "gpt_neox": Blueprint(
        "GPTNeoXConfig",
        "GPTNeoXModel",
        "GPTNeoXForCausalLM",
        SMALL
        | SPECIAL
        | {
            "hidden_size": 24,
            "num_hidden_layers": 11,
            "rope_parameters": ROPE | {"partial_rotary_factor": 0.5},
        },
        (11, 3, 3, 24, 8),
        attention="layers.{}.attention",
        outputs="layers.{}.attention.dense",
        norm="layers.{}.input_layernorm",
        rotary=True,
        arguments={"attention_mask": None},
    ),
    **{
        family: Blueprint(
            f"{name}Config",
            f"{name}Model",
            f"{name}ForCausalLM",
            GROUPED | SPECIAL | {"rope_parameters": ROPE} | more,
            (4, 4, 2, 16, 6),
            **DECODER,
            norm="layers.{}.input_layernorm",
            rotary=True,
            arguments={"attention_mask": None},
        )
        for family, name, more in (
            ("llama", "Llama", {}),
            ("mistral", "Mistral", {}),
            ("mixtral", "Mixtral", {"num_local_experts": 2}),
            ("qwen2", "Qwen2", {}),
        )
    },
}


@dataclass(frozen=True)
class Scored:
    """What an attention module multiplies, for n inputs.

    Attributes
    ----------
    queries, keys
        [H, n, r], after rotation; keys repeated for the heads that share them.
    scaling
        Factor of their products before the softmax.
    context
        [n, H r], what the output projection is given when each token attends to itself alone.
    """

    queries: Tensor
    keys: Tensor
    scaling: float
    context: Tensor


@dataclass(frozen=True)
class TinyModel:
    """A model in memory and the folder it was saved to."""

    blueprint: Blueprint
    folder: Path
    model: Any

    def part(self, path: str, layer: int) -> Any:
        """A module of a layer."""
        return self.model.base_model.get_submodule(path.format(layer))

    def score(self, layer: int, inputs: Tensor, positions: Tensor | None = None) -> Scored:
        """Run the attention module of a layer on inputs [n, d], by default all at position 0."""
        if positions is None:
            positions = torch.zeros(len(inputs), dtype=torch.int64)
        attention = self.part(self.blueprint.attention, layer)
        outputs = self.part(self.blueprint.outputs, layer)
        arguments = dict(self.blueprint.arguments)
        with torch.no_grad(), recorded(self.model) as scored, inputs_of(outputs) as contexts:
            if self.blueprint.rotary:
                rotary = self.model.base_model.rotary_emb
                arguments["position_embeddings"] = rotary(inputs[None], positions[None])
            result = attention(inputs[None], **arguments)[0]
            if not contexts:  # the output projection is in another module
                outputs(result)
        queries, keys, scaling = scored[0]
        return Scored(queries, keys, scaling, contexts[0].reshape(len(inputs), -1))

    def normalise(self, layer: int, inputs: Tensor) -> Tensor:
        """The norm in front of a layer, without its division by the size of each row [n, d]."""
        norm = self.part(self.blueprint.norm, layer)
        for name in ("eps", "variance_epsilon"):
            if hasattr(norm, name):
                setattr(norm, name, 0.0)
        centred = isinstance(norm, torch.nn.LayerNorm)
        centre = inputs.mean(dim=1, keepdim=True) if centred else torch.zeros_like(inputs[:, :1])
        size = (inputs - centre).square().mean(dim=1, keepdim=True).sqrt()
        with torch.no_grad():
            return norm(inputs) * size

    def write(self, layer: int, scored: Scored, head: int, width: int) -> Tensor:
        """What one head adds to the residual stream [n, d] when each token attends to itself."""
        outputs = self.part(self.blueprint.outputs, layer)
        alone = torch.zeros_like(scored.context)
        span = slice(head * width, (head + 1) * width)
        alone[:, span] = scored.context[:, span]
        with torch.no_grad():
            return outputs(alone)


@contextmanager
def recorded(model: Any) -> Iterator[list[tuple[Tensor, Tensor, float]]]:
    """Queries, keys and scaling of the attention calls inside; each token attends to itself."""
    from transformers import AttentionInterface
    from transformers.models.llama.modeling_llama import repeat_kv

    calls: list[tuple[Tensor, Tensor, float]] = []

    def attend(
        module: Any, query: Tensor, key: Tensor, value: Tensor, *_: Any, **named: Any
    ) -> Any:
        shared = query.shape[1] // key.shape[1]
        scaling = named.get("scaling")
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        calls.append((query[0], repeat_kv(key, shared)[0], scaling))
        return repeat_kv(value, query.shape[1] // value.shape[1]).transpose(1, 2), None

    AttentionInterface.register("recorded", attend)
    model.set_attn_implementation("recorded")
    yield calls


@contextmanager
def inputs_of(module: Any) -> Iterator[list[Tensor]]:
    """What a module is given."""
    given: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, arguments: given.append(arguments[0]))
    yield given
    hook.remove()


def build(
    family: str,
    new_folder: Callable[[str], Path],
    *,
    head: bool = False,
    dtype: torch.dtype = torch.float64,
    max_shard_size: str = "1GB",
    randomise: bool = True,
    **settings: Any,
) -> TinyModel:
    """Build a model of a family, bare or with a head, randomise it unless told not to, save it."""
    import transformers

    blueprint = BLUEPRINTS[family]
    config = getattr(transformers, blueprint.config)(**blueprint.settings | settings)
    model = getattr(transformers, blueprint.head if head else blueprint.model)(config)
    model = model.eval().to(dtype)
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters() if randomise else ():
        if name.endswith("bias"):  # the factors leave them out
            parameter.data.zero_()
        elif parameter.ndim == 1:
            parameter.data.normal_(mean=1.0, std=0.5, generator=generator)
        else:
            parameter.data.normal_(std=0.5, generator=generator)
    folder = new_folder(family)
    model.save_pretrained(folder, max_shard_size=max_shard_size)
    return TinyModel(blueprint, folder, model)
