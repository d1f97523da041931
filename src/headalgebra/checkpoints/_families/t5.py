"""T5: separate Linear weights [out, in] in an encoder and a decoder."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import AttentionShape, Norm
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING, OFF
from headalgebra.checkpoints._families._refusals import NO_ROTARY
from headalgebra.checkpoints._families._stacks import TwoStacks


class T5(TwoStacks):
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
    decoder_layers = "num_decoder_layers"
    block = "block"
    sizes: ClassVar[Mapping[str, str]] = {
        "layers": "num_layers",
        "heads": "num_heads",
        "width": "d_model",
        "head_width": "d_kv",
    }
    tensors = (
        "{}.layer.0.SelfAttention.q.weight",
        "{}.layer.0.SelfAttention.k.weight",
        "{}.layer.0.SelfAttention.v.weight",
        "{}.layer.0.SelfAttention.o.weight",
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes of both stacks, or of the encoder where that is all."""
        saved_as = config.architectures or ()
        encoder = any(name.endswith("EncoderModel") for name in saved_as)
        shape = super().shape(config, where)
        if encoder or not config.is_encoder_decoder:
            return replace(shape, n_layers=config.num_layers)
        return shape

    def initial_stds(
        self, config: Any, shape: AttentionShape
    ) -> tuple[float | None, float | None, float | None, float | None]:
        """Queries narrower by r^(-1/2), so that scores need no scale."""
        factor, d, r = config.initializer_factor, shape.d_model, shape.d_head
        std = factor * d**-0.5
        return std * r**-0.5, std, std, factor * (shape.n_heads * r) ** -0.5

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """None."""
        return 1.0

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm:
        """An RMSNorm, which starts from the factor of initialisation like everything else."""
        return Norm(
            f"{self.place(config, layer)}.layer.0.layer_norm.weight",
            shape.d_model,
            initial=float(config.initializer_factor),
        )

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions."""
        return NO_ROTARY


class UMT5(T5):
    """Encoder-decoders of Chung et al. (2023), https://arxiv.org/abs/2304.09151.

    As T5, with relative positions in every layer.
    """

    harmless = OFF | {"scalable_attention": True}
