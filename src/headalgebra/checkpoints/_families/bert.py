"""BERT and its renamings: separate Linear weights [out, in], norms after attention."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._family import SeparateProjections
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING, OFF
from headalgebra.checkpoints._families._refusals import NO_ROTARY, NORM_AFTER


class Bert(SeparateProjections):
    """Encoders of Devlin et al. (2018), https://arxiv.org/abs/1810.04805, RoBERTa and the like.

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


class Electra(Bert):
    """Encoders of Clark et al. (2020), https://arxiv.org/abs/2003.10555.

    Token embeddings may be narrower than the residual stream that attention reads.
    """

    ignored = Bert.ignored | {
        "embedding_size",
        "summary_activation",
        "summary_last_dropout",
        "summary_type",
        "summary_use_proj",
    }


class DistilBert(Bert):
    """Encoders of Sanh et al. (2019), https://arxiv.org/abs/1910.01108."""

    handled = frozenset({"dim", "initializer_range", "n_heads", "n_layers"})
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "activation",
            "dropout",
            "hidden_dim",
            "qa_dropout",
            "seq_classif_dropout",
            "sinusoidal_pos_embds",
            "tie_weights_",
        }
    )
    sizes: ClassVar[Mapping[str, str]] = {"layers": "n_layers", "heads": "n_heads", "width": "dim"}
    tensors = (
        "transformer.layer.{}.attention.q_lin.weight",
        "transformer.layer.{}.attention.k_lin.weight",
        "transformer.layer.{}.attention.v_lin.weight",
        "transformer.layer.{}.attention.out_lin.weight",
    )
