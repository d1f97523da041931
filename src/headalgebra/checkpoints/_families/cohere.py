"""Cohere and others: Llama's layout behind LayerNorms, which queries and keys may have as well."""

from collections.abc import Mapping
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import AttentionShape, Norm, Rotary, rotary_of
from headalgebra.checkpoints._families._keys import AUTHORS_CODE
from headalgebra.checkpoints._families.llama import Llama


class LayerNormed(Llama):
    """Llama's layout, a LayerNorm in front, and one of each query and key where it is asked for.

    Of the latter the gammas, and the projection that takes off the mean of a head's coordinates,
    are part of the operators.

    Attributes
    ----------
    asks
        Configuration attribute that asks for them.
    own
        Whether each head has gammas of its own.
    """

    centred = True
    asks: ClassVar[str]
    own: ClassVar[bool]

    def norms_of_scores(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Norm | None, Norm | None]:
        """Both or none."""
        if not getattr(config, self.asks) or self.score_norms is None:
            return None, None
        query_norm, key_norm = (
            Norm(
                name.format(layer),
                (n_heads if self.own else 1) * shape.d_head,
                centred=True,
                heads=n_heads if self.own else None,
            )
            for name, n_heads in zip(
                self.score_norms, (shape.n_heads, shape.n_kv_heads), strict=True
            )
        )
        return query_norm, key_norm


class Cohere(LayerNormed):
    """Decoders of Cohere (2024), "Command R": rotary pairs are neighbours.

    Queries and keys may be normalised (`use_qk_norm`), each head with gammas of its own. Those, and
    the mean that is taken off, are part of the operators.
    """

    handled = Llama.handled | {"use_qk_norm"}
    ignored = Llama.ignored | {"logit_scale", "model_max_length"}
    asks = "use_qk_norm"
    own = True
    score_norms = ("layers.{}.self_attn.q_norm.weight", "layers.{}.self_attn.k_norm.weight")
    rotary_class = ("cohere", "CohereRotaryEmbedding")

    def rotary(self, config: Any, layer: int) -> Rotary:
        """Pairs (0,1), (2,3), ..."""
        return rotary_of(*self.rotary_class, config, interleaved=True)


class StableLm(LayerNormed):
    """Decoders of Bellagente et al. (2024), https://arxiv.org/abs/2402.17834.

    Rotary positions turn the first coordinates of a head only. Queries and keys may be normalised
    (`qk_layernorm`), as those of Cohere. Heads share the width of the residual stream equally.
    """

    handled = Llama.handled - {"head_dim"} | {"partial_rotary_factor", "qk_layernorm"}
    ignored = Llama.ignored | {"use_parallel_residual", "use_qkv_bias"}
    sizes: ClassVar[Mapping[str, str]] = {
        name: key for name, key in Llama.sizes.items() if name != "head_width"
    }
    asks = "qk_layernorm"
    own = True
    # The place left open is the head's.
    score_norms = (
        "layers.{}.self_attn.q_layernorm.norms.{{}}.weight",
        "layers.{}.self_attn.k_layernorm.norms.{{}}.weight",
    )
    rotary_class = ("stablelm", "StableLmRotaryEmbedding")


class Phi(LayerNormed):
    """Decoders of Li et al. (2023), https://arxiv.org/abs/2309.05463.

    Rotary positions turn the first coordinates of a head only. Queries and keys may be normalised
    (`qk_layernorm`), all heads with the same gammas. Those, and the mean that is taken off, are
    part of the operators.
    """

    handled = Llama.handled | {"partial_rotary_factor", "qk_layernorm"}
    ignored = Llama.ignored | AUTHORS_CODE
    tensors = (*Llama.tensors[:3], "layers.{}.self_attn.dense.weight")
    asks = "qk_layernorm"
    own = False
    score_norms = (
        "layers.{}.self_attn.q_layernorm.weight",
        "layers.{}.self_attn.k_layernorm.weight",
    )
    rotary_class = ("phi", "PhiRotaryEmbedding")
