"""Norms whose scale is held where it was recorded."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headalgebra.states.guards import HOLDING, affine_tolerance, refuse

EPSILONS = {"OlmoLayerNorm": 1e-5}
"""Of norms that do not carry theirs under any usual name."""


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm by the name of its class, and no part made of others."""
    return "norm" in type(module).__name__.lower() and next(module.children(), None) is None


@dataclass(frozen=True)
class HeldNorm:
    """A norm over the last axis whose scale is held where it was recorded.

    Attributes
    ----------
    centred
        Whether the mean is taken off, which stays free.
    gain, shift
        Of each coordinate.
    epsilon
        What is added to the mean square.
    scale
        One over the root of the mean square, of each vector.
    """

    centred: bool
    gain: Float[Tensor, "*d"]
    shift: Float[Tensor, "*d"]
    epsilon: float
    scale: Float[Tensor, "*n 1"] | None = None

    def __call__(self, u: Float[Tensor, "*n d"]) -> Float[Tensor, "*m d"]:
        """What stands in place of the norm; the norm itself if no scale is held.

        A gain of each head makes one vector as many.
        """
        return self.normalised(u) * self.gain + self.shift

    def normalised(self, u: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """The same, before gain and shift."""
        u = u - u.mean(-1, keepdim=True) if self.centred else u
        return u * (self._scale(u) if self.scale is None else self.scale)

    def held_at(self, u: Float[Tensor, "*n d"]) -> "HeldNorm":
        """With the scale that it has there."""
        u = u - u.mean(-1, keepdim=True) if self.centred else u
        return replace(self, scale=self._scale(u))

    def _scale(self, u: Tensor) -> Tensor:
        return (u.square().mean(-1, keepdim=True) + self.epsilon).rsqrt()


def held_norm(
    module: nn.Module, norm: Callable[[Tensor], Tensor], given: Tensor, result: Tensor
) -> HeldNorm:
    """Hold the scale of a norm at what it was given.

    Whether it takes the mean off, and with which gain and shift, is found by what it makes of a
    few vectors: classes of one name differ in both.

    Raises
    ------
    GuardError
        If it is neither a LayerNorm nor an RMSNorm.
    """
    epsilon = _epsilon(module, given.dtype)
    places = torch.arange(given.shape[-1], device=given.device).to(given.dtype)
    signs, other = 1 - 2 * (places % 2), 1 + places / len(places)
    shift = norm(torch.zeros_like(signs))
    errors = []
    for centred in (False, True):
        unscaled = HeldNorm(centred, torch.ones_like(signs), torch.zeros_like(signs), epsilon)
        found = replace(unscaled, gain=(norm(signs) - shift) / unscaled(signs), shift=shift)
        # The other kind has the same gain, and agrees on a state whose mean is 0.
        error = max(_relative(found(other), norm(other)), _relative(found(given), result))
        if error <= affine_tolerance(given.dtype):
            return found.held_at(given)
        errors.append(error)
    raise refuse(
        HOLDING, f"{type(module).__name__} is neither a LayerNorm nor an RMSNorm", min(errors)
    )


def _epsilon(module: nn.Module, dtype: torch.dtype) -> float:
    for name in ("variance_epsilon", "eps", "epsilon", "layer_norm_eps"):
        if isinstance(found := getattr(module, name, None), float):
            return found
    return EPSILONS.get(type(module).__name__, torch.finfo(dtype).eps)


def _relative(found: Tensor, expected: Tensor) -> float:
    size = torch.linalg.vector_norm(expected).clamp_min(torch.finfo(expected.dtype).tiny)
    return float(torch.linalg.vector_norm(found - expected) / size)
