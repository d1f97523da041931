"""Falcon: one Linear weight [out, in] in three layouts."""

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
from headalgebra.checkpoints._families._keys import AUTHORS_CODE, BLOCK, BOOKKEEPING, ROTARY
from headalgebra.checkpoints._families._layouts import (
    fused_block_by_block,
    fused_head_by_head,
    fused_rows,
    output_columns,
)
from headalgebra.checkpoints._families._refusals import NO_ROTARY, rope_refusals


class Falcon(Family):
    """Decoders of Almazrouei et al. (2023), https://arxiv.org/abs/2311.16867.

    Groups of heads with their key and value (`new_decoder_architecture`), all heads with one key
    and value (`multi_query`), or a key and value beside each head.
    """

    handled = ROTARY | {
        "alibi",
        "hidden_size",
        "initializer_range",
        "multi_query",
        "n_embed",
        "new_decoder_architecture",
        "num_attention_heads",
        "num_hidden_layers",
        "num_kv_heads",
        "num_ln_in_parallel_attn",
        "parallel_attn",
    }
    ignored = (
        BOOKKEEPING
        | BLOCK
        | AUTHORS_CODE
        | {
            "activation",
            "apply_residual_connection_post_layernorm",
            "bias",
            "ffn_hidden_size",
        }
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Groups, one key, or a key each."""
        sizes = {
            "layers": "num_hidden_layers",
            "heads": "num_attention_heads",
            "width": "hidden_size",
        }
        if config.new_decoder_architecture:
            sizes["kv_heads"] = "num_kv_heads"
        shape = attention_shape(config, where, **sizes)
        if config.multi_query and not config.new_decoder_architecture:
            return AttentionShape(shape.n_layers, shape.n_heads, 1, shape.d_model, shape.d_head)
        return shape

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Rows as the layout has them."""
        std = float(config.initializer_range)
        fused = f"h.{layer}.self_attention.query_key_value.weight"
        if config.new_decoder_architecture:
            n_groups, n_shared, r = (
                shape.n_kv_heads,
                shape.n_heads // shape.n_kv_heads,
                shape.d_head,
            )
            # A group has its queries, then a key, then a value.
            groups = [group * (n_shared + 2) * r for group in range(n_groups)]
            queries = tuple(group + head * r for group in groups for head in range(n_shared))
            keys = tuple(group + n_shared * r for group in groups)
            values = tuple(group + (n_shared + 1) * r for group in groups)
            d_out = (shape.n_heads + 2 * n_groups) * r
            three = fused_rows(fused, shape, d_out, (queries, keys, values), std)
        elif config.multi_query:
            three = fused_block_by_block(fused, shape, std)
        else:
            three = fused_head_by_head(fused, shape, std)
        outputs = output_columns(f"h.{layer}.self_attention.dense.weight", shape)
        return (*three, Projection(outputs, std))

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """A LayerNorm, attention's own where the perceptron beside it has another."""
        own = (
            config.new_decoder_architecture
            and config.parallel_attn
            and config.num_ln_in_parallel_attn in (None, 2)
        )
        name = "ln_attn" if own else "input_layernorm"
        return Norm(f"h.{layer}.{name}.weight", shape.d_model, centred=True)

    def rotary(self, config: Any, layer: int) -> Rotary | None:
        """Over the whole head, unless positions are ALiBi's."""
        return None if config.alibi else rotary_of("falcon", "FalconRotaryEmbedding", config)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """ALiBi, or rotations that depend on the sequence length."""
        return NO_ROTARY if config.alibi else rope_refusals(config.rope_parameters)
