"""GPT-BigCode: one Linear weight [out, in], one key for all heads or one beside each."""

from collections.abc import Mapping
from typing import Any

from headalgebra.checkpoints._families._attention import AttentionShape, Norm, Projection
from headalgebra.checkpoints._families._family import Family, attention_shape
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING
from headalgebra.checkpoints._families._layouts import (
    fused_block_by_block,
    fused_head_by_head,
    output_columns,
)
from headalgebra.checkpoints._families._refusals import NO_ROTARY


class GptBigCode(Family):
    """Decoders of Ben Allal et al. (2023), https://arxiv.org/abs/2301.03988.

    `num_key_value_heads` follows from `multi_query`.
    """

    handled = frozenset(
        {"initializer_range", "multi_query", "n_embd", "n_head", "n_layer", "scale_attn_weights"}
    )
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "attention_softmax_in_fp32",
            "inference_runner",
            "max_batch_size",
            "max_sequence_length",
            "n_positions",
            "num_key_value_heads",
            "pad_key_length",
            "pre_allocate_kv_cache",
            "scale_attention_softmax_in_fp32",
            "summary_activation",
            "summary_first_dropout",
            "summary_proj_to_labels",
            "summary_type",
            "summary_use_proj",
            "validate_runner_input",
        }
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Heads of equal width, with one key or a key each."""
        shape = attention_shape(config, where, layers="n_layer", heads="n_head", width="n_embd")
        n_kv_heads = 1 if config.multi_query else shape.n_heads
        return AttentionShape(
            shape.n_layers, shape.n_heads, n_kv_heads, shape.d_model, shape.d_head
        )

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Rows of all queries, the key, the value; or of each head in turn."""
        std = float(config.initializer_range)
        layout = fused_block_by_block if config.multi_query else fused_head_by_head
        outputs = output_columns(f"h.{layer}.attn.c_proj.weight", shape)
        return (
            *layout(f"h.{layer}.attn.c_attn.weight", shape, std),
            # Narrower, so that the residual stream does not widen with depth.
            Projection(outputs, std / (2 * shape.n_layers) ** 0.5),
        )

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """Optionally r^(-1/2)."""
        return float(shape.d_head**-0.5) if config.scale_attn_weights else 1.0

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """A LayerNorm."""
        return Norm(f"h.{layer}.ln_1.weight", shape.d_model, centred=True)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions."""
        return NO_ROTARY
