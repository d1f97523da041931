"""Frozen blocks: the affine map that a block is at one input, and its derivative there."""

from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headalgebra.states.activations import Activation, derivative
from headalgebra.states.attention import NAME, implementation, tokens_apart
from headalgebra.states.guards import AFFINITY, LOCALITY, REPLAY, Guard, affine_tolerance
from headalgebra.states.held import Tape, Way
from headalgebra.states.inside import Inside
from headalgebra.states.norms import HeldNorm
from headalgebra.states.structure import Call, Stack


class FrozenBlock:
    """One block with its attention, its norms' scales and its activations' factors held.

    They are held at their values for one input, where this affine map gives what the block gives.
    Many other affine maps do too; this choice is the usual one.

    Parameters
    ----------
    call
        The block, and what it is given beside the state.
    stack
        The model that it is of.
    layer
        Its number, from 0.
    given
        The state that enters it.
    inside
        Where to keep what enters its norms, activations and attention; None to keep nothing.

    Raises
    ------
    GuardError
        If the block computes no or several attention patterns, or has a norm or an activation
        whose factor cannot be held.
    """

    def __init__(
        self,
        call: Call,
        stack: Stack,
        layer: int,
        given: Float[Tensor, "N T d"],
        inside: Inside | None = None,
    ) -> None:
        self.layer = layer
        self.input = given
        self.inside = inside
        self._call, self._attention = call, stack.attention
        self._tape = Tape(call.block, stack.by_hand, inside)
        with torch.no_grad():
            self.output = self._run(given, "note")
        self._settle()

    def replay(self, found: Float[Tensor, "N T d"], expected: Float[Tensor, "N T d"]) -> Guard:
        """How far a state that left the block is from what it should be."""
        error = torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected)
        return Guard(
            REPLAY, float(error), affine_tolerance(found.dtype), f"block {self.layer}, run again"
        )

    @property
    def module(self) -> nn.Module:
        """The block itself."""
        return self._call.block

    @property
    def probabilities(self) -> Float[Tensor, "N H T T"]:
        """What its attention was, a row for each token that looks."""
        n, t, _ = self.input.shape
        (P,) = self._tape.probabilities
        return P.reshape(n, -1, t, P.shape[-1])[..., :t]

    @property
    def norms(self) -> Mapping[str, HeldNorm]:
        """Its norms by their names in the block, in the order in which they are computed."""
        return self._tape.norms

    @property
    def causal(self) -> bool:
        """Whether no token sees a later one here."""
        return not bool(self.probabilities.triu(1).any())

    def __call__(self, states: Float[Tensor, "N T d"]) -> Float[Tensor, "N T d"]:
        """``M x + b``."""
        with torch.no_grad():
            return self._run(states, "replay")

    @cached_property
    def offset(self) -> Float[Tensor, "N T d"]:
        """``b``, what it makes of zero."""
        return self(torch.zeros_like(self.input))

    def linear(self, states: Float[Tensor, "N T d"]) -> Float[Tensor, "N T d"]:
        """``M x``, by one application."""
        return self(states) - self.offset

    def linear_apart(self, states: Float[Tensor, "N T d"]) -> Float[Tensor, "N T d"]:
        """``M x`` with every token on its own: attention keeps what a token gives itself.

        Under a causal mask M is block lower triangular in the tokens, and these are its diagonal
        blocks, which have all its eigenvalues.
        """
        self._tape.tokens_apart = True
        try:
            return self(states) - self(torch.zeros_like(states))
        finally:
            self._tape.tokens_apart = False

    def adjoint(self, states: Float[Tensor, "N T d"]) -> Float[Tensor, "N T d"]:
        """``Mᵀ y``."""
        with torch.no_grad():
            return self._pullback(states)[0]

    def tangent(self, directions: Float[Tensor, "N T d"]) -> Float[Tensor, "N T d"]:
        """``J dx``, the derivative of the block itself at its input; nothing is held."""
        with torch.no_grad():
            return self._pushforward(directions)[0]

    def tangents(self, directions: Float[Tensor, "n N T d"]) -> Float[Tensor, "n N T d"]:
        """``J dx`` of n directions at once, for which the block itself is computed only once."""
        with torch.no_grad():
            return torch.vmap(self._along)(directions)

    def tangent_apart(self, directions: Float[Tensor, "N T d"]) -> Float[Tensor, "N T d"]:
        """``J dx`` with every token on its own: what it reads of others is taken for constant.

        As :meth:`linear_apart`, of the derivative.

        Raises
        ------
        ValueError
            If attention is computed by the family's own code, which cannot be told to.
        """
        if self._attention != NAME:
            raise ValueError("attention of the family's own does not let tokens be taken apart")
        with torch.no_grad():
            return self._pushforward_apart(directions)[0]

    @property
    def takes_tokens_apart(self) -> bool:
        """Whether :meth:`tangent_apart` is there."""
        return self._attention == NAME

    def tangent_adjoint(self, states: Float[Tensor, "N T d"]) -> Float[Tensor, "N T d"]:
        """``Jᵀ y``."""
        with torch.no_grad():
            return self._live_pullback(states)[0]

    def live(self, states: Float[Tensor, "N T d"]) -> Float[Tensor, "N T d"]:
        """What the block itself makes of states; nothing is held."""
        with torch.no_grad():
            return self._run(states, "live")

    def attending(
        self, probabilities: Float[Tensor, "H T T"], states: Float[Tensor, "N T d"]
    ) -> Float[Tensor, "N T d"]:
        """What the block makes of states when its attention is given; all else is live."""
        self._tape.instead = probabilities[None]
        try:
            return self.live(states)
        finally:
            self._tape.instead = None

    def rescaled(
        self,
        scales: Mapping[str, Float[Tensor, "... 1"]],
        states: Float[Tensor, "N T d"],
        *,
        live: bool = False,
    ) -> Float[Tensor, "N T d"]:
        """What the block makes of states when some of its norms multiply by other scales.

        Parameters
        ----------
        scales
            By the names of the norms: one number for each vector, or one for all.
        states
            That enter it.
        live
            Whether all else is live too, or held as ever.

        Raises
        ------
        ValueError
            If the block has no norm of a name.
        """
        if unknown := scales.keys() - self.norms.keys():
            raise ValueError(f"block {self.layer} has no norm {', '.join(sorted(unknown))}")
        self._tape.scales = scales
        try:
            return self.live(states) if live else self(states)
        finally:
            self._tape.scales = {}

    def affinity(self, generator: torch.Generator) -> Guard:
        """How far it is from affine, three standard deviations of each token away.

        The largest over tokens of ``|F(x+δ+ε) − F(x+δ) − F(x+ε) + F(x)| / |F(x+δ+ε) − F(x)|``,
        the second taken over all tokens where it is smaller.
        """
        x = self.input
        spread = 3 * x.std(-1, keepdim=True)
        one, other = (
            spread * torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
            for _ in range(2)
        )
        at, both = self(x), self(x + one + other)
        bend = torch.linalg.vector_norm(both - self(x + one) - self(x + other) + at, dim=-1)
        change = torch.linalg.vector_norm(both - at, dim=-1)
        error = float((bend / change.clamp_min(float(change.square().mean().sqrt()))).max())
        return Guard(AFFINITY, error, affine_tolerance(x.dtype), f"block {self.layer}")

    def locality(self, generator: torch.Generator) -> Guard:
        """What a token changes of the others where attention gives each token itself alone.

        Nothing is held but that: norms and the feed-forward part are live. Every second token is
        moved by a standard deviation; the value is the largest change of one that is not, over the
        largest of one that is.
        """
        x = self.input
        draw = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        moved = x.clone()
        moved[:, ::2] += (x.std(-1, keepdim=True) * draw)[:, ::2]
        self._tape.tokens_apart = True
        try:
            change = torch.linalg.vector_norm(self.live(moved) - self.live(x), dim=-1)
        finally:
            self._tape.tokens_apart = False
        error = float(change[:, 1::2].max() / change[:, ::2].max())
        return Guard(LOCALITY, error, affine_tolerance(x.dtype), f"block {self.layer}")

    def _along(self, direction: Tensor) -> Tensor:
        return derivative(lambda state: self._run(state, "live"), self.input, direction)[1]

    @cached_property
    def _live_pullback(self) -> Callable[[Tensor], tuple[Tensor]]:
        return self._pulled_back("live")

    @cached_property
    def _pushforward(self) -> Callable[[Tensor], tuple[Tensor]]:
        return self._transposed(self._live_pullback)

    @cached_property
    def _pushforward_apart(self) -> Callable[[Tensor], tuple[Tensor]]:
        with tokens_apart():
            return self._transposed(self._pulled_back("live"))

    def _pulled_back(self, way: Way) -> Callable[[Tensor], tuple[Tensor]]:
        _, pullback, *_ = torch.func.vjp(lambda x: self._run(x, way), self.input)
        return pullback

    def _transposed(
        self, pullback: Callable[[Tensor], tuple[Tensor]]
    ) -> Callable[[Tensor], tuple[Tensor]]:
        """``dx ↦ J dx`` from ``y ↦ Jᵀ y``, which is linear.

        Forward mode would run the block once more for each direction.
        """
        _, pushforward, *_ = torch.func.vjp(lambda y: pullback(y)[0], torch.zeros_like(self.input))
        return pushforward

    @cached_property
    def _pullback(self) -> Callable[[Tensor], tuple[Tensor]]:
        return self._pulled_back("replay")

    def _run(self, states: Tensor, way: Way) -> Tensor:
        with (
            implementation(self._call.block, self._attention),
            self._tape.running(way, self.input.dtype),
        ):
            return self._call(states)

    def _settle(self) -> None:
        """Take an activation for plain that no product tells apart, unless that is not affine."""
        unsettled: list[Activation] = self._tape.unsettled
        if unsettled and not self.affinity(torch.Generator().manual_seed(0)).passed:
            for activation in unsettled:
                activation.gated = True
