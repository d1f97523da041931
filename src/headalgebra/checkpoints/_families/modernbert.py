"""ModernBERT: all queries, all keys, all values below one another in one Linear weight."""

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
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING, OFF, ROTARY
from headalgebra.checkpoints._families._layouts import fused_block_by_block, output_columns
from headalgebra.checkpoints._families._refusals import rope_refusals


class ModernBert(Family):
    """Encoders of Warner et al. (2024), https://arxiv.org/abs/2412.13663.

    The first layer reads the normalised embeddings as they are, so there is no norm to fold in it.
    Layers that see a window of the sequence rotate faster than the others. Weights start from a
    normal law that is cut off.
    """

    handled = ROTARY | {
        "global_attn_every_n_layers",
        "global_rope_theta",
        "hidden_size",
        "layer_types",
        "local_rope_theta",
        "num_attention_heads",
        "num_hidden_layers",
    }
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "classifier_activation",
            "classifier_bias",
            "classifier_pooling",
            "cls_token_id",
            "decoder_bias",
            "deterministic_flash_attn",
            "embedding_dropout",
            "initializer_cutoff_factor",
            "local_attention",
            "mlp_dropout",
            "norm_bias",
            "norm_eps",
            "reference_compile",
            "repad_logits_with_grad",
            "sparse_pred_ignore_index",
            "sparse_prediction",
        }
    )
    harmless = OFF | {"position_embedding_type": "absolute"}

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
        """Three blocks of d rows."""
        outputs = output_columns(f"layers.{layer}.attn.Wo.weight", shape)
        return (
            *fused_block_by_block(f"layers.{layer}.attn.Wqkv.weight", shape, None),
            Projection(outputs, None),
        )

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm | None:
        """A LayerNorm, but for the first layer."""
        if layer == 0:
            return None
        return Norm(f"layers.{layer}.attn_norm.weight", shape.d_model, centred=True)

    def rotary(self, config: Any, layer: int) -> Rotary:
        """As the kind of the layer has it."""
        kind = config.layer_types[layer]
        return rotary_of("modernbert", "ModernBertRotaryEmbedding", config, layer_type=kind)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Rotations of either kind of layer that depend on the sequence length."""
        return rope_refusals(*(config.rope_parameters[kind] for kind in set(config.layer_types)))
