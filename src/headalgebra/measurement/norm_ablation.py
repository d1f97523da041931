"""Rows of the table `geometry`: what norms with other scales than their own make of the states."""

from collections.abc import Iterable

from jaxtyping import Float, Int
from torch import Tensor

from headalgebra.geometry.ablation import FirstScales, Gain, constant_scales
from headalgebra.measurement._geometry import geometry_row
from headalgebra.measurement._rows import Row
from headalgebra.measurement.depth import spread_over_depth
from headalgebra.states import FrozenBlock
from headalgebra.states.structure import Stack

OUT_OF_RANGE = "the state has left the range of its numbers"


class FrozenGains:
    """How the state grows when every norm has the scales of the first block, else all held.

    Parameters
    ----------
    state
        x_0.
    """

    def __init__(self, state: Float[Tensor, "N T d"]) -> None:
        self._run = FirstScales(state)
        self._rows: list[Row] = []

    def add(self, block: FrozenBlock) -> None:
        """Let the state pass through the next block."""
        self._rows += _gain(block.layer, "first_scales", self._run.add(block))

    def rows(self) -> list[Row]:
        """|x_l| over the recorded one, by layer."""
        return self._rows


def _gain(layer: int, quantity: str, gain: Gain, norm: str | None = None) -> Iterable[Row]:
    for value, where in ((gain.all_tokens, ""), (gain.without_first, "_without_first")):
        yield geometry_row(layer, f"{quantity}_gain{where}", value, norm=norm, unless=OUT_OF_RANGE)


def constant_scale_rows(stack: Stack, tokens: Int[Tensor, "N T"], at_most: int) -> Iterable[Row]:
    """Rise of the loss and change and size of x_L when one norm multiplies by a constant.

    Norms of so many layers, spread over the depth.
    """
    layers = spread_over_depth(len(stack.blocks), at_most)
    for found in constant_scales(stack, tokens, layers=layers):
        layer, norm = found.layer, found.norm
        yield geometry_row(
            layer, "constant_scale_change", found.change, norm=norm, unless=OUT_OF_RANGE
        )
        yield from _gain(layer, "constant_scale", found.gain, norm)
        if found.loss_rise is not None:
            rise = "constant_scale_loss_rise"
            yield geometry_row(layer, rise, found.loss_rise, norm=norm, unless=OUT_OF_RANGE)
