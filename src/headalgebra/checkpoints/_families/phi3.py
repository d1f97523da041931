"""Phi-3: all queries, all keys, all values below one another in one Linear weight [out, in]."""

from typing import Any

from headalgebra.checkpoints._families._attention import AttentionShape, Projection
from headalgebra.checkpoints._families._keys import AUTHORS_CODE
from headalgebra.checkpoints._families._layouts import fused_block_by_block, output_columns
from headalgebra.checkpoints._families.llama import Llama


class Phi3(Llama):
    """Decoders of Abdin et al. (2024), https://arxiv.org/abs/2404.14219."""

    handled = Llama.handled | {"original_max_position_embeddings", "partial_rotary_factor"}
    ignored = Llama.ignored | AUTHORS_CODE
    rotary_class = ("phi3", "Phi3RotaryEmbedding")

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """H blocks of queries, G of keys, G of values."""
        std = float(config.initializer_range)
        outputs = output_columns(f"layers.{layer}.self_attn.o_proj.weight", shape)
        return (
            *fused_block_by_block(f"layers.{layer}.self_attn.qkv_proj.weight", shape, std),
            Projection(outputs, std),
        )
