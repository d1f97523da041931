"""Gemma: Llama's layout, norms that multiply by 1 + gamma."""

from collections.abc import Mapping
from typing import Any

from headalgebra.checkpoints._families._attention import AttentionShape, Rotary, rotary_of
from headalgebra.checkpoints._families._refusals import rope_refusals
from headalgebra.checkpoints._families.llama import Llama


class Gemma(Llama):
    """Decoders of the Gemma team (2024), https://arxiv.org/abs/2403.08295."""

    ignored = Llama.ignored | {"use_bidirectional_attention"}
    plus_one = True
    rotary_class = ("gemma", "GemmaRotaryEmbedding")


class Gemma2(Gemma):
    """Decoders of the Gemma team (2024), https://arxiv.org/abs/2408.00118.

    The scores are bent by a hyperbolic tangent after they are scaled, and what attention writes
    is normalised; neither is part of the operators.
    """

    handled = Gemma.handled | {"query_pre_attn_scalar"}
    ignored = Gemma.ignored | {
        "attn_logit_softcapping",
        "cache_implementation",
        "final_logit_softcapping",
        "layer_types",
        "sliding_window_size",
    }
    rotary_class = ("gemma2", "Gemma2RotaryEmbedding")

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """Of a number given for it, whatever the width of the heads."""
        return float(config.query_pre_attn_scalar**-0.5)


class Gemma3(Gemma2):
    """Text decoders of the Gemma team (2025), https://arxiv.org/abs/2503.19786.

    Queries and keys are normalised head by head; the gammas are part of the operators. Layers
    that see a window of the sequence rotate faster than the others.
    """

    handled = Gemma2.handled | {"layer_types", "rope_local_base_freq", "sliding_window_pattern"}
    # A copy of the pattern that only completes layer_types, which are written beside it.
    ignored = Gemma2.ignored | {"_sliding_window_pattern"}
    score_norms = ("layers.{}.self_attn.q_norm.weight", "layers.{}.self_attn.k_norm.weight")

    def rotary(self, config: Any, layer: int) -> Rotary:
        """As the kind of the layer has it."""
        kind = config.layer_types[layer]
        return rotary_of("gemma3", "Gemma3RotaryEmbedding", config, layer_type=kind)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Rotations of either kind of layer that depend on the sequence length."""
        return rope_refusals(*(config.rope_parameters[kind] for kind in set(config.layer_types)))
