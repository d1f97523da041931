"""BERT and its renamings: separate Linear weights [out, in], norms after attention."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families._attention import AttentionShape, Rotary, rotary_of
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


class MpNet(Bert):
    """Encoders of Song et al. (2020), https://arxiv.org/abs/2004.09297.

    Relative positions, the same in every layer, add a term to the scores, which is no part of the
    operators.
    """

    ignored = Bert.ignored | {"relative_attention_num_buckets"}
    tensors = (
        "encoder.layer.{}.attention.attn.q.weight",
        "encoder.layer.{}.attention.attn.k.weight",
        "encoder.layer.{}.attention.attn.v.weight",
        "encoder.layer.{}.attention.attn.o.weight",
    )


class Albert(Bert):
    """Encoders of Lan et al. (2019), https://arxiv.org/abs/1909.11942.

    Layers share their weights. Those read here are the distinct ones: `inner_group_num` of each of
    `num_hidden_groups`, which is one in all published models, however often it is applied.
    """

    handled = Bert.handled | {"inner_group_num", "num_hidden_groups"}
    ignored = Electra.ignored | {"classifier_dropout_prob"}
    tensors = (
        "encoder.albert_layer_groups.{}.attention.query.weight",
        "encoder.albert_layer_groups.{}.attention.key.weight",
        "encoder.albert_layer_groups.{}.attention.value.weight",
        "encoder.albert_layer_groups.{}.attention.dense.weight",
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes of the distinct layers."""
        shape = super().shape(config, where)
        groups, each = config.num_hidden_groups, config.inner_group_num
        if not 1 <= groups <= shape.n_layers or each < 1:
            raise CheckpointError(
                where,
                f"num_hidden_groups is {groups} and inner_group_num {each} for {shape.n_layers} "
                "layers",
                "give one group at least, one layer in it, and no more groups than layers",
            )
        return replace(shape, n_layers=groups * each)

    def place(self, config: Any, layer: int) -> str:
        """The group, and the number in it."""
        group, number = divmod(layer, config.inner_group_num)
        return f"{group}.albert_layers.{number}"


class Esm(Bert):
    """Encoders of proteins by Lin et al. (2022), https://doi.org/10.1126/science.ade2574.

    The norm stands in front of attention. Positions are rotary, or added to the token embeddings;
    the models that fold proteins are refused.
    """

    handled = Bert.handled | {"position_embedding_type", "rope_theta"}
    ignored = Bert.ignored | {
        "emb_layer_norm_before",
        "mask_token_id",
        "token_dropout",
        "vocab_list",
    }
    harmless = OFF
    norm_tensor = "encoder.layer.{}.attention.LayerNorm.weight"
    centred = True

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes, where positions are of a known kind."""
        kind = config.position_embedding_type
        if kind not in ("absolute", "rotary"):
            raise CheckpointError(
                where,
                f"position_embedding_type is {kind!r}, and how that changes scores is not known",
                "use a checkpoint whose positions are absolute or rotary",
            )
        return super().shape(config, where)

    def rotary(self, config: Any, layer: int) -> Rotary | None:
        """Of whole heads, if any."""
        if config.position_embedding_type != "rotary":
            return None
        return rotary_of("esm", "EsmRotaryEmbedding", config)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Added positions are no rotary ones."""
        return {} if config.position_embedding_type == "rotary" else NO_ROTARY
