"""GPT-2: queries, keys and values side by side in one Conv1D weight [in, out]."""

from typing import Any

from headalgebra.checkpoints._families._family import (
    BOOKKEEPING,
    OFF,
    AttentionShape,
    Family,
    HeadSlices,
    equal_heads,
)


class Gpt2(Family):
    """Decoders of Radford et al. (2019), "Language models are unsupervised multitask learners".

    `scale_attn_weights` and `scale_attn_by_inverse_layer_idx` change the softmax scale alone,
    `reorder_and_upcast_attn` the precision in which scores are computed.
    """

    handled = frozenset({"initializer_range", "n_embd", "n_head", "n_layer"})
    ignored = BOOKKEEPING | {
        "activation_function",
        "attn_pdrop",
        "embd_pdrop",
        "layer_norm_epsilon",
        "n_ctx",
        "n_inner",
        "n_positions",
        "n_special",
        "predict_special_tokens",
        "reorder_and_upcast_attn",
        "resid_pdrop",
        "scale_attn_by_inverse_layer_idx",
        "scale_attn_weights",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
    }
    harmless = OFF

    def attention_shape(self, config: Any, where: str) -> AttentionShape:
        """Heads of equal width, a key each."""
        return equal_heads(config, where, layers="n_layer", heads="n_head", width="n_embd")

    def head_slices(self, shape: AttentionShape, layer: int) -> tuple[HeadSlices, HeadSlices]:
        """Columns h*r to (h+1)*r for the queries, d further right for the keys."""
        queries, keys = (
            HeadSlices(
                tensor=f"h.{layer}.attn.c_attn.weight",
                shape=(shape.d_model, 3 * shape.d_model),
                head_axis=1,
                starts=tuple(range(first, first + shape.d_model, shape.d_head)),
            )
            for first in (0, shape.d_model)
        )
        return queries, keys

    def initial_std(self, config: Any) -> float:
        """Conv1D weights start from a normal law of this width; only c_proj is narrower."""
        return float(config.initializer_range)
