"""Llama 4: Llama's layout, norms without weights after the rotation."""

from typing import Any

from headalgebra.checkpoints._families._attention import Rotary, rotary_of
from headalgebra.checkpoints._families._keys import EXPERTS
from headalgebra.checkpoints._families.llama import SmolLm3


class Llama4(SmolLm3):
    """Text decoders of Meta (2025), "The Llama 4 herd".

    Rotary pairs are neighbours; some layers have none. Where they turn, queries and keys are
    divided by their size, which is no part of the operators. Elsewhere late queries are multiplied
    by a number that grows with their position: 1 for the first tokens, and no part of them either.
    """

    ignored = (
        SmolLm3.ignored
        | EXPERTS
        | {
            "attention_chunk_size",
            "attn_scale",
            "attn_temperature_tuning",
            "floor_scale",
            "for_llm_compressor",
            "interleave_moe_layer_step",
            "intermediate_size_mlp",
            "moe_layers",
            "use_qk_norm",
        }
    )
    rotary_class = ("llama4", "Llama4TextRotaryEmbedding")

    def rotary(self, config: Any, layer: int) -> Rotary | None:
        """Pairs (0,1), (2,3), ... where the list has a 1."""
        if not config.no_rope_layers[layer]:
            return None
        return rotary_of(*self.rotary_class, config, interleaved=True)
