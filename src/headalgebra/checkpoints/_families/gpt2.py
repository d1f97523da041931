"""GPT-2: queries, keys and values side by side in one Conv1D weight [in, out]."""

from collections.abc import Mapping
from typing import Any

from headalgebra.checkpoints._families._attention import (
    AttentionShape,
    HeadSlices,
    Norm,
    Projection,
)
from headalgebra.checkpoints._families._family import Family, attention_shape
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING
from headalgebra.checkpoints._families._layouts import side_by_side
from headalgebra.checkpoints._families._refusals import NO_ROTARY


class Gpt2(Family):
    """Decoders of Radford et al. (2019), "Language models are unsupervised multitask learners".

    `reorder_and_upcast_attn` changes the precision in which scores are computed, no more.
    """

    handled = frozenset(
        {
            "initializer_range",
            "n_embd",
            "n_head",
            "n_layer",
            "scale_attn_by_inverse_layer_idx",
            "scale_attn_weights",
        }
    )
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "n_ctx",
            "n_positions",
            "n_special",
            "predict_special_tokens",
            "reorder_and_upcast_attn",
            "summary_activation",
            "summary_first_dropout",
            "summary_proj_to_labels",
            "summary_type",
            "summary_use_proj",
        }
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Heads of equal width, a key each."""
        return attention_shape(config, where, layers="n_layer", heads="n_head", width="n_embd")

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Columns h*r to (h+1)*r for the queries, d and 2d further right for keys and values."""
        d, r = shape.d_model, shape.d_head
        std = float(config.initializer_range)
        queries, keys, values = (
            Projection(
                HeadSlices(
                    tensor=f"h.{layer}.attn.c_attn.weight",
                    shape=(d, 3 * d),
                    head_axis=1,
                    starts=side_by_side(shape.n_heads, r, first),
                    width=r,
                ),
                std,
            )
            for first in (0, d, 2 * d)
        )
        outputs = HeadSlices(
            tensor=f"h.{layer}.attn.c_proj.weight",
            shape=(d, d),
            head_axis=0,
            starts=side_by_side(shape.n_heads, r),
            width=r,
        )
        # Narrower, so that the residual stream does not widen with depth.
        return queries, keys, values, Projection(outputs, std / (2 * shape.n_layers) ** 0.5)

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """Optionally r^(-1/2), optionally smaller in later layers."""
        scale = shape.d_head**-0.5 if config.scale_attn_weights else 1.0
        return float(scale / (layer + 1) if config.scale_attn_by_inverse_layer_idx else scale)

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """A LayerNorm."""
        return Norm(f"h.{layer}.ln_1.weight", shape.d_model, centred=True)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions."""
        return NO_ROTARY
