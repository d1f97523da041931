"""What kind of transformer a recorded model is: where it looks, and what it normalises."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from headalgebra.states.recording import Recording, live_blocks
from headalgebra.states.structure import left_by

A_FEW = 8
"""Tokens that are enough to see the mask."""


def kind(recording: Recording) -> Literal["encoder", "decoder"]:
    """Whether some token sees a later one (an encoder), or none does in any block (a decoder)."""
    blocks = live_blocks(recording.stack, recording.tokens[:1, :A_FEW])
    return "decoder" if all(block.causal for block in blocks) else "encoder"


def norm_placement(recording: Recording) -> Literal["pre", "post"]:
    """Whether what leaves the first block comes out of a norm (post), or is a sum (pre).

    A norm of what a part adds to the stream, as OLMo 2 and Gemma 2 have it, leaves the stream
    itself as it is, and is no post-norm here.
    """
    stack = recording.stack
    block = stack.blocks[0]
    normalised: list[Tensor] = []
    left: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        normalised.append(output)

    hooks = [
        module.register_forward_hook(keep)
        for module in block.modules()
        if type(module).__name__.endswith("Norm")
    ]
    hooks.append(block.register_forward_hook(lambda *given: left.append(left_by(given[2]))))
    try:
        stack.read(recording.tokens[:1, :A_FEW], stack.untouched)
    finally:
        for hook in hooks:
            hook.remove()
    return "post" if any(torch.equal(output, left[0]) for output in normalised) else "pre"
