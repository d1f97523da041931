"""The pass in which a model reads a text and its states are written down."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from headalgebra.states.frozen import FrozenBlock
from headalgebra.states.guards import (
    AGREEMENT,
    BLOCKS,
    EAGER,
    KEYWORDS,
    PROBABILITIES,
    Guard,
    refuse,
)
from headalgebra.states.held import Tape, forward_as
from headalgebra.states.inside import Inside
from headalgebra.states.structure import Call, Stack, find_stack, left_by

GUARDED_TOKENS = 32
"""Of the first sequence: those on which blocks are tested for being affine."""

EVERYTHING = slice(None)


@dataclass(frozen=True)
class Recording:
    """The states of a model that has read a text, on disk, and its blocks as affine maps.

    Attributes
    ----------
    stack
        The model's blocks.
    tokens
        [N, T], what it read.
    folder
        Where the states are.
    per_pass
        Sequences that pass through the model at once.
    guards
        What each guard found; all passed. Empty if the recording was opened again.
    """

    stack: Stack
    tokens: Int[Tensor, "N T"]
    folder: Path
    per_pass: int
    guards: tuple[Guard, ...] = ()
    _calls: tuple[Call, ...] = field(default=(), repr=False)

    @property
    def n_blocks(self) -> int:
        """Number of blocks, L."""
        return len(self.stack.blocks)

    def state(self, place: int, sequences: slice = EVERYTHING) -> Float[Tensor, "N T d"]:
        """x_0 … x_L: what enters the first block, and what each block leaves.

        On the model's device.
        """
        first, end, step = sequences.indices(len(self.tokens))
        parts = []
        for part in self.passes:
            begin, stop = max(first, part.start), min(end, part.stop)
            if begin < stop:
                with safe_open(state_file(self.folder, place, part), framework="pt") as file:
                    rows = slice(begin - part.start, stop - part.start)
                    parts.append(file.get_slice("state")[rows])
        whole = parts[0] if len(parts) == 1 else torch.cat(parts)
        return whole[::step].to(self.stack.device)

    @property
    def passes(self) -> list[slice]:
        """Which sequences pass through the model together."""
        return passes_of(len(self.tokens), self.per_pass)

    def blocks(
        self,
        sequences: slice = EVERYTHING,
        *,
        backwards: bool = False,
        looking_inside: bool = False,
    ) -> Iterator[FrozenBlock]:
        """The blocks from the first to the last, each made anew when its turn comes.

        ``sequences`` may be some of the N: the map is the same for each. ``backwards`` gives the
        last block first. ``looking_inside`` lets each have what entered its norms, activations
        and attention.

        Raises
        ------
        GuardError
            If a block does not give what was recorded again.
        """
        tokens = self.tokens[sequences]
        whole = len(tokens) == len(self.tokens)
        calls = self._calls if whole and self._calls else calls_of(self.stack, tokens)
        layers = range(self.n_blocks)
        for layer in reversed(layers) if backwards else layers:
            inside = Inside() if looking_inside else None
            state = self.state(layer, sequences)
            block = FrozenBlock(calls[layer], self.stack, layer, state, inside)
            block.replay(block.output, self.state(layer + 1, sequences)).demand()
            yield block


def passes_of(sequences: int, per_pass: int) -> list[slice]:
    """The sequences 0 … N − 1, so many at once."""
    starts = range(0, sequences, per_pass)
    return [slice(start, min(start + per_pass, sequences)) for start in starts]


def record(
    model: PreTrainedModel,
    tokens: Int[Tensor, "N T"],
    folder: Path,
    *,
    per_pass: int | None = None,
) -> Recording:
    """Let a model read tokens, write down its states, and apply every guard.

    Peak memory is that of the model, of four states, and of one block's attention in one pass.

    Parameters
    ----------
    model
        In evaluation mode, float64 or float32, with or without a head. Of an
        encoder-decoder, the encoder.
    tokens
        Every sequence has T of them.
    folder
        For the states, made if it is not there.
    per_pass
        Sequences that pass through the model at once, all by default.

    Raises
    ------
    GuardError
        If the model fails a guard.
    ValueError
        If it is no model of text that can be run as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stack = find_stack(model, tokens)
    per_pass = len(tokens) if per_pass is None else per_pass
    calls = write_states(stack, tokens, folder, per_pass)
    recording = Recording(stack, tokens, folder, per_pass, (), calls)
    guards = (
        agreement(recording),
        # The pass would have been refused.
        Guard(KEYWORDS, 0.0, 0.0),
        Guard(PROBABILITIES, 0.0, 0.0),
        *affine_guards(stack, tokens),
    )
    for guard in guards:
        guard.demand()
    return Recording(stack, tokens, folder, per_pass, guards, calls)


def write_states(
    stack: Stack, tokens: Int[Tensor, "N T"], folder: Path, per_pass: int
) -> tuple[Call, ...]:
    """Write down every state as it comes, and last of all the tokens; no guard but (b) and (c).

    Returns what the blocks were given beside the state, if all sequences passed at once.
    """
    (folder / TOKENS).unlink(missing_ok=True)
    passes = passes_of(len(tokens), per_pass)
    for part in passes:

        def write(place: int, state: Tensor, part: slice = part) -> None:
            _save({"state": state.cpu().contiguous()}, state_file(folder, place, part))

        calls = calls_of(stack, tokens[part], write)
    _save({"tokens": tokens.cpu(), "per_pass": torch.tensor(per_pass)}, folder / TOKENS)
    return calls if len(passes) == 1 else ()


def open_recording(model: PreTrainedModel, tokens: Int[Tensor, "N T"], folder: Path) -> Recording:
    """Open what :func:`record` wrote, with the same model and tokens.

    Raises
    ------
    ValueError
        If it is of other tokens, or not whole. Of another model, its blocks will be refused.
    """
    if not (folder / TOKENS).exists():
        raise ValueError(f"{folder} holds no whole recording; record it again")
    with safe_open(folder / TOKENS, framework="pt") as file:
        if not torch.equal(file.get_tensor("tokens"), tokens.cpu()):
            raise ValueError(f"{folder} is a recording of other tokens; record it again")
        per_pass = int(file.get_tensor("per_pass"))
    return Recording(find_stack(model, tokens), tokens, folder, per_pass)


TOKENS = "tokens.safetensors"


def state_file(folder: Path, place: int, part: slice) -> Path:
    """Where x_l of the sequences that passed together is, l = 0 … L."""
    return folder / f"state_{place:03d}_{part.start:05d}.safetensors"


def _save(tensors: dict[str, Tensor], file: Path) -> None:
    aside = file.with_suffix(".part")
    save_file(tensors, aside)
    aside.replace(file)


def calls_of(
    stack: Stack, tokens: Tensor, write: Callable[[int, Tensor], None] | None = None
) -> tuple[Call, ...]:
    """What each block is given beside the state when the model reads tokens.

    ``write``, if any, is given the number and the value of each state as it comes.

    Raises
    ------
    GuardError
        If the blocks are not one chain, or one does not compute exactly one attention pattern.
    """
    calls: list[Call] = []
    last: list[Tensor] = []

    def pass_on(block: nn.Module, forward: Any, *given: Any, **named: Any) -> Any:
        call, state = Call.split(block, given, named)
        if not calls and write is not None:
            write(0, state)
        if last and not torch.equal(last.pop(), state):
            raise refuse(BLOCKS, f"block {len(calls)} is not given what the one before left")
        calls.append(call)
        with Tape(block, stack.by_hand).running("live", stack.dtype):
            output = forward(*given, **named)
        last[:] = [left_by(output)]
        if write is not None:
            write(len(calls), left_by(output))
        return output

    with ExitStack() as context:
        for block in dict.fromkeys(stack.blocks):
            context.enter_context(forward_as(block, pass_on))
        stack.read(tokens, stack.attention)
    if [call.block for call in calls] != list(stack.blocks):
        raise refuse(BLOCKS, "the blocks are not called in the order in which they were found")
    return tuple(calls)


def agreement(recording: Recording) -> Guard:
    """Guard (a): how far the recorded states are from the untouched model's, first sequence."""
    stack, first = recording.stack, slice(0, 1)
    errors: list[float] = []

    def compare(_: nn.Module, __: Any, output: Any) -> None:
        expected = left_by(output)
        found = recording.state(len(errors) + 1, first)
        error = torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected)
        errors.append(float(error))

    hooks = [block.register_forward_hook(compare) for block in dict.fromkeys(stack.blocks)]
    try:
        stack.read(recording.tokens[first], stack.untouched)
    finally:
        for hook in hooks:
            hook.remove()
    worst = max(range(len(errors)), key=errors.__getitem__)
    return Guard(EAGER, errors[worst], AGREEMENT[stack.dtype], f"state that block {worst} leaves")


def live_blocks(stack: Stack, tokens: Int[Tensor, "N T"]) -> Iterator[FrozenBlock]:
    """The frozen blocks of a text that is not recorded, in order, each from what the last left."""
    entering: list[Tensor] = []
    calls = calls_of(stack, tokens, lambda place, state: None if place else entering.append(state))
    (state,) = entering
    for layer, call in enumerate(calls):
        block = FrozenBlock(call, stack, layer, state)
        yield block
        state = block.output


def affine_guards(stack: Stack, tokens: Int[Tensor, "N T"]) -> Iterator[Guard]:
    """Guard (d), the replay of what is frozen, and locality, on a few tokens; the worst block."""
    generator = torch.Generator().manual_seed(0)
    affinity: list[Guard] = []
    replay: list[Guard] = []
    locality: list[Guard] = []
    for block in live_blocks(stack, tokens[:1, :GUARDED_TOKENS]):
        replay.append(block.replay(block(block.input), block.output))
        affinity.append(block.affinity(generator))
        locality.append(block.locality(generator))
    for guards in (affinity, replay, locality):
        # A value that is no number is the worst.
        yield max(guards, key=lambda guard: (not guard.passed, guard.value))
