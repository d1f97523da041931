"""Attention whose probabilities can be held, put into transformers' own registries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from headalgebra.states.guards import KEYWORDS, refuse
from headalgebra.states.inside import AttentionSeen
from headalgebra.variants.attention import attention_rule

NAME = "headalgebra"
"""Of the attention in transformers' registries."""

IN_THE_MASK = frozenset(("sliding_window", "is_causal", "cache_position", "position_ids"))
"""Keywords whose whole effect is in the mask, in the queries or in the keys already."""

WITHOUT_EFFECT = frozenset(
    (
        *("deterministic", "return_dict", "use_cache"),
        *("output_attentions", "output_hidden_states", "output_router_logits"),
    )
)
"""Keywords that change nothing of what is computed."""

Hold = Callable[[Callable[[], Tensor]], Tensor]
"""Takes how to compute the probabilities, returns those to use."""

_hold: ContextVar[Hold] = ContextVar("hold")


_apart: ContextVar[bool] = ContextVar("apart", default=False)


@contextmanager
def tokens_apart() -> Iterator[None]:
    """Let derivatives inside pass from a token to itself alone.

    What attention reads of other tokens, their keys and values, is taken for constant.
    """
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)


Watch = Callable[[AttentionSeen], object]
"""Takes what attention is given."""

_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Let something see what attention inside is given."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def holding(hold: Hold) -> Iterator[None]:
    """Let attention inside ask for its probabilities."""
    token = _hold.set(hold)
    try:
        yield
    finally:
        _hold.reset(token)


def attend(
    module: nn.Module,
    query: Float[Tensor, "N H T r"],
    key: Float[Tensor, "N G T r"],
    value: Float[Tensor, "N G T v"],
    attention_mask: Float[Tensor, "*mask"] | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    position_bias: Float[Tensor, "*bias"] | None = None,
    s_aux: Float[Tensor, " H"] | None = None,
    **others: Any,
) -> tuple[Float[Tensor, "N T H v"], Float[Tensor, "N H T T"]]:
    """Attention as transformers' eager one or a variant's, in the dtype of the queries.

    ``s_aux`` is a sink of each head: a score without a value.

    Raises
    ------
    GuardError
        If it is given a keyword with a value that it does not know.
    """
    unknown = {name for name, given in others.items() if given is not None}
    unknown -= IN_THE_MASK | WITHOUT_EFFECT
    if dropout:
        unknown.add("dropout")
    if unknown:
        raise refuse(
            KEYWORDS,
            f"{type(module).__name__} gives attention {', '.join(sorted(unknown))}",
            float(len(unknown)),
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    given = query, key, value
    shared = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(shared, 1) for part in (key, value))
    rule = attention_rule(module)
    if rule is not None:
        if attention_mask is None:
            raise refuse(KEYWORDS, f"{type(module).__name__} gives attention no mask")
        scaling, attention_mask = rule.scale(scaling), rule.narrowed(attention_mask)
        given = query, key, value = rule.split(query, key, value)
    if (watch := _watch.get()) is not None:
        watch(AttentionSeen(*given, scaling))

    def probabilities() -> Tensor:
        if _apart.get():
            own = (query * (key - key.detach())).sum(-1)
            scores = query @ key.detach().mT + own.diag_embed()
        else:
            scores = query @ key.mT
        scores = scores * scaling
        if rule is not None and attention_mask is not None:
            return rule.probabilities(scores, attention_mask)
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        if position_bias is not None:
            scores = scores + position_bias
        if attention_mask is not None:
            scores = scores + attention_mask
        if s_aux is None:
            return scores.softmax(-1)
        sinks = s_aux.view(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
        return torch.cat([scores, sinks], -1).softmax(-1)[..., :-1]

    P = _hold.get()(probabilities)
    read = P @ value
    if _apart.get():
        own_share = P.diagonal(dim1=-2, dim2=-1)[..., None]
        read = P @ value.detach() + own_share * (value - value.detach())
    read = read.transpose(1, 2)
    return (read if rule is None else rule.collect(read)).contiguous(), P


def register() -> None:
    """Make the attention and its mask known to transformers.

    Without the mask, decoders would see the future.
    """
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, eager_mask)


register()


@contextmanager
def implementation(model: nn.Module, name: str) -> Iterator[None]:
    """Let a model and its parts use an attention of a name, and loop over experts one by one."""
    configs: list[Any] = [m.config for m in model.modules() if hasattr(m, "config")]
    found = {id(config): config for config in configs}
    before = [
        (config, config._attn_implementation, config._experts_implementation)
        for config in found.values()
    ]
    try:
        for config, _, _ in before:
            config._attn_implementation = name
            config._experts_implementation = "eager"
        yield
    finally:
        for config, attention, experts in before:
            config._attn_implementation = attention
            config._experts_implementation = experts
