"""Architectures that GGUF files name, and the families that read them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._gguf_header import Number, Value

CONVERT_AGAIN = "convert the model again, or open the safetensors folder it was made from"
LARGEST = 1 << 24
"""Of sizes that a file gives."""

NO_SCALE = {"scale": "a GGUF file does not say by what it multiplies the scores"}
BY_KIND = {"rope_offset": "a GGUF file does not say how fast each kind of its layers rotates"}


@dataclass(frozen=True)
class Named:
    """The values of a file that belong to its architecture.

    Attributes
    ----------
    values
        All of the file, by name.
    architecture
        What the names of those wanted begin with.
    where
        The file's name in error messages.
    """

    values: Mapping[str, Value]
    architecture: str
    where: str

    def find(self, key: str) -> Number | str | None:
        """The value of a key or None; where it is one for each layer, the one they all have."""
        value = self.values.get(f"{self.architecture}.{key}")
        if isinstance(value, list):
            if len(set(value)) != 1:
                raise self.error(key, f"is {value}: layers that differ are not read")
            return value[0]
        return value

    def count(self, key: str, default: int | None = None) -> int:
        """A positive integer."""
        value = self.find(key)
        if value is None and default is not None:
            return default
        if type(value) is not int or not 1 <= value <= LARGEST:
            raise self.error(key, "is missing" if value is None else f"is {value!r}")
        return value

    def number(self, key: str, default: float) -> float:
        """A positive number."""
        value = self.find(key)
        if value is None:
            return default
        if isinstance(value, str | bool) or not 0 < value < float("inf"):
            raise self.error(key, f"is {value!r}")
        return float(value)

    def error(self, key: str, problem: str) -> CheckpointError:
        """What is wrong with a key."""
        return CheckpointError(self.where, f"{self.architecture}.{key} {problem}", CONVERT_AGAIN)


@dataclass(frozen=True)
class GgufFamily:
    """An architecture of llama.cpp, and the family here that reads it.

    Attributes
    ----------
    model_type
        The family.
    sizes
        The family's attributes for the numbers of layers and heads and for d.
    kv_heads
        Its attribute for the number of key/value heads, if it has one.
    head_width
        Its attribute for r, if it has one.
    asks
        Its attribute that asks for norms of queries and keys, which a file has or has not.
    more
        Gives its other attributes.
    rotary
        Whether its rotary positions are told by ``rope_parameters``.
    partial
        Whether those may turn a part of each head only.
    permuted
        Whether rows of queries and keys are in the order in which neighbours rotate together.
    refusals
        Why an option of the convention has no meaning, by the option's name.
    """

    model_type: str
    sizes: tuple[str, str, str] = ("num_hidden_layers", "num_attention_heads", "hidden_size")
    kv_heads: str | None = None
    head_width: str | None = None
    asks: str | None = None
    more: Callable[[Named], Mapping[str, Any]] = lambda _: {}
    rotary: bool = False
    partial: bool = False
    permuted: bool = False
    refusals: Mapping[str, str] = field(default_factory=dict)


def _llama_like(model_type: str, **more: Any) -> GgufFamily:
    """A decoder with grouped keys whose heads may have any width."""
    return GgufFamily(
        model_type,
        **{"kv_heads": "num_key_value_heads", "head_width": "head_dim", "rotary": True, **more},
    )


def _falcon(named: Named) -> Mapping[str, Any]:
    heads, keys = named.count("attention.head_count"), named.count("attention.head_count_kv", 1)
    return {
        "alibi": False,
        "multi_query": keys == 1,
        "new_decoder_architecture": 1 < keys < heads,
        "num_kv_heads": keys,
    }


def _granite(named: Named) -> Mapping[str, Any]:
    width = named.count("embedding_length") // named.count("attention.head_count")
    usual = named.count("attention.key_length", max(width, 1)) ** -0.5
    return {"attention_multiplier": named.number("attention.scale", usual)}


def _t5(named: Named) -> Mapping[str, Any]:
    layers = named.count("block_count")
    return {
        "is_encoder_decoder": True,
        "num_decoder_layers": named.count("decoder_block_count", layers),
    }


GPT = ("n_layer", "n_head", "n_embd")
T5 = GgufFamily("t5", ("num_layers", "num_heads", "d_model"), head_width="d_kv", more=_t5)

GGUF_FAMILIES: dict[str, GgufFamily] = {
    "bert": GgufFamily("bert"),
    "bloom": GgufFamily("bloom", ("n_layer", "n_head", "hidden_size")),
    "command-r": _llama_like("cohere", asks="use_qk_norm"),
    "falcon": GgufFamily("falcon", more=_falcon, rotary=True),
    "gemma": _llama_like("gemma"),
    "gemma2": _llama_like("gemma2", refusals=NO_SCALE),
    "gemma3": _llama_like("gemma3_text", rotary=False, refusals=NO_SCALE | BY_KIND),
    "gpt-oss": _llama_like("gpt_oss"),
    "gpt2": GgufFamily("gpt2", GPT),
    "gptneox": GgufFamily("gpt_neox", rotary=True, partial=True),
    "granite": _llama_like("granite", more=_granite, permuted=True),
    "llama": _llama_like("llama", permuted=True),
    "modern-bert": GgufFamily("modernbert", refusals=BY_KIND),
    "olmo": _llama_like("olmo", permuted=True),
    "olmo2": _llama_like("olmo2"),
    "phi2": _llama_like("phi", partial=True),
    "phi3": _llama_like("phi3", partial=True),
    "qwen2": _llama_like("qwen2"),
    "qwen2moe": _llama_like("qwen2_moe"),
    "qwen2vl": _llama_like("qwen2_vl_text", head_width=None),
    "qwen3": _llama_like("qwen3"),
    "qwen3moe": _llama_like("qwen3_moe"),
    "smollm3": _llama_like("smollm3", permuted=True),
    "stablelm": _llama_like("stablelm", asks="qk_layernorm", head_width=None, partial=True),
    "starcoder": GgufFamily("gpt_bigcode", GPT, more=lambda _: {"multi_query": True}),
    "starcoder2": _llama_like("starcoder2"),
    "t5": T5,
    "t5encoder": replace(T5, more=lambda _: {"is_encoder_decoder": False}),
}
"""Families by the name that llama.cpp has for the architecture.

Mistral's and Mixtral's models go by the name of llama, as do those of RoBERTa, CamemBERT and
DistilBERT by that of bert, and Qwen2.5-VL's by that of qwen2vl. Which layers of smollm3 have no
rotary positions is not told: llama.cpp takes every fourth, as all published models have it.
"""
