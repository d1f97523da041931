"""OLMo: Llama's layout, with a norm that has no weights, or norms after attention."""

from collections.abc import Mapping
from typing import Any

from headalgebra.checkpoints._families._attention import AttentionShape, Norm, Rotary, rotary_of
from headalgebra.checkpoints._families._refusals import NORM_AFTER, rope_refusals
from headalgebra.checkpoints._families.llama import Llama, Qwen3


class Olmo(Llama):
    """Decoders of Groeneveld et al. (2024), https://arxiv.org/abs/2402.00838.

    The norm in front takes the mean off and has no gamma. `clip_qkv` is refused: queries and keys
    that are cut off are no linear maps of the residual stream.
    """

    rotary_class = ("olmo", "OlmoRotaryEmbedding")

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """A LayerNorm without weights."""
        return Norm("", shape.d_model, centred=True)


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


class Olmo3(Olmo2):
    """Decoders of the OLMo team (2025), "Olmo 3".

    Queries and keys are normalised as by its predecessor. Layers that see a window of the sequence
    may rotate at other frequencies than the others.
    """

    handled = Olmo2.handled | {"layer_types"}

    def rotary(self, config: Any, layer: int) -> Rotary:
        """As the kind of the layer has it."""
        kind = config.layer_types[layer]
        return rotary_of("olmo3", "Olmo3RotaryEmbedding", config, layer_type=kind)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Rotations of either kind of layer that depend on the sequence length."""
        kinds = set(config.layer_types)
        return NORM_AFTER | rope_refusals(*(config.rope_parameters[kind] for kind in kinds))
