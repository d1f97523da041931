"""Llama and those built like it: separate Linear weights [out, in], grouped keys, rotary."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import AttentionShape, Norm, Rotary
from headalgebra.checkpoints._families._family import (
    BLOCK,
    BOOKKEEPING,
    ROTARY,
    SeparateProjections,
    rope_refusals,
    rotary_of,
)


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
    rotary_class: ClassVar[tuple[str, str]] = ("llama", "LlamaRotaryEmbedding")

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """An RMSNorm."""
        return Norm(f"layers.{layer}.input_layernorm.weight", shape.d_model)

    def rotary(self, config: Any, layer: int) -> Rotary:
        """Over the whole head."""
        return rotary_of(*self.rotary_class, config)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Rotations that depend on the sequence length."""
        return rope_refusals(config.rope_parameters)


class Mistral(Llama):
    """Decoders of Jiang et al. (2023), https://arxiv.org/abs/2310.06825."""

    rotary_class = ("mistral", "MistralRotaryEmbedding")


class Mixtral(Llama):
    """Decoders of Jiang et al. (2024), https://arxiv.org/abs/2401.04088.

    Attention has no experts.
    """

    ignored = Llama.ignored | {
        "num_experts_per_tok",
        "num_local_experts",
        "output_router_logits",
        "router_aux_loss_coef",
        "router_jitter_noise",
    }
    rotary_class = ("mixtral", "MixtralRotaryEmbedding")


class Qwen2(Llama):
    """Decoders of Yang et al. (2024), https://arxiv.org/abs/2407.10671.

    Some layers may see a window of the sequence only, which masks scores.
    """

    ignored = Llama.ignored | {"layer_types"}
    rotary_class = ("qwen2", "Qwen2RotaryEmbedding")
