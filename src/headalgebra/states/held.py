"""What of a block is held while the rest stays free, noted in the order in which it is computed.

A :class:`Tape` runs a block in one of three ways: live, noting what would be held, or with that
held. Nothing of a block's own code is known here but its norms, activations and routers, which are
recognised by what they compute.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers.activations import ACT2CLS
from transformers.models.bloom.modeling_bloom import BloomGelu, bloom_gelu_forward

from headalgebra.states.attention import holding
from headalgebra.states.by_hand import ByHand
from headalgebra.states.guards import HOLDING, PROBABILITIES, REPLAY, affine_tolerance, refuse

Way = Literal["live", "note", "replay"]

ACTIVATIONS = frozenset(
    [kind[0] if isinstance(kind, tuple) else kind for kind in ACT2CLS.values()]
    + [nn.GELU, BloomGelu]
)

FORMULAS: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {BloomGelu: bloom_gelu_forward}
"""In place of classes whose own function has no forward derivative."""

EPSILONS = {"OlmoLayerNorm": 1e-5}
"""Of norms that do not carry theirs under any usual name."""

ROUTER = re.compile(r"(Router|Gate)$")

SOFTMAX = frozenset((nn.functional.softmax, torch.softmax, Tensor.softmax))
# A product with weights: the operand's place.
PRODUCTS = {nn.functional.linear: 0, torch.addmm: 1}


class Activation:
    """The factor of an activation that is held: act(u)/u of a plain one, act(u) of a gated one.

    Parameters
    ----------
    function
        The activation.
    given, result
        u and act(u).
    """

    def __init__(self, function: Callable[[Tensor], Tensor], given: Tensor, result: Tensor) -> None:
        self._function, self._given, self.result = function, given, result
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
        if given.shape != self._given.shape:
            raise refuse(REPLAY, "an activation is given other tokens than when it was recorded")
        if self.gated:
            return self.result
        if self._ratio is None:
            self._ratio = self._plain_ratio()
        return self._ratio * given

    def _plain_ratio(self) -> Tensor:
        u, zero = self._given, self._given.new_zeros(1)
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
        u = u - u.mean(-1, keepdim=True) if self.centred else u
        scale = self._scale(u) if self.scale is None else self.scale
        return u * scale * self.gain + self.shift

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


class Tape:
    """The held parts of one block, in the order in which it computes them.

    Parameters
    ----------
    block
        The module.
    by_hand
        What its family computes without a module or the registry.
    """

    def __init__(self, block: nn.Module, by_hand: ByHand) -> None:
        self.way: Way = "live"
        self.by_hand = by_hand
        self.probabilities: list[Tensor] = []
        self.tokens_apart = False
        self.instead: Tensor | None = None
        self._parts = list(_parts(block))
        self._block = block
        self._notes: list[Any] = []
        self._next = 0
        self._unmet: list[Activation] = []
        self._inside = 0

    @property
    def unsettled(self) -> list[Activation]:
        """Activations that no product with weights has told plain from gated."""
        return [
            note for note in self._notes if isinstance(note, Activation) and note in self._unmet
        ]

    @contextmanager
    def running(self, way: Way, dtype: torch.dtype) -> Iterator[None]:
        """Let the block run inside: live, noting what to hold, or with that held.

        Raises
        ------
        GuardError
            If not one attention pattern is computed, or less is computed than what was noted.
        """
        self.way, self._next = way, 0
        if way == "note":
            self.probabilities, self._notes, self._unmet = [], [], []
        counted = 0

        def hold(compute: Callable[[], Tensor]) -> Tensor:
            nonlocal counted
            counted += 1
            P = self._held(compute, self.probabilities.append)
            if self.instead is not None:
                # One pattern for all sequences, in the shape that the family gives its own.
                sequences = P.numel() // self.instead.numel()
                return self.instead.expand(sequences, -1, -1, -1).reshape(P.shape)
            if not self.tokens_apart:
                return P
            (noted,) = self.probabilities
            return noted.diagonal(dim1=-2, dim2=-1).diag_embed()

        with ExitStack() as stack:
            stack.enter_context(holding(hold))
            for module, kind in self._parts:
                stack.enter_context(forward_as(module, getattr(self, kind)))
            stack.enter_context(_Watch(self, hold, dtype))
            yield
        if counted != 1:
            raise refuse(
                PROBABILITIES,
                f"{type(self._block).__name__} computes {counted} attention patterns",
                float(abs(counted - 1)),
            )
        if way == "replay" and self._next != len(self._notes):
            raise refuse(REPLAY, "a block computed less than it did when it was recorded")

    def _held(self, compute: Callable[[], Any], note: Callable[[Any], object] | None = None) -> Any:
        """The value of now, or the one noted."""
        if self.way == "replay":
            return self._turn()
        with self._apart():
            found = compute()
        if self.way == "note":
            self._notes.append(found)
            if note is not None:
                note(found)
        return found

    def _turn(self) -> Any:
        if self._next == len(self._notes):
            raise refuse(REPLAY, "a block computed more than it did when it was recorded")
        self._next += 1
        return self._notes[self._next - 1]

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Let functions inside pass as parts of something that is held as a whole."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    @property
    def apart(self) -> bool:
        """Whether what is computed now is a part of something held as a whole."""
        return self._inside > 0

    def norm(
        self, module: nn.Module, forward: Callable[..., Tensor], given: Tensor, *more: Tensor
    ) -> Tensor:
        """A norm whose scale is held."""
        if self.way == "replay":
            return self._turn()(given)
        with self._apart():
            result = forward(given, *more)
            if self.way == "note":
                if more:
                    raise refuse(HOLDING, f"{type(module).__name__} takes more than a state")
                self._notes.append(held_norm(module, forward, given, result))
        return result

    def activation(
        self, module: nn.Module, forward: Callable[..., Tensor], given: Tensor
    ) -> Tensor:
        """An activation whose factor is held."""
        if self.way == "replay":
            return self._turn()(given)
        function: Callable[[Tensor], Tensor] = FORMULAS.get(type(module), forward)
        with self._apart():
            result = function(given)
        if self.way == "note":
            noted = Activation(function, given, result)
            self._notes.append(noted)
            self._unmet.append(noted)
        return result

    def router(self, _: nn.Module, forward: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """A router whose weights and choice are held."""
        return self._held(lambda: forward(*given, **named))

    def gate(self, compute: Callable[[], Tensor]) -> Tensor:
        """A factor that no module computes, held."""
        return self._held(compute)

    def multiplied(self, operand: Tensor) -> None:
        """A product with weights was given an operand."""
        if self.way == "note" and self._unmet:
            self._unmet = [noted for noted in self._unmet if not noted.met(operand)]


def _parts(block: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for module in block.modules():
        name = type(module).__name__
        if type(module) in ACTIVATIONS:
            yield module, "activation"
        elif ROUTER.search(name):
            yield module, "router"
        elif "norm" in name.lower() and not any(True for _ in module.children()):
            yield module, "norm"


@contextmanager
def forward_as(module: nn.Module, function: Callable[..., Any]) -> Iterator[None]:
    """Let a module call a function with itself and its own forward in front."""
    own = module.__dict__.get("forward")
    forward = module.forward
    module.__dict__["forward"] = lambda *given, **named: function(module, forward, *given, **named)
    try:
        yield
    finally:
        del module.__dict__["forward"]
        if own is not None:
            module.__dict__["forward"] = own


class _Watch(TorchFunctionMode):
    """Sees every function of torch that a block calls.

    In a float64 model it lets none of them round to float32, as many families do inside their
    norms, softmax and rotations: what is held would be held to 6e-8 only.
    """

    def __init__(
        self, tape: Tape, hold: Callable[[Callable[[], Tensor]], Tensor], dtype: torch.dtype
    ) -> None:
        super().__init__()
        self._tape, self._hold = tape, hold
        self._widen = dtype == torch.float64

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call the function, or give what is held in its place."""
        kwargs = kwargs or {}
        if self._widen:
            if func is Tensor.float:
                func = Tensor.double
            args = tuple(torch.float64 if given is torch.float32 else given for given in args)
            kwargs = {
                name: torch.float64 if given is torch.float32 else given
                for name, given in kwargs.items()
            }
        if self._tape.apart:
            return func(*args, **kwargs)
        if func in PRODUCTS:
            self._tape.multiplied(args[PRODUCTS[func]])
        elif func in SOFTMAX and self._tape.by_hand.attention and args[0].ndim > 2:
            return self._hold(lambda: func(*args, **kwargs))
        elif func in self._tape.by_hand.factors:
            return self._tape.gate(lambda: func(*args, **kwargs))
        return func(*args, **kwargs)
