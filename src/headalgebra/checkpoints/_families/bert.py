"""BERT: separate query and key matrices, Linear weights [out, in]."""

from typing import Any

from headalgebra.checkpoints._families._family import (
    BOOKKEEPING,
    OFF,
    AttentionShape,
    Family,
    HeadSlices,
    equal_heads,
)


class Bert(Family):
    """Encoders of Devlin et al. (2018), https://arxiv.org/abs/1810.04805.

    Positions are added to the token embeddings; the relative variants, which put a position
    term inside the attention scores, are refused. `is_decoder` only masks the scores.
    """

    handled = frozenset(
        {"hidden_size", "initializer_range", "num_attention_heads", "num_hidden_layers"}
    )
    ignored = BOOKKEEPING | {
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "directionality",
        "hidden_act",
        "hidden_dropout_prob",
        "intermediate_size",
        "is_decoder",
        "layer_norm_eps",
        "max_position_embeddings",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
        "type_vocab_size",
    }
    harmless = OFF | {"position_embedding_type": "absolute"}

    def attention_shape(self, config: Any, where: str) -> AttentionShape:
        """Heads of equal width, a key each."""
        return equal_heads(
            config,
            where,
            layers="num_hidden_layers",
            heads="num_attention_heads",
            width="hidden_size",
        )

    def head_slices(self, shape: AttentionShape, layer: int) -> tuple[HeadSlices, HeadSlices]:
        """Rows h*r to (h+1)*r of either matrix."""
        starts = tuple(range(0, shape.d_model, shape.d_head))
        queries, keys = (
            HeadSlices(
                tensor=f"encoder.layer.{layer}.attention.self.{projection}.weight",
                shape=(shape.d_model, shape.d_model),
                head_axis=0,
                starts=starts,
            )
            for projection in ("query", "key")
        )
        return queries, keys

    def initial_std(self, config: Any) -> float:
        """Every Linear weight starts from a normal law of this width."""
        return float(config.initializer_range)
