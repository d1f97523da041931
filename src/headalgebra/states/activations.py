"""Activations whose factor is held: act(u)/u of a plain part, act(u) of a gated one."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers.activations import ACT2CLS
from transformers.models.bloom.modeling_bloom import BloomGelu, bloom_gelu_forward

from headalgebra.states.guards import HOLDING, REPLAY, refuse

ACTIVATIONS = frozenset(
    [kind[0] if isinstance(kind, tuple) else kind for kind in ACT2CLS.values()]
    + [nn.GELU, BloomGelu]
)

FORMULAS: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {BloomGelu: bloom_gelu_forward}
"""In place of classes whose own function has no forward derivative."""


class Activation:
    """The factor of an activation that is held: act(u)/u of a plain one, act(u) of a gated one.

    Parameters
    ----------
    name
        Of the module, in its block.
    function
        The activation.
    given, result
        u and act(u).
    """

    def __init__(
        self, name: str, function: Callable[[Tensor], Tensor], given: Tensor, result: Tensor
    ) -> None:
        self.name, self.given, self.result = name, given, result
        self._function = function
        self.gated: bool | None = None
        self._ratio: Tensor | None = None

    def met(self, operand: Tensor) -> bool:
        """Look at what the next product with weights is given; whether that settles the kind."""
        if operand.shape[-1] != self.result.shape[-1] or operand.numel() != self.result.numel():
            return False
        self.gated = not torch.equal(operand.reshape(self.result.shape), self.result)
        return True

    def __call__(self, given: Tensor) -> Tensor:
        """What stands in place of the activation."""
        if given.shape != self.given.shape:
            raise refuse(REPLAY, "an activation is given other tokens than when it was recorded")
        if self.gated:
            return self.result
        if self._ratio is None:
            self._ratio = self._plain_ratio()
        return self._ratio * given

    def _plain_ratio(self) -> Tensor:
        u, zero = self.given, self.given.new_zeros(1)
        at_zero, slope = derivative(self._function, zero, torch.ones_like(zero))
        if at_zero.item() != 0:
            raise refuse(HOLDING, "an activation that is not 0 at 0", abs(at_zero.item()))
        vanishing = u == 0
        return torch.where(vanishing, slope, self.result / torch.where(vanishing, 1.0, u))


def derivative(
    function: Callable[[Tensor], Tensor], at: Tensor, along: Tensor
) -> tuple[Tensor, Tensor]:
    """The value of a function and its derivative in a direction."""
    value, slope, *_ = torch.func.jvp(function, (at,), (along,))
    return value, slope
