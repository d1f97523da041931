"""What of a block is held while the rest stays free, noted in the order in which it is computed.

A :class:`Tape` runs a block in one of three ways: live, noting what would be held, or with that
held. Nothing of a block's own code is known here but its norms, activations and routers, which are
recognised by what they compute.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from headalgebra.states.activations import ACTIVATIONS, FORMULAS, Activation
from headalgebra.states.attention import holding, watching
from headalgebra.states.by_hand import ByHand
from headalgebra.states.guards import HOLDING, PROBABILITIES, REPLAY, refuse
from headalgebra.states.inside import ActivationSeen, Inside, NormSeen
from headalgebra.states.norms import HeldNorm, held_norm, is_norm
from headalgebra.variants.normalisers import HeadScale

Way = Literal["live", "note", "replay"]

ROUTER = re.compile(r"(Router|Gate)$")

SOFTMAX = frozenset((nn.functional.softmax, torch.softmax, Tensor.softmax))
# A product with weights: the operand's place.
PRODUCTS = {nn.functional.linear: 0, torch.addmm: 1}


class Tape:
    """The held parts of one block, in the order in which it computes them.

    Parameters
    ----------
    block
        The module.
    by_hand
        What its family computes without a module or the registry.
    inside
        Where to keep, while noting, what enters norms, activations and attention; None to keep
        nothing.
    """

    def __init__(self, block: nn.Module, by_hand: ByHand, inside: Inside | None = None) -> None:
        self.way: Way = "live"
        self.by_hand = by_hand
        self.probabilities: list[Tensor] = []
        self.tokens_apart = False
        self.instead: Tensor | None = None
        self.norms: dict[str, HeldNorm] = {}
        self.scales: Mapping[str, Tensor] = {}
        self.inside = inside
        self._parts = list(_parts(block))
        self._names = {module: name for name, module in block.named_modules()}
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
            self.norms = {}
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
            if way == "note" and self.inside is not None:
                stack.enter_context(watching(self.inside.attention.append))
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
        """A norm whose scale is held, or given."""
        name = self._names[module]
        held = self._turn() if self.way == "replay" else self.norms.get(name)
        if held is not None and name in self.scales:
            return replace(held, scale=self.scales[name])(given)
        if held is not None and self.way == "replay":
            return held(given)
        with self._apart():
            result = forward(given, *more)
            if self.way == "note":
                if more:
                    raise refuse(HOLDING, f"{type(module).__name__} takes more than a state")
                held = held_norm(module, forward, given, result)
                self._notes.append(held)
                self.norms[name] = held
                if self.inside is not None:
                    self.inside.norms.append(NormSeen(name, held, given))
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
            noted = Activation(self._names[module], function, given, result)
            self._notes.append(noted)
            self._unmet.append(noted)
        return result

    def router(self, _: nn.Module, forward: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """A router whose weights and choice are held, or the scale of blocks of axes."""
        return self._held(lambda: forward(*given, **named))

    def gate(self, compute: Callable[[], Tensor]) -> Tensor:
        """A factor that no module computes, held."""
        return self._held(compute)

    def multiplied(self, operand: Tensor) -> None:
        """A product with weights was given an operand."""
        if self.way != "note" or not self._unmet:
            return
        met = [noted for noted in self._unmet if noted.met(operand)]
        self._unmet = [noted for noted in self._unmet if noted not in met]
        if self.inside is not None:
            self.inside.activations.extend(
                ActivationSeen(noted.name, noted.given, operand.reshape(noted.given.shape))
                for noted in met
            )


def _parts(block: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for module in block.modules():
        name = type(module).__name__
        if type(module) in ACTIVATIONS:
            yield module, "activation"
        elif ROUTER.search(name) or isinstance(module, HeadScale):
            yield module, "router"
        elif is_norm(module):
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
