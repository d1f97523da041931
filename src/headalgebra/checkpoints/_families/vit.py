"""ViT: BERT's names one level further down, norms in front of attention."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._family import SeparateProjections
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING
from headalgebra.checkpoints._families._refusals import NO_ROTARY


class Vit(SeparateProjections):
    """Encoders of images by Dosovitskiy et al. (2020), https://arxiv.org/abs/2010.11929."""

    handled = frozenset(
        {"hidden_size", "initializer_range", "num_attention_heads", "num_hidden_layers"}
    )
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "attention_probs_dropout_prob",
            "encoder_stride",
            "hidden_dropout_prob",
            "image_size",
            "num_channels",
            "patch_size",
            "pooler_act",
            "pooler_output_size",
            "qkv_bias",
        }
    )
    sizes: ClassVar[Mapping[str, str]] = {
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "width": "hidden_size",
    }
    tensors = (
        "encoder.layer.{}.attention.attention.query.weight",
        "encoder.layer.{}.attention.attention.key.weight",
        "encoder.layer.{}.attention.attention.value.weight",
        "encoder.layer.{}.attention.output.dense.weight",
    )
    norm_tensor = "encoder.layer.{}.layernorm_before.weight"
    centred = True

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions."""
        return NO_ROTARY


class DinoV2(Vit):
    """Encoders of images by Oquab et al. (2023), https://arxiv.org/abs/2304.07193.

    What attention writes is multiplied by a number for each coordinate (`layer_scale1`), which is
    no part of the operators.
    """

    ignored = Vit.ignored | {
        "_out_features",
        "_out_indices",
        "apply_layernorm",
        "drop_path_rate",
        "layerscale_value",
        "mlp_ratio",
        "out_features",
        "out_indices",
        "reshape_hidden_states",
        "stage_names",
        "use_mask_token",
        "use_swiglu_ffn",
    }
    norm_tensor = "encoder.layer.{}.norm1.weight"
