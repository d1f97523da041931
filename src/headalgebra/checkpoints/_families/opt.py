"""OPT: separate Linear weights [out, in], the norm in front of attention or after it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import AttentionShape
from headalgebra.checkpoints._families._family import SeparateProjections
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING
from headalgebra.checkpoints._families._refusals import NO_ROTARY, NORM_AFTER


class Opt(SeparateProjections):
    """Decoders of Zhang et al. (2022), https://arxiv.org/abs/2205.01068."""

    handled = frozenset(
        {
            "do_layer_norm_before",
            "hidden_size",
            "init_std",
            "num_attention_heads",
            "num_hidden_layers",
        }
    )
    ignored = (
        BOOKKEEPING
        | BLOCK
        | {
            "_remove_final_layer_norm",
            "activation_dropout",
            "dropout",
            "enable_bias",
            "ffn_dim",
            "layerdrop",
            "word_embed_proj_dim",
        }
    )
    sizes: ClassVar[Mapping[str, str]] = {
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "width": "hidden_size",
    }
    tensors = (
        "decoder.layers.{}.self_attn.q_proj.weight",
        "decoder.layers.{}.self_attn.k_proj.weight",
        "decoder.layers.{}.self_attn.v_proj.weight",
        "decoder.layers.{}.self_attn.out_proj.weight",
    )
    norm_tensor = "decoder.layers.{}.self_attn_layer_norm.weight"
    centred = True

    def initial_stds(
        self, config: Any, shape: AttentionShape
    ) -> tuple[float | None, float | None, float | None, float | None]:
        """All alike, under another name."""
        std = float(config.init_std)
        return std, std, std, std

    def refusals(self, config: Any) -> Mapping[str, str]:
        """No rotary positions; in one model of the series the norm follows attention."""
        return NO_ROTARY if config.do_layer_norm_before else NO_ROTARY | NORM_AFTER
