"""Qwen3-Next: Llama's layout in one layer out of several, with gates among the queries."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families._attention import AttentionShape, Projection
from headalgebra.checkpoints._families._keys import EXPERTS
from headalgebra.checkpoints._families._layouts import rows, side_by_side
from headalgebra.checkpoints._families.llama import Qwen3


class Qwen3Next(Qwen3):
    """Decoders of the Qwen team (2025), whose other layers have linear attention.

    Layers are numbered among those with full attention. Each head's output is multiplied by a
    gate that depends on the token, which is no part of the operators.
    """

    handled = Qwen3.handled | {"full_attention_interval", "layer_types", "partial_rotary_factor"}
    ignored = (
        Qwen3.ignored
        | EXPERTS
        | {
            "linear_conv_kernel_dim",
            "linear_key_head_dim",
            "linear_num_key_heads",
            "linear_num_value_heads",
            "linear_value_head_dim",
        }
    )
    plus_one = True
    rotary_class = ("qwen3_next", "Qwen3NextRotaryEmbedding")

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes of the layers with full attention."""
        n_layers = config.layer_types.count("full_attention")
        if n_layers == 0:
            raise CheckpointError(
                where, "layer_types has no full_attention", "correct it, or take another model"
            )
        return replace(super().shape(config, where), n_layers=n_layers)

    def numbers(self, config: Any, shape: AttentionShape) -> Sequence[int]:
        """Those of the layers with full attention."""
        return [i for i, kind in enumerate(config.layer_types) if kind == "full_attention"]

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Rows 2hr to 2hr + r for the queries; the gate lies r further down."""
        queries, keys, values, outputs = super().projections(config, shape, layer)
        r, width = shape.d_head, 2 * shape.n_heads * shape.d_head
        starts = side_by_side(shape.n_heads, 2 * r)
        heads = rows(queries.heads.tensor, shape.d_model, width, starts, r)
        return replace(queries, heads=heads), keys, values, outputs
