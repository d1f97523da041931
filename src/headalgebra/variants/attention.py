"""Attention of variants, put into transformers' own registries.

``NAME`` is the attention that a varied model runs with by itself. Whoever computes attention
differently, to hold its probabilities, takes the parts of :class:`AttentionRule`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from headalgebra.variants.soft_heads import SoftHeads
from headalgebra.variants.variant import Variant, variant_of

NAME = "headalgebra_varied"
"""Of the attention in transformers' registries."""


@dataclass(frozen=True)
class AttentionRule:
    """How a model's attention differs from softmax over the products of hard heads.

    Attributes
    ----------
    linear
        Whether φ(q)·φ(k) stands in place of the exponential.
    width
        Tokens in its window; None is all before.
    soft
        Windows on the axes; None is hard heads.
    """

    linear: bool = False
    width: int | None = None
    soft: SoftHeads | None = None

    def split(
        self,
        query: Float[Tensor, "N H T r"],
        key: Float[Tensor, "N H S r"],
        value: Float[Tensor, "N H S r"],
    ) -> tuple[Float[Tensor, "N H T s"], Float[Tensor, "N H S s"], Float[Tensor, "N H S s"]]:
        """What the products of each head are taken of, from hard blocks."""
        if self.linear:
            return nn.functional.elu(query) + 1, nn.functional.elu(key) + 1, value
        if self.soft is None:
            return query, key, value
        window = self.soft.window.to(query)
        query, key, value = (self.soft.spread(part) for part in (query, key, value))
        return query * window, key, value * window

    def scale(self, scaling: float) -> float:
        """Factor of those products, from that of hard heads."""
        if self.linear:
            return 1.0
        return scaling * self.soft.rescaling if self.soft else scaling

    def narrowed(self, mask: Float[Tensor, "N one T S"]) -> Float[Tensor, "N one T S"]:
        """The mask, 0 where a token sees and the least number elsewhere, within the window."""
        if self.width is None:
            return mask
        rows, columns = mask.shape[-2:]
        # Of keys that were kept from before, the last are those of the rows.
        places = torch.arange(columns, device=mask.device)
        far = places[columns - rows :, None] - places >= self.width
        return mask.masked_fill(far, torch.finfo(mask.dtype).min)

    def probabilities(
        self, scores: Float[Tensor, "N H T S"], mask: Float[Tensor, "N one T S"]
    ) -> Float[Tensor, "N H T S"]:
        """Rows that sum to 1, from scaled products and a narrowed mask.

        A token that linear attention lets see nothing, as padding before a text does, gives 0.
        """
        if not self.linear:
            return (scores + mask).softmax(-1)
        scores = scores.masked_fill(mask < 0, 0.0)
        return scores / scores.sum(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)

    def collect(self, read: Float[Tensor, "N T H s"]) -> Float[Tensor, "N T H r"]:
        """What the heads read, as hard blocks."""
        return read if self.soft is None else self.soft.collect(read)


def attention_rule(module: nn.Module) -> AttentionRule | None:
    """The rule of a module of attention; None of a usual one."""
    variant = variant_of(getattr(module, "config", None))
    return _rule(variant, module.config) if variant.varies_attention else None


def _rule(variant: Variant, config: Any) -> AttentionRule:
    soft = None
    if variant.overlap is not None:
        n_heads = config.num_attention_heads
        soft = SoftHeads(n_heads, config.hidden_size // n_heads, variant.heads, variant.overlap)
    return AttentionRule(variant.attention == "linear", variant.width, soft)


def attend(
    module: nn.Module,
    query: Float[Tensor, "N H T r"],
    key: Float[Tensor, "N G S r"],
    value: Float[Tensor, "N G S r"],
    attention_mask: Float[Tensor, "N one T S"],
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Float[Tensor, "N T H r"], Float[Tensor, "N H T S"]]:
    """Attention of a varied model, as transformers calls it."""
    rule = attention_rule(module) or AttentionRule()
    if (shared := query.shape[1] // key.shape[1]) > 1:
        key, value = (part.repeat_interleave(shared, 1) for part in (key, value))
    scale = rule.scale(query.shape[-1] ** -0.5 if scaling is None else scaling)
    query, key, value = rule.split(query, key, value)
    P = rule.probabilities(query @ key.mT * scale, rule.narrowed(attention_mask))
    P = nn.functional.dropout(P, dropout, module.training)
    return rule.collect((P @ value).transpose(1, 2)).contiguous(), P


def register() -> None:
    """Make the attention and its mask known to transformers.

    Without the mask, decoders would see the future.
    """
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, eager_mask)


register()
