"""GPT-Neo: separate Linear weights [out, in], scores that are not scaled."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import AttentionShape
from headalgebra.checkpoints._families._family import SeparateProjections
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING
from headalgebra.checkpoints._families._refusals import NO_ROTARY


class GptNeo(SeparateProjections):
    """Decoders of Black et al. (2021), https://doi.org/10.5281/zenodo.5297715.

    Every other layer sees a window of the sequence only, which masks scores.
    """

    handled = frozenset(
        {"attention_types", "hidden_size", "initializer_range", "num_heads", "num_layers"}
    )
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "attention_layers",
            "embed_dropout",
            "resid_dropout",
            "summary_activation",
            "summary_first_dropout",
            "summary_proj_to_labels",
            "summary_type",
            "summary_use_proj",
            "window_size",
        }
    )
    sizes: ClassVar[Mapping[str, str]] = {
        "layers": "num_layers",
        "heads": "num_heads",
        "width": "hidden_size",
    }
    tensors = (
        "h.{}.attn.attention.q_proj.weight",
        "h.{}.attn.attention.k_proj.weight",
        "h.{}.attn.attention.v_proj.weight",
        "h.{}.attn.attention.out_proj.weight",
    )
    norm_tensor = "h.{}.ln_1.weight"
    centred = True

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """None."""
        return 1.0

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions."""
        return NO_ROTARY
