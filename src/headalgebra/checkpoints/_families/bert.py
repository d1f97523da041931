"""BERT: separate Linear weights [out, in], norms after attention."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._family import (
    BLOCK,
    BOOKKEEPING,
    NO_ROTARY,
    NORM_AFTER,
    OFF,
    SeparateProjections,
)


class Bert(SeparateProjections):
    """Encoders of Devlin et al. (2018), https://arxiv.org/abs/1810.04805.

    Positions are added to the token embeddings; the relative variants, which put a position
    term inside the attention scores, are refused. `is_decoder` only masks the scores.
    """

    handled = frozenset(
        {"hidden_size", "initializer_range", "num_attention_heads", "num_hidden_layers"}
    )
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "attention_probs_dropout_prob",
            "directionality",
            "hidden_dropout_prob",
            "is_decoder",
            "pooler_fc_size",
            "pooler_num_attention_heads",
            "pooler_num_fc_layers",
            "pooler_size_per_head",
            "pooler_type",
            "type_vocab_size",
        }
    )
    harmless = OFF | {"position_embedding_type": "absolute"}
    sizes: ClassVar[Mapping[str, str]] = {
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "width": "hidden_size",
    }
    tensors = (
        "encoder.layer.{}.attention.self.query.weight",
        "encoder.layer.{}.attention.self.key.weight",
        "encoder.layer.{}.attention.self.value.weight",
        "encoder.layer.{}.attention.output.dense.weight",
    )

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No norm in front, no rotary positions."""
        return NORM_AFTER | NO_ROTARY
