"""GPT-J and CodeGen: rotary positions that pair neighbouring coordinates."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families._attention import (
    AttentionShape,
    Projection,
    Rotary,
)
from headalgebra.checkpoints._families._family import SeparateProjections
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING
from headalgebra.checkpoints._families._layouts import fused_rows, output_columns


class GptJ(SeparateProjections):
    """Decoders of Wang and Komatsuzaki (2021), "GPT-J-6B".

    Rotary positions turn the first `rotary_dim` coordinates of a head.
    """

    handled = frozenset({"initializer_range", "n_embd", "n_head", "n_layer", "rotary_dim"})
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "n_ctx",
            "n_positions",
            "rotary",
            "scale_attn_weights",
            "summary_activation",
            "summary_first_dropout",
            "summary_proj_to_labels",
            "summary_type",
            "summary_use_proj",
        }
    )
    sizes: ClassVar[Mapping[str, str]] = {"layers": "n_layer", "heads": "n_head", "width": "n_embd"}
    tensors = (
        "h.{}.attn.q_proj.weight",
        "h.{}.attn.k_proj.weight",
        "h.{}.attn.v_proj.weight",
        "h.{}.attn.out_proj.weight",
    )
    norm_tensor = "h.{}.ln_1.weight"
    centred = True

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Heads of equal width, a part of which turns."""
        shape = super().shape(config, where)
        if not 0 < config.rotary_dim <= shape.d_head or config.rotary_dim % 2:
            raise CheckpointError(
                where,
                f"rotary_dim is {config.rotary_dim}, but heads are {shape.d_head} wide",
                "give an even number no larger than that",
            )
        return shape

    def rotary(self, config: Any, layer: int) -> Rotary:
        """The frequencies of Su et al., which transformers tabulates for these two itself."""

        def frequencies() -> tuple[Tensor, float]:
            exponents = torch.arange(0, config.rotary_dim, 2) / config.rotary_dim
            return 1.0 / 10000**exponents, 1.0

        return Rotary(frequencies, interleaved=True)


class CodeGen(GptJ):
    """Decoders of Nijkamp et al. (2022), https://arxiv.org/abs/2203.13474.

    The weight keeps the four parts of the machine it was trained on: in each, the queries, then
    the values, then the keys of a quarter of the heads.
    """

    def shape(self, config: Any, where: str) -> AttentionShape:
        """A multiple of four heads."""
        shape = super().shape(config, where)
        if shape.n_heads % 4:
            raise CheckpointError(
                where, f"n_head is {shape.n_heads}", "give a multiple of 4, as the layout has it"
            )
        return shape

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Rows in four parts, in the order queries, values, keys."""
        std = float(config.initializer_range)
        quarter = shape.d_model // 4
        queries, values, keys = (
            tuple(
                start
                for part in range(4)
                for start in range(
                    (3 * part + block) * quarter, (3 * part + block + 1) * quarter, shape.d_head
                )
            )
            for block in range(3)
        )
        fused = f"h.{layer}.attn.qkv_proj.weight"
        return (
            *fused_rows(fused, shape, 3 * shape.d_model, (queries, keys, values), std),
            Projection(output_columns(f"h.{layer}.attn.out_proj.weight", shape), std),
        )
