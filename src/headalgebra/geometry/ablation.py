"""What keeps states from growing: norms with the scales of the first block, or with constant ones.

001, section IV.1: without its rescaling the norm of the states is to leave all bounds. A norm's
scale is what it multiplies a token's vector by. Norms of queries and keys, which give each head a
scale, stay as they are.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headalgebra.states import FrozenBlock
from headalgebra.states.recording import live_blocks
from headalgebra.states.resume import next_token_loss
from headalgebra.states.structure import Stack

Scales = Mapping[str, Float[Tensor, "... 1"]]
"""By the names of norms."""


def stream_scales(block: FrozenBlock) -> Scales:
    """Scales of those norms of a block that have one for each token."""
    one_a_token = (*block.input.shape[:-1], 1)
    return {
        name: norm.scale
        for name, norm in block.norms.items()
        if norm.scale is not None and norm.scale.shape == one_a_token
    }


@dataclass(frozen=True)
class Gain:
    """The size of a state over that of the recorded one, Frobenius.

    Attributes
    ----------
    all_tokens, without_first
        Of all tokens, and without the first of each sequence. Infinite or not a number where the
        state has left the range of its dtype.
    """

    all_tokens: float
    without_first: float

    @classmethod
    def of(cls, found: Float[Tensor, "N T d"], recorded: Float[Tensor, "N T d"]) -> "Gain":
        """Hold a state against the recorded one."""
        sizes = (
            torch.linalg.vector_norm(found[:, t:]) / torch.linalg.vector_norm(recorded[:, t:])
            for t in (0, 1)
        )
        return cls(*map(float, sizes))


class FirstScales:
    """Frozen blocks one after the other, their norms with the scales of the first block.

    Each token keeps the scale that the norm of the same name gave it in the first block that has
    one. Everything else is held as it was recorded, so that what runs through is an affine map.

    Parameters
    ----------
    state
        x_0.
    """

    def __init__(self, state: Float[Tensor, "N T d"]) -> None:
        self.state = state
        self._first: dict[str, Tensor] = {}

    def add(self, block: FrozenBlock) -> Gain:
        """Let the state pass through the next block."""
        own = stream_scales(block)
        self._first = {**own, **self._first}
        scales = {name: self._first[name] for name in own}
        self.state = block.rescaled(scales, self.state)
        return Gain.of(self.state, block.output)


@dataclass(frozen=True)
class ConstantScale:
    """What becomes of the last state when one norm's scale is a constant.

    Attributes
    ----------
    layer, norm
        Which one.
    loss_rise
        Of the mean cross-entropy of the next token, in nats; None without a head for it.
    change
        |x_L − recorded x_L| / |recorded x_L|, Frobenius.
    gain
        Of x_L.
    """

    layer: int
    norm: str
    loss_rise: float | None
    change: float
    gain: Gain


def constant_scales(
    stack: Stack, tokens: Int[Tensor, "N T"], *, layers: Collection[int] | None = None
) -> Iterator[ConstantScale]:
    """Give one norm of the stream after the other the mean over tokens of its scale.

    All else is live. Each takes a pass from its own layer on: half a pass, on average.

    Parameters
    ----------
    stack
        The model's blocks.
    tokens
        A few sequences; all their blocks are held at once.
    layers
        Whose norms they are; all by default.
    """
    blocks = list(live_blocks(stack, tokens))
    last = blocks[-1].output
    before = next_token_loss(stack, last, tokens) if stack.predicts else None
    for block in blocks:
        if layers is not None and block.layer not in layers:
            continue
        for name, scale in stream_scales(block).items():
            state = block.rescaled({name: scale.mean()[None]}, block.input, live=True)
            for later in blocks[block.layer + 1 :]:
                state = later.live(state)
            rise = None if before is None else next_token_loss(stack, state, tokens) - before
            change = torch.linalg.vector_norm(state - last) / torch.linalg.vector_norm(last)
            yield ConstantScale(block.layer, name, rise, float(change), Gain.of(state, last))
