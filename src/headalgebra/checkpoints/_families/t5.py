"""T5: separate Linear weights [out, in] in an encoder and a decoder."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import AttentionShape, Norm, Projection
from headalgebra.checkpoints._families._family import SeparateProjections
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING, OFF
from headalgebra.checkpoints._families._refusals import NO_ROTARY


class T5(SeparateProjections):
    """Encoder-decoders of Raffel et al. (2019), https://arxiv.org/abs/1910.10683.

    Layers are those of self-attention: first the encoder's, then the decoder's, numbered through.
    An encoder may be saved alone, though its configuration speaks of a decoder.
    Relative positions add a term to the scores, which is no part of the operators.
    """

    handled = frozenset(
        {
            "architectures",
            "d_kv",
            "d_model",
            "initializer_factor",
            "is_encoder_decoder",
            "num_decoder_layers",
            "num_heads",
            "num_layers",
        }
    )
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "d_ff",
            "decoder_start_token_id",
            "dense_act_fn",
            "dropout_rate",
            "feed_forward_proj",
            "is_gated_act",
            "n_positions",
            "relative_attention_max_distance",
            "relative_attention_num_buckets",
            "scale_decoder_outputs",
        }
    )
    optional = "decoder."
    sizes: ClassVar[Mapping[str, str]] = {
        "layers": "num_layers",
        "heads": "num_heads",
        "width": "d_model",
        "head_width": "d_kv",
    }
    tensors = (
        "encoder.block.{}.layer.0.SelfAttention.q.weight",
        "encoder.block.{}.layer.0.SelfAttention.k.weight",
        "encoder.block.{}.layer.0.SelfAttention.v.weight",
        "encoder.block.{}.layer.0.SelfAttention.o.weight",
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes of both stacks, or of the encoder where that is all."""
        shape = super().shape(config, where)
        saved_as = config.architectures or ()
        encoder = any(name.endswith("EncoderModel") for name in saved_as)
        if encoder or not config.is_encoder_decoder:
            return shape
        return replace(shape, n_layers=config.num_layers + config.num_decoder_layers)

    def initial_stds(
        self, config: Any, shape: AttentionShape
    ) -> tuple[float | None, float | None, float | None, float | None]:
        """Queries narrower by r^(-1/2), so that scores need no scale."""
        factor, d, r = config.initializer_factor, shape.d_model, shape.d_head
        std = factor * d**-0.5
        return std * r**-0.5, std, std, factor * (shape.n_heads * r) ** -0.5

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """In the stack that the layer belongs to."""
        stack, number = self._place(config, layer)
        queries, keys, values, outputs = (
            replace(
                side,
                heads=replace(side.heads, tensor=side.heads.tensor.replace("encoder", stack, 1)),
            )
            for side in super().projections(config, shape, number)
        )
        return queries, keys, values, outputs

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """None."""
        return 1.0

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """An RMSNorm, which starts from the factor of initialisation like everything else."""
        stack, number = self._place(config, layer)
        return Norm(
            f"{stack}.block.{number}.layer.0.layer_norm.weight",
            shape.d_model,
            initial=float(config.initializer_factor),
        )

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions."""
        return NO_ROTARY

    def _place(self, config: Any, layer: int) -> tuple[str, int]:
        """The stack of a layer and its number there."""
        if layer < config.num_layers:
            return "encoder", layer
        return "decoder", layer - config.num_layers


class UMT5(T5):
    """Encoder-decoders of Chung et al. (2023), https://arxiv.org/abs/2304.09151.

    As T5, with relative positions in every layer.
    """

    harmless = OFF | {"scalable_attention": True}
