"""Query and key weights of a decoder in training, as its own parameters, with gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from headalgebra.variants import SoftHeads, variant_of

Part = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Block:
    """The query or the key weights of a layer, as a part of a parameter.

    Attributes
    ----------
    parameter
        Of the model.
    part
        Takes them out of the parameter, or of anything of its shape, as a view [d, H·r].
    """

    parameter: nn.Parameter
    part: Part

    @property
    def weights(self) -> Float[Tensor, "d Hr"]:
        """The weights, a view of the parameter: gradients reach it, and writing does too."""
        return self.part(self.parameter)


def query_key_blocks(model: PreTrainedModel) -> list[tuple[Block, Block]]:
    """The query and key weights of every layer.

    Raises
    ------
    ValueError
        If the model is no GPT-2 and no Llama, or its heads share keys.
    """
    config = model.config
    bare: Any = model.base_model
    match config.model_type:
        case "gpt2":
            d = config.n_embd
            fused = [block.attn.c_attn.weight for block in bare.h]
            return [
                (Block(each, lambda it: it[:, :d]), Block(each, lambda it: it[:, d : 2 * d]))
                for each in fused
            ]
        case "llama" if config.num_key_value_heads == config.num_attention_heads:
            parts = [layer.self_attn for layer in bare.layers]
            return [
                (Block(each.q_proj.weight, torch.t), Block(each.k_proj.weight, torch.t))
                for each in parts
            ]
    raise ValueError(f"a {config.model_type} model with a key of its own for each head is wanted")


def head_factors(
    model: PreTrainedModel,
) -> list[tuple[Float[Tensor, "H d s"], Float[Tensor, "H d s"]]]:
    """Factors Q_h, K_h of the head operators ``A_h = Q_h K_hᵀ`` of every layer, with gradients.

    Those of soft heads are ``W_q diag(√W_h)`` and ``W_k diag(√W_h)``; s is r otherwise.

    Raises
    ------
    ValueError
        As :func:`query_key_blocks`.
    """
    variant, n_heads = variant_of(model.config), model.config.num_attention_heads
    layers = []
    for pair in query_key_blocks(model):
        heads = [it.weights.unflatten(1, (n_heads, -1)).transpose(0, 1) for it in pair]
        if variant.overlap is not None:
            soft = SoftHeads(n_heads, heads[0].shape[-1], variant.heads, variant.overlap)
            heads = [soft.factors(each) for each in heads]
        layers.append((heads[0], heads[1]))
    return layers
