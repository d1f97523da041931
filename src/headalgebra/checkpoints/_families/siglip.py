"""SigLIP: separate Linear weights [out, in], norms in front of attention."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import AttentionShape
from headalgebra.checkpoints._families._family import SeparateProjections
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING
from headalgebra.checkpoints._families._refusals import NO_ROTARY


class Siglip(SeparateProjections):
    """Either encoder of Zhai et al. (2023), https://arxiv.org/abs/2303.15343: of texts, of images.

    Weights start from a uniform law.
    """

    handled = frozenset({"hidden_size", "num_attention_heads", "num_hidden_layers"})
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "image_size",
            "num_channels",
            "patch_size",
            "projection_size",
            "vision_use_head",
        }
    )
    sizes: ClassVar[Mapping[str, str]] = {
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "width": "hidden_size",
    }
    tensors = (
        "encoder.layers.{}.self_attn.q_proj.weight",
        "encoder.layers.{}.self_attn.k_proj.weight",
        "encoder.layers.{}.self_attn.v_proj.weight",
        "encoder.layers.{}.self_attn.out_proj.weight",
    )
    norm_tensor = "encoder.layers.{}.layer_norm1.weight"
    centred = True

    def initial_stds(
        self, config: Any, shape: AttentionShape
    ) -> tuple[float | None, float | None, float | None, float | None]:
        """None: the law is uniform."""
        return None, None, None, None

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions."""
        return NO_ROTARY
