"""BART and Whisper: separate Linear weights [out, in] in an encoder and a decoder."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families._attention import AttentionShape
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING
from headalgebra.checkpoints._families._refusals import NO_ROTARY, NORM_AFTER
from headalgebra.checkpoints._families._stacks import TwoStacks


class Bart(TwoStacks):
    """Encoder-decoders of Lewis et al. (2019), https://arxiv.org/abs/1910.13461.

    Layers are those of self-attention: first the encoder's, then the decoder's, numbered through.
    An encoder may be saved alone.
    """

    handled = frozenset(
        {
            "d_model",
            "decoder_attention_heads",
            "decoder_layers",
            "encoder_attention_heads",
            "encoder_layers",
            "init_std",
        }
    )
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "activation_dropout",
            "decoder_ffn_dim",
            "decoder_layerdrop",
            "dropout",
            "encoder_ffn_dim",
            "encoder_layerdrop",
            "scale_embedding",
        }
    )
    sizes: ClassVar[Mapping[str, str]] = {
        "layers": "encoder_layers",
        "heads": "encoder_attention_heads",
        "width": "d_model",
    }
    decoder_layers = "decoder_layers"
    block = "layers"
    tensors = (
        "{}.self_attn.q_proj.weight",
        "{}.self_attn.k_proj.weight",
        "{}.self_attn.v_proj.weight",
        "{}.self_attn.out_proj.weight",
    )

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes of both stacks, whose heads must be alike."""
        encoder, decoder = config.encoder_attention_heads, config.decoder_attention_heads
        if encoder != decoder:
            raise CheckpointError(
                where,
                f"decoder_attention_heads is {decoder}, but encoder_attention_heads {encoder}",
                "use a checkpoint whose stacks have as many heads",
            )
        return super().shape(config, where)

    def initial_stds(
        self, config: Any, shape: AttentionShape
    ) -> tuple[float | None, float | None, float | None, float | None]:
        """All alike, under another name."""
        std = float(config.init_std)
        return std, std, std, std

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No norm in front, no rotary positions."""
        return NORM_AFTER | NO_ROTARY


class Whisper(Bart):
    """Models of speech by Radford et al. (2022), https://arxiv.org/abs/2212.04356.

    Layers are numbered as those of BART; the norm stands in front of attention.
    """

    ignored = Bart.ignored | {
        "apply_spec_augment",
        "classifier_proj_size",
        "forced_decoder_ids",
        "mask_feature_length",
        "mask_feature_min_masks",
        "mask_feature_prob",
        "mask_time_length",
        "mask_time_min_masks",
        "mask_time_prob",
        "max_source_positions",
        "max_target_positions",
        "median_filter_width",
        "num_mel_bins",
        "use_weighted_layer_sum",
    }
    norm_tensor = "{}.self_attn_layer_norm.weight"
    centred = True

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions."""
        return NO_ROTARY
