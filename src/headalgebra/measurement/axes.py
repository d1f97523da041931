"""The table `axes` of a model: what permutations of axes do to it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from headalgebra.defaults import AXIS_PERMUTATIONS, PERMUTED_TOKENS
from headalgebra.geometry.axes import (
    HeadAxes,
    NoPermutationError,
    Pairing,
    Permuted,
    joint,
    outcomes,
    pair_across,
    pair_within,
    permuted,
    query_only,
    side_by_side,
    stream,
    trace_model,
)
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed
from headalgebra.states import GuardError, Recording

TOKENS_AT_ONCE = 512
"""Copies of the text, each with axes permuted in another way, are read together up to this."""

Pair = Callable[[np.ndarray, np.random.Generator], Pairing]
Draw = Callable[[HeadAxes, np.random.Generator], Iterable[Permuted]]


def measure_axes(
    recording: Recording,
    *,
    sequences: int = 1,
    tokens: int = PERMUTED_TOKENS,
    permutations: int = AXIS_PERMUTATIONS,
    seed: int = 0,
) -> list[Row]:
    """What permutations of the axes of all layers at once do to a model.

    Every permutation costs one pass of the model over the text: 8 times `permutations` of them,
    some side by side.

    Parameters
    ----------
    sequences, tokens
        How many of the recorded sequences are read, and how many tokens of each.
    permutations
        Of every kind, K.

    Returns
    -------
    list
        A row for each kind of permutation: what is permuted (``joint``, ``query only``,
        ``stream``), and what is moved where. ``mean`` and ``standard_error`` over the permutations
        are of the rise of cross-entropy in nats a token, or, without a head, of the change of the
        last state relative to its norm.
    """
    stack = recording.stack
    quantity = "cross_entropy" if stack.predicts else "last_state"
    try:
        axes = trace_model(stack, recording.tokens)
    except GuardError as refused:
        return [
            _row(permuted, quantity, moved, 0, note=str(refused)) for permuted, moved in _kinds()
        ]
    read = recording.tokens[:sequences, :tokens]
    (before,) = outcomes(stack, read)
    at_once = max(1, TOKENS_AT_ONCE // read.numel())
    rows: list[Row] = []
    seeds = layer_seed(seed, "axes", 0).spawn(len(_kinds()))
    for ((which, moved), draw), own_seed in zip(_kinds().items(), seeds, strict=True):
        generator = np.random.default_rng(own_seed)
        found = []
        try:
            for first in range(0, permutations, at_once):
                draws = [
                    [change for block in axes for change in draw(block, generator)]
                    for _ in range(min(at_once, permutations - first))
                ]
                with permuted(side_by_side(draws)):
                    found += [_harm(before, after) for after in outcomes(stack, read, len(draws))]
        except NoPermutationError as none:
            rows.append(_row(which, quantity, moved, 0, note=f"no such permutation: {none}"))
            continue
        note = _left_alone(axes) if which == "joint" else ""
        rows.append(_row(which, quantity, moved, permutations, found, note=note))
    return rows


def _kinds() -> Mapping[tuple[str, str], Draw]:
    """How to draw what is permuted in a block, and what is moved where."""
    ways: dict[str, Pair] = {"within": pair_within, "across": pair_across}
    changes = {"joint": _joint, "query only": _query_only, "stream": _stream}
    own = {
        (which, moved): partial(change, pair)
        for which, change in changes.items()
        for moved, pair in ways.items()
    }
    relabelled = {
        ("stream", f"relabelled {moved}"): partial(_stream, _relabelled(pair))
        for moved, pair in ways.items()
    }
    return own | relabelled


def _joint(pair: Pair, axes: HeadAxes, generator: np.random.Generator) -> Iterable[Permuted]:
    groups, _, width = axes.values.index.shape
    values = pair(_blocks(groups, width), generator)
    free, scores = len(axes.free), None
    if free == axes.width == width:
        scores = values
    elif free > 1:
        scores = pair(_blocks(groups, free), generator)
    return joint(axes, values, scores)


def _query_only(pair: Pair, axes: HeadAxes, generator: np.random.Generator) -> Iterable[Permuted]:
    groups, sharing, width = axes.queries.index.shape
    return [query_only(axes, pair(_blocks(groups * sharing, width), generator))]


def _stream(pair: Pair, axes: HeadAxes, generator: np.random.Generator) -> Iterable[Permuted]:
    if not axes.readers:
        raise NoPermutationError(axes.not_readers)
    if axes.d_model % axes.width:
        raise NoPermutationError(
            f"the {axes.d_model} axes of the state are no blocks of {axes.width}"
        )
    return stream(axes, pair(_blocks(axes.d_model // axes.width, axes.width), generator))


def _relabelled(pair: Pair) -> Pair:
    """In blocks of axes that are dealt out at random."""
    return lambda blocks, generator: pair(
        generator.permutation(blocks.ravel()).reshape(blocks.shape), generator
    )


def _blocks(n: int, width: int) -> np.ndarray:
    return np.arange(n * width).reshape(n, width)


def _harm(before: Tensor, after: Tensor) -> float:
    if not before.ndim:
        return float(after - before)
    return float(torch.linalg.vector_norm(after - before) / torch.linalg.vector_norm(before))


def _left_alone(axes: Sequence[HeadAxes]) -> str:
    """Which queries and keys a joint permutation does not move."""
    free = [len(block.free) for block in axes]
    if all(n == block.width for n, block in zip(free, axes, strict=True)):
        return ""
    some = str(free[0]) if len(set(free)) == 1 else f"{min(free)} to {max(free)}"
    return (
        f"of queries and keys {some} of {axes[0].width} axes a head are permuted: positions turn, "
        "or norms scale, the others"
    )


def _row(
    which: str,
    quantity: str,
    moved: str,
    permutations: int,
    found: Sequence[float] = (),
    *,
    note: str,
) -> Row:
    values = np.array(found)
    return {
        "permuted": which,
        "quantity": quantity,
        "moved": moved,
        "layer": None,
        "permutations": permutations,
        "mean": float(values.mean()) if found else None,
        "standard_error": (
            float(values.std(ddof=1) / len(values) ** 0.5) if len(found) > 1 else None
        ),
        "note": note,
    }
