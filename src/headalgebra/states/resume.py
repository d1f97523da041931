"""Let a model go on from a state that another route has led to."""

import math
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from headalgebra.states.attention import implementation
from headalgebra.states.held import Tape, forward_as
from headalgebra.states.structure import Call, Stack


def logits_from(stack: Stack, state: Float[Tensor, "N T d"], layer: int) -> Float[Tensor, "N T V"]:
    """Next-token logits of a model whose block ``layer``, from 0, is given a state.

    The blocks before are passed over. With ``layer`` the number of blocks, the state goes to the
    final norm and the unembedding at once. Gradients with respect to the state can be taken.

    Raises
    ------
    ValueError
        If the model has no head that predicts the next token, or the layer is none of its.
    """
    if not stack.predicts:
        raise ValueError(f"{type(stack.model).__name__} predicts no next token")
    n_blocks = len(stack.blocks)
    if not 0 <= layer <= n_blocks:
        raise ValueError(f"layer {layer} is none of 0..{n_blocks}")
    called = 0

    def go_on(block: nn.Module, forward: Any, *given: Any, **named: Any) -> Any:
        nonlocal called
        place, called = called, called + 1
        call, own = Call.split(block, given, named)
        if place >= layer:
            with Tape(block, stack.by_hand).running("live", stack.dtype):
                return forward(state if place == layer else own, *call.given, **call.named)
        left = state if place == layer - 1 == n_blocks - 1 else own
        return (left, *[None] * (stack.n_outputs - 1)) if stack.n_outputs else left

    tokens = torch.zeros(state.shape[:2], dtype=torch.int64, device=stack.device)
    with ExitStack() as context:
        for block in dict.fromkeys(stack.blocks):
            context.enter_context(forward_as(block, go_on))
        context.enter_context(implementation(stack.model, stack.attention))
        return stack.model(input_ids=tokens, use_cache=False).logits


@torch.no_grad()
def next_token_loss(
    stack: Stack, state: Float[Tensor, "N T d"], tokens: Int[Tensor, "N T"]
) -> float:
    """Mean cross-entropy of the next token, in nats, that the last state gives.

    Not a number where the state has left the range of its dtype.
    """
    logits = logits_from(stack, state, len(stack.blocks))[:, :-1].flatten(0, 1).double()
    if not logits.isfinite().all():
        return math.nan
    expected = tokens[:, 1:].flatten().to(logits.device)
    return float(nn.functional.cross_entropy(logits, expected))
