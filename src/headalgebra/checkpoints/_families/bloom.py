"""BLOOM: each head's queries, keys and values together in one Linear weight [out, in]."""

from collections.abc import Mapping
from typing import Any

from headalgebra.checkpoints._families._attention import AttentionShape, Norm, Projection
from headalgebra.checkpoints._families._family import Family, attention_shape
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING
from headalgebra.checkpoints._families._layouts import fused_head_by_head, output_columns
from headalgebra.checkpoints._families._refusals import NO_ROTARY


class Bloom(Family):
    """Decoders of Le Scao et al. (2022), https://arxiv.org/abs/2211.05100.

    ALiBi adds a position term to the scores, which is no part of the operators.
    """

    handled = frozenset({"hidden_size", "initializer_range", "n_embed", "n_head", "n_layer"})
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "apply_residual_connection_post_layernorm",
            "attention_softmax_in_fp32",
            "bias_dropout_fusion",
            "masked_softmax_fusion",
            "offset_alibi",
            "pretraining_tp",
            "seq_length",
            "skip_bias_add",
            "skip_bias_add_qkv",
            "slow_but_exact",
            "unk_token_id",
        }
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Heads of equal width, a key each."""
        return attention_shape(config, where, layers="n_layer", heads="n_head", width="hidden_size")

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Rows 3hr to 3hr + r for the queries, r and 2r further down for keys and values."""
        std = float(config.initializer_range)
        outputs = output_columns(f"h.{layer}.self_attention.dense.weight", shape)
        return (
            *fused_head_by_head(f"h.{layer}.self_attention.query_key_value.weight", shape, std),
            Projection(outputs, std),
        )

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """A LayerNorm."""
        return Norm(f"h.{layer}.input_layernorm.weight", shape.d_model, centred=True)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions."""
        return NO_ROTARY
