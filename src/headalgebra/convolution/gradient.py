"""Whether a block's update goes down the gradient of the loss."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def state_gradients(
    model: nn.Module, blocks: Iterable[nn.Module], tokens: Int[Tensor, "N T"]
) -> list[Float[Tensor, "N T d"]]:
    """Gradients of a sequence's loss in what enters each block, one backward pass a sequence.

    The loss of a sequence is the sum over its tokens of the cross-entropy, in nats, of the next.

    Parameters
    ----------
    model
        A live decoder in eval mode, whose output has ``logits``.
    blocks
        Its blocks, first to last; each takes its state first or as ``hidden_states``.
    tokens
        The sequences.

    Returns
    -------
    list
        For each block ``[N, T, d]``, on the CPU.
    """
    entering: list[Tensor] = []

    def catch(
        _: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        state = positional[0] if positional else named["hidden_states"]
        if not entering:
            # Nothing before the first block is differentiated, nor need any weight be.
            state = state.detach().requires_grad_()
        entering.append(state)
        if positional:
            return (state, *positional[1:]), named
        return positional, {**named, "hidden_states": state}

    # A block that is called several times gets one hook.
    handles = [
        block.register_forward_pre_hook(catch, with_kwargs=True) for block in dict.fromkeys(blocks)
    ]
    gradients = []
    try:
        with torch.enable_grad():
            for sequence in tokens:
                entering.clear()
                logits = model(sequence[None], use_cache=False).logits[0, :-1]
                loss = nn.functional.cross_entropy(logits, sequence[1:], reduction="sum")
                gradients.append([g.cpu() for g in torch.autograd.grad(loss, entering)])
    finally:
        for handle in handles:
            handle.remove()
    return [torch.cat(of_block) for of_block in zip(*gradients, strict=True)]


@dataclass(frozen=True)
class Alignment:
    """The update of a block beside minus the gradient, the last token left out.

    Attributes
    ----------
    cosine, cosine_error
        Mean over tokens of cos(x_l − x_{l−1}, −∂CE/∂x_{l−1}), and its standard error over
        sequences; None for a single sequence.
    chance, chance_spread
        Mean and standard deviation over tokens of the same with the update of another token.
    change, change_error
        First-order change of the loss by the update, ⟨∂CE/∂x_{l−1}, x_l − x_{l−1}⟩, in nats a
        sequence; mean and standard error over sequences.
    """

    cosine: float
    cosine_error: float | None
    chance: float
    chance_spread: float
    change: float
    change_error: float | None


def gradient_alignment(
    before: Float[Tensor, "N T d"],
    after: Float[Tensor, "N T d"],
    gradient: Float[Tensor, "N T d"],
    generator: np.random.Generator,
) -> Alignment:
    """Compare a block's update with the gradient at what enters it.

    Parameters
    ----------
    before, after
        What enters and leaves the block.
    gradient
        As :func:`state_gradients` gives it. That of the last token is zero.
    generator
        Of the tokens whose updates are exchanged.

    Raises
    ------
    ValueError
        When there are fewer than two tokens beside the last ones.
    """
    slope = gradient[:, :-1].double()
    update = (after - before)[:, :-1].double().to(slope.device)
    sequences, tokens, d = update.shape
    if sequences * tokens < 2:
        raise ValueError("an update needs another token's to be compared with")
    cosines = _cosine(update, -slope)
    # Each token gets the update of the next in a random cycle, so that none has its own.
    cycle = torch.from_numpy(generator.permutation(sequences * tokens)).to(update.device)
    flat, exchanged = update.reshape(-1, d), torch.empty_like(update).view(-1, d)
    exchanged[cycle] = flat[cycle.roll(1)]
    by_chance = _cosine(exchanged, -slope.reshape(-1, d))
    cosine, cosine_error = _mean_and_error(cosines.mean(1))
    change, change_error = _mean_and_error((slope * update).sum((1, 2)))
    return Alignment(
        cosine,
        cosine_error,
        float(by_chance.mean()),
        float(by_chance.std()),
        change,
        change_error,
    )


def _cosine(
    one: Float[Tensor, "*tokens d"], other: Float[Tensor, "*tokens d"]
) -> Float[Tensor, "*tokens"]:
    """Cosines; 0 where either vector is zero, which points nowhere."""
    product = torch.linalg.vector_norm(one, dim=-1) * torch.linalg.vector_norm(other, dim=-1)
    return torch.where(product > 0, (one * other).sum(-1) / product, 0)


def _mean_and_error(values: Float[Tensor, "N"]) -> tuple[float, float | None]:
    error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    return float(values.mean()), error
