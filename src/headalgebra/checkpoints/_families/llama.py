"""Llama and those built like it: separate Linear weights [out, in], grouped keys, rotary."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import Rotary, rotary_of
from headalgebra.checkpoints._families._family import SeparateProjections
from headalgebra.checkpoints._families._keys import (
    AUTHORS_CODE,
    BLOCK,
    BOOKKEEPING,
    EXPERTS,
    ROTARY,
)
from headalgebra.checkpoints._families._refusals import NORM_AFTER, rope_refusals


class Llama(SeparateProjections):
    """Decoders of Touvron et al. (2023), https://arxiv.org/abs/2302.13971.

    The heads' widths need not add up to the width of the residual stream.

    Attributes
    ----------
    rotary_class
        Where transformers computes the rotary positions: a model's folder and a class.
    """

    handled = ROTARY | {
        "head_dim",
        "hidden_size",
        "initializer_range",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
    }
    # How the products of the projections are split up changes nothing but rounding.
    ignored = BOOKKEEPING | BLOCK | {"pretraining_tp"}
    sizes: ClassVar[Mapping[str, str]] = {
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "kv_heads": "num_key_value_heads",
        "width": "hidden_size",
        "head_width": "head_dim",
    }
    tensors = (
        "layers.{}.self_attn.q_proj.weight",
        "layers.{}.self_attn.k_proj.weight",
        "layers.{}.self_attn.v_proj.weight",
        "layers.{}.self_attn.o_proj.weight",
    )
    norm_tensor: ClassVar[str | None] = "layers.{}.input_layernorm.weight"
    rotary_class: ClassVar[tuple[str, str]] = ("llama", "LlamaRotaryEmbedding")

    def rotary(self, config: Any, layer: int) -> Rotary:
        """From the first coordinates of the head on."""
        return rotary_of(*self.rotary_class, config)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Rotations that depend on the sequence length."""
        return rope_refusals(config.rope_parameters)


class Mistral(Llama):
    """Decoders of Jiang et al. (2023), https://arxiv.org/abs/2310.06825."""

    rotary_class = ("mistral", "MistralRotaryEmbedding")


class Mixtral(Llama):
    """Decoders of Jiang et al. (2024), https://arxiv.org/abs/2401.04088."""

    ignored = Llama.ignored | EXPERTS
    rotary_class = ("mixtral", "MixtralRotaryEmbedding")


class Qwen2(Llama):
    """Decoders of Yang et al. (2024), https://arxiv.org/abs/2407.10671.

    Some layers may see a window of the sequence only, which masks scores.
    """

    ignored = Llama.ignored | {"layer_types"}
    rotary_class = ("qwen2", "Qwen2RotaryEmbedding")


class Qwen3(Qwen2):
    """Decoders of Yang et al. (2025), https://arxiv.org/abs/2505.09388.

    Queries and keys are normalised head by head; the gammas are part of the operators.
    """

    score_norms = ("layers.{}.self_attn.q_norm.weight", "layers.{}.self_attn.k_norm.weight")
    rotary_class = ("qwen3", "Qwen3RotaryEmbedding")


class Olmo2(Llama):
    """Decoders of Walsh et al. (2024), https://arxiv.org/abs/2501.00656.

    Queries and keys are normalised across all heads; the gammas are part of the operators.
    """

    norm_tensor = None
    score_norms = Qwen3.score_norms
    whole_width = True
    rotary_class = ("olmo2", "Olmo2RotaryEmbedding")

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Norms after attention as well."""
        return {**NORM_AFTER, **super().refusals(config)}


class Phi(Llama):
    """Decoders of Li et al. (2023), https://arxiv.org/abs/2309.05463.

    Rotary positions turn the first coordinates of a head only. `qk_layernorm` is refused: a
    LayerNorm takes a mean off each query, which no fixed operator does.
    """

    handled = Llama.handled | {"partial_rotary_factor"}
    ignored = Llama.ignored | AUTHORS_CODE
    tensors = (*Llama.tensors[:3], "layers.{}.self_attn.dense.weight")
    centred = True
    rotary_class = ("phi", "PhiRotaryEmbedding")
