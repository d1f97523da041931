"""How far a token's state drifts when the window through which it is read slides along the text.

Paper 002, section 3.3. A window of W tokens begins at token t of a text, another one at t + k. The
token at place p of the first is at place p − k of the second, where k tokens of its past are gone.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from headalgebra.states.norms import is_norm
from headalgebra.states.recording import calls_of
from headalgebra.states.structure import Stack


@dataclass(frozen=True)
class Drift:
    """Drift of the tokens that are in two windows, at one place of the model.

    Attributes
    ----------
    layer
        l of the state x_l: 0 before the first block, L after the last.
    offset
        k, tokens from one window to the other.
    before
        ``|x(p) − x'(p − k)|/|x(p)|``, x and x' the states in the window at t and at t + k.
    after
        The same of what the next norm makes of them, its gain and shift included; None where no
        norm reads the state.
    normalised
        Whether the state is what a norm left, as in post-norm models.
    """

    layer: int
    offset: int
    before: Float[Tensor, "N common"]
    after: Float[Tensor, "N common"] | None
    normalised: bool


def window_length(tokens: int) -> int:
    """The longest window, a multiple of 8, that can slide by a quarter of itself in a sequence."""
    return 8 * (tokens // 10)


def window_offsets(length: int) -> list[int]:
    """A quarter of a window, and its half, rounded down, again and again to 1; rising."""
    offsets = [length // 4]
    while offsets[-1] > 1:
        offsets.append(offsets[-1] // 2)
    return offsets[::-1] if length >= 4 else []


def window_drift(
    stack: Stack, tokens: Int[Tensor, "N T"], *, length: int, offsets: Sequence[int]
) -> list[Drift]:
    """Let a model read every sequence through windows at 0 and at each offset.

    All windows are one batch of one pass, and of their states only one layer's is held at a time.

    Parameters
    ----------
    stack
        A decoder.
    tokens
        N sequences, in which the windows lie.
    length
        W, of each window.
    offsets
        Where the windows begin that are compared with that at 0.

    Returns
    -------
    list
        For each layer, and of it for each offset.

    Raises
    ------
    ValueError
        If a window does not lie in the sequences, or has no token in common with that at 0.
    """
    if not all(0 <= k < length and k + length <= tokens.shape[1] for k in offsets):
        raise ValueError(
            f"windows of {length} tokens at {list(offsets)} in sequences of {tokens.shape[1]}"
        )
    windows = torch.cat([tokens[:, k : k + length] for k in (0, *offsets)])
    before: list[list[Tensor]] = []
    after: list[list[Tensor] | None] = []
    normalised: list[bool] = []
    state_of_now: list[Tensor] = []
    norm_of_now: list[Tensor] = []

    def arrive(_: int, state: Tensor) -> None:
        state_of_now[:] = [state]
        before.append(_drifts(state, len(tokens), offsets))
        after.append(None)
        normalised.append(any(_same(left, state) for left in norm_of_now))

    def normalise(_: nn.Module, given: tuple[Any, ...], left: Any) -> None:
        norm_of_now[:] = [left]
        # The first norm that reads a state: blocks of two parallel parts may have two.
        if after and after[-1] is None and _same(given[0], state_of_now[0]):
            after[-1] = _drifts(left, len(tokens), offsets)

    with ExitStack() as hooks:
        for module in stack.module.modules():
            if is_norm(module):
                hooks.callback(module.register_forward_hook(normalise).remove)
        calls_of(stack, windows, arrive)
    return [
        Drift(layer, k, ones[place], None if others is None else others[place], normalised[layer])
        for layer, (ones, others) in enumerate(zip(before, after, strict=True))
        for place, k in enumerate(offsets)
    ]


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _drifts(states: Float[Tensor, "NK W d"], n: int, offsets: Sequence[int]) -> list[Tensor]:
    """Of the tokens in common, window after window."""
    first, *later = states.split(n)
    drifts = []
    for k, window in zip(offsets, later, strict=True):
        x = first[:, k:]
        change = torch.linalg.vector_norm(x - window[:, : x.shape[1]], dim=-1)
        drifts.append(change / torch.linalg.vector_norm(x, dim=-1))
    return drifts
