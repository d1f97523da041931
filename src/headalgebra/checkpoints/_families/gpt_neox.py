"""GPT-NeoX: each head's queries, keys and values together in one Linear weight [out, in]."""

from collections.abc import Mapping
from typing import Any

from headalgebra.checkpoints._families._attention import (
    AttentionShape,
    Norm,
    Projection,
    Rotary,
    rotary_of,
)
from headalgebra.checkpoints._families._family import Family, attention_shape
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING, ROTARY
from headalgebra.checkpoints._families._layouts import fused_head_by_head, output_columns
from headalgebra.checkpoints._families._refusals import rope_refusals


class GptNeoX(Family):
    """Decoders of Black et al. (2022), https://arxiv.org/abs/2204.06745, Pythia among them.

    Rotary positions turn the first coordinates of a head only.
    """

    handled = ROTARY | {
        "hidden_size",
        "initializer_range",
        "num_attention_heads",
        "num_hidden_layers",
        "rotary_emb_base",
        "rotary_pct",
    }
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "attention_probs_dropout_prob",
            "hidden_dropout_prob",
            "is_decoder",
            "use_parallel_residual",
        }
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Heads of equal width, a key each."""
        return attention_shape(
            config,
            where,
            layers="num_hidden_layers",
            heads="num_attention_heads",
            width="hidden_size",
        )

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Rows 3hr to 3hr + r for the queries, r and 2r further down for keys and values."""
        std = float(config.initializer_range)
        outputs = output_columns(f"layers.{layer}.attention.dense.weight", shape)
        return (
            *fused_head_by_head(f"layers.{layer}.attention.query_key_value.weight", shape, std),
            Projection(outputs, std),
        )

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """A LayerNorm."""
        return Norm(f"layers.{layer}.input_layernorm.weight", shape.d_model, centred=True)

    def rotary(self, config: Any, layer: int) -> Rotary:
        """Over a part of each head."""
        return rotary_of("gpt_neox", "GPTNeoXRotaryEmbedding", config)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Rotations that depend on the sequence length."""
        return rope_refusals(config.rope_parameters)
