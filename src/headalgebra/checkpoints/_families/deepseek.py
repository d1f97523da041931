"""DeepSeek: queries, keys and values by way of narrow latent spaces."""

import math
from collections.abc import Mapping
from typing import Any

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families._attention import (
    AttentionShape,
    HeadSlices,
    Norm,
    Projection,
)
from headalgebra.checkpoints._families._family import Family, attention_shape
from headalgebra.checkpoints._families._keys import (
    AUTHORS_CODE,
    BLOCK,
    BOOKKEEPING,
    EXPERTS,
    ROTARY,
)
from headalgebra.checkpoints._families._layouts import rows, side_by_side


class DeepSeek(Family):
    """Decoders of DeepSeek-AI (2024), https://arxiv.org/abs/2405.04434 and 2412.19437.

    A head's score is the sum of two operators' scores: a content part, and a rotary part whose key
    all heads share. The operators here are the content parts, of width `qk_nope_head_dim`. The
    norms of the latent spaces leave their gammas in the operators, the division by the size of a
    token's latent vector not.
    """

    handled = ROTARY | {
        "hidden_size",
        "initializer_range",
        "kv_lora_rank",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "q_lora_rank",
        "qk_nope_head_dim",
        "qk_rope_head_dim",
        "v_head_dim",
    }
    ignored = (
        BOOKKEEPING
        | BLOCK
        | EXPERTS
        | AUTHORS_CODE
        | {
            "aux_loss_alpha",
            "ep_size",
            "head_dim",
            "moe_layer_freq",
            "num_mtp_layers",
            "num_nextn_predict_layers",
            "pretraining_tp",
            "qk_head_dim",
            "rope_interleave",
            "scoring_func",
            "seq_aux",
        }
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """A key for each head, made from the shared latent vector."""
        shape = attention_shape(
            config,
            where,
            layers="num_hidden_layers",
            heads="num_attention_heads",
            kv_heads="num_key_value_heads",
            width="hidden_size",
            head_width="qk_nope_head_dim",
        )
        if shape.n_kv_heads != shape.n_heads:
            raise CheckpointError(
                where,
                f"num_key_value_heads is {shape.n_kv_heads}, but each of the {shape.n_heads} "
                "heads has a key",
                "correct it",
            )
        return shape

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """The content rows of each head, read from the latent spaces."""
        d, n_heads, content, value = shape.d_model, shape.n_heads, shape.d_head, config.v_head_dim
        std, at = float(config.initializer_range), f"layers.{layer}.self_attn"
        whole, rank = content + config.qk_rope_head_dim, config.q_lora_rank
        query_starts = side_by_side(n_heads, whole)
        if rank is None:
            queries = Projection(
                rows(f"{at}.q_proj.weight", d, n_heads * whole, query_starts, content), std
            )
        else:
            queries = Projection(
                rows(f"{at}.q_b_proj.weight", rank, n_heads * whole, query_starts, content),
                std,
                latent=Projection(
                    rows(f"{at}.q_a_proj.weight", d, rank, (0,), rank),
                    std,
                    Norm(f"{at}.q_a_layernorm.weight", rank),
                ),
            )
        rank, pair = config.kv_lora_rank, content + value
        latent = Projection(
            rows(f"{at}.kv_a_proj_with_mqa.weight", d, rank + config.qk_rope_head_dim, (0,), rank),
            std,
            Norm(f"{at}.kv_a_layernorm.weight", rank),
        )
        keys, values = (
            Projection(
                rows(
                    f"{at}.kv_b_proj.weight",
                    rank,
                    n_heads * pair,
                    tuple(head * pair + first for head in range(n_heads)),
                    width,
                ),
                std,
                latent=latent,
            )
            for first, width in ((0, content), (content, value))
        )
        outputs = HeadSlices(
            f"{at}.o_proj.weight", (d, n_heads * value), 1, side_by_side(n_heads, value), value
        )
        return queries, keys, values, Projection(outputs, std)

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """Of the width of both parts, and larger where yarn stretches the context."""
        width, parameters = (
            config.qk_nope_head_dim + config.qk_rope_head_dim,
            config.rope_parameters,
        )
        stretch = parameters.get("mscale_all_dim") or 0.0
        if parameters["rope_type"] == "default" or parameters["factor"] <= 1:
            return float(width**-0.5)
        return float(width**-0.5 * (1 + 0.1 * stretch * math.log(parameters["factor"])) ** 2)

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """An RMSNorm."""
        return Norm(f"layers.{layer}.input_layernorm.weight", shape.d_model)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """The rotary positions are in the other part."""
        return {"rope_offset": "its content part has no rotary positions"}
