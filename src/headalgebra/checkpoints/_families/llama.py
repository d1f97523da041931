"""Llama and those built like it: separate Linear weights [out, in], grouped keys, rotary."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families._attention import AttentionShape, Rotary, rotary_of
from headalgebra.checkpoints._families._family import SeparateProjections
from headalgebra.checkpoints._families._keys import (
    BLOCK,
    BOOKKEEPING,
    EXPERTS,
    OFF,
    ROTARY,
)
from headalgebra.checkpoints._families._refusals import rope_refusals


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

    def rotary(self, config: Any, layer: int) -> Rotary | None:
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


class Qwen2Moe(Qwen2):
    """Decoders of the Qwen team (2024), "Qwen1.5-MoE", with experts in place of perceptrons."""

    ignored = Qwen2.ignored | EXPERTS | {"qkv_bias"}
    rotary_class = ("qwen2_moe", "Qwen2MoeRotaryEmbedding")


class Qwen3Moe(Qwen3):
    """Decoders of Yang et al. (2025), https://arxiv.org/abs/2505.09388, with experts."""

    ignored = Qwen3.ignored | EXPERTS
    rotary_class = ("qwen3_moe", "Qwen3MoeRotaryEmbedding")


class Qwen2Vl(Qwen2):
    """Text parts of Wang et al. (2024), https://arxiv.org/abs/2409.12191.

    A token has three positions, each of which turns pairs of its own. They differ only within
    images: an offset is one in text, where they are the same. Heads share the width of the residual
    stream equally.
    """

    handled = Qwen2.handled - {"head_dim"}
    # Keys of the whole model, which older releases wrote beside those of its text part.
    ignored = Qwen2.ignored | {
        "image_token_id",
        "video_token_id",
        "vision_config",
        "vision_end_token_id",
        "vision_start_token_id",
        "vision_token_id",
    }
    sizes: ClassVar[Mapping[str, str]] = {
        name: key for name, key in Llama.sizes.items() if name != "head_width"
    }
    rotary_class = ("qwen2_vl", "Qwen2VLRotaryEmbedding")


class Qwen25Vl(Qwen2Vl):
    """Text parts of Bai et al. (2025), https://arxiv.org/abs/2502.13923.

    Positions are those of Qwen2-VL.
    """

    rotary_class = ("qwen2_5_vl", "Qwen2_5_VLRotaryEmbedding")


class GptOss(Llama):
    """Decoders of OpenAI (2025), https://arxiv.org/abs/2508.10925.

    In the softmax each head has a sink, a score that depends on no token; it is no part of the
    operators. Some layers see a window of the sequence only, which masks scores.
    """

    ignored = Llama.ignored | EXPERTS | {"layer_types", "swiglu_alpha", "swiglu_limit"}
    rotary_class = ("gpt_oss", "GptOssRotaryEmbedding")


class Granite(Llama):
    """Decoders of the Granite team (2024), "Granite 3.0 language models".

    Scores are scaled by a number given for it, whatever the width of the heads. Other multipliers
    act on embeddings, on what a block writes, and on logits.
    """

    handled = Llama.handled | {"attention_multiplier"}
    ignored = Llama.ignored | {"embedding_multiplier", "logits_scaling", "residual_multiplier"}
    rotary_class = ("granite", "GraniteRotaryEmbedding")

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """Of the configuration."""
        return float(config.attention_multiplier)


class StarCoder2(Llama):
    """Decoders of Lozhkov et al. (2024), https://arxiv.org/abs/2402.19173."""

    ignored = Llama.ignored | {
        "attention_softmax_in_fp32",
        "embedding_dropout",
        "norm_epsilon",
        "residual_dropout",
        "scale_attention_softmax_in_fp32",
        "use_bias",
    }
    harmless = OFF | {"mlp_type": "default", "norm_type": "layer_norm", "scale_attn_weights": True}
    centred = True
    rotary_class = ("starcoder2", "Starcoder2RotaryEmbedding")


class SmolLm3(Llama):
    """Decoders of Hugging Face (2025), "SmolLM3".

    Some layers have no rotary positions: an offset changes nothing there.
    """

    handled = Llama.handled | {"no_rope_layer_interval", "no_rope_layers"}
    ignored = Llama.ignored | {"layer_types"}
    rotary_class = ("smollm3", "SmolLM3RotaryEmbedding")

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes, where every layer is said to have rotary positions or not."""
        shape = super().shape(config, where)
        if len(config.no_rope_layers) != shape.n_layers:
            raise CheckpointError(
                where,
                f"no_rope_layers has {len(config.no_rope_layers)} entries for {shape.n_layers} "
                "layers",
                "give one for each layer: 1 with rotary positions, 0 without",
            )
        return shape

    def rotary(self, config: Any, layer: int) -> Rotary | None:
        """Where the list has a 1, whatever its name says."""
        return super().rotary(config, layer) if config.no_rope_layers[layer] else None
