"""DeBERTa: separate Linear weights [out, in], norms after attention."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import AttentionShape
from headalgebra.checkpoints._families.bert import Bert


class DebertaV2(Bert):
    """Encoders of He et al. (2020), https://arxiv.org/abs/2006.03654, versions 2 and 3.

    A head's score is the sum of up to three terms: one of two tokens, and one of either token with
    the other's relative position. The operators here are those of the first. The scale is that of
    their sum, (r (1 + n))^-1/2 for n terms of positions.
    """

    handled = Bert.handled | {"attention_head_size", "pos_att_type"}
    ignored = Bert.ignored | {
        "conv_act",
        "conv_groups",
        "conv_kernel_size",
        "embedding_size",
        "legacy",
        "max_relative_positions",
        "norm_rel_ebd",
        "pooler_dropout",
        "pooler_hidden_act",
        "pooler_hidden_size",
        "position_biased_input",
        "position_buckets",
        "relative_attention",
        "share_att_key",
    }
    sizes: ClassVar[Mapping[str, str]] = {
        **Bert.sizes,
        "head_width": "attention_head_size",
    }
    tensors = (
        "encoder.layer.{}.attention.self.query_proj.weight",
        "encoder.layer.{}.attention.self.key_proj.weight",
        "encoder.layer.{}.attention.self.value_proj.weight",
        "encoder.layer.{}.attention.output.dense.weight",
    )

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """Of the number of terms, whether or not positions have any effect."""
        terms = 1 + len({"c2p", "p2c"} & {*(config.pos_att_type or ())})
        return float((shape.d_head * terms) ** -0.5)
