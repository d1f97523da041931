"""Which weights make the axes of a block's heads, and which read them, found by marking them.

Every linear module of a block is made to give marks, the numbers of its own rows, in place of its
output. Queries, keys and values then say at the first token, where rotary positions turn nothing,
which row each of their axes comes from, whatever the family calls, fuses or interleaves. Marks
given out in place of what attention gives show which column of which module reads each axis.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers.pytorch_utils import Conv1D

from headalgebra.geometry.axes.places import HeadAxes, Linear, Places
from headalgebra.states.attention import holding, implementation
from headalgebra.states.guards import refuse
from headalgebra.states.held import forward_as
from headalgebra.states.norms import is_norm
from headalgebra.states.recording import calls_of
from headalgebra.states.structure import Call, Stack

AXES = "axes"
"""Every axis of a block's heads is one row of weights, and is read by one column."""

MARKED_TOKENS = 32
"""Later tokens show which axes positions turn: slow rotations too, by the last of these."""

NEAR = 0.1
"""Of a whole number, what counts as that mark; a common factor in float32 leaves hundredths."""

PLAIN = (nn.Linear.forward, Conv1D.forward)
"""Of modules that give a product with their weights and no more."""

PRODUCTS = frozenset(("matmul", "__matmul__", "bmm", "baddbmm"))
"""Functions of torch by which states are multiplied with states."""


@dataclass(frozen=True)
class _Seen:
    """What passed in a block whose linear modules gave marks."""

    queries: Float[Tensor, "H T r"]
    keys: Float[Tensor, "H T r"]
    values: Float[Tensor, "H T v"]
    given: dict[nn.Module, Tensor]


def trace_model(stack: Stack, tokens: Int[Tensor, "N T"]) -> list[HeadAxes]:
    """The axes of the heads of every block, a block that is called several times once.

    Raises
    ------
    GuardError
        As for :func:`trace_axes`.
    """
    states: list[Tensor] = []
    first = tokens[:1, :MARKED_TOKENS]
    with torch.no_grad():
        calls = calls_of(stack, first, lambda _, state: states.append(state))
    once = {call.block: (call, state) for call, state in zip(calls, states, strict=False)}
    return [trace_axes(call, state, stack) for call, state in once.values()]


def trace_axes(call: Call, state: Float[Tensor, "1 T d"], stack: Stack) -> HeadAxes:
    """Find the weights that make and read the axes of a block's heads.

    Parameters
    ----------
    call
        The block, and what it is given beside the state.
    state
        What enters it, one sequence.
    stack
        The model that it is of.

    Raises
    ------
    GuardError
        If an axis of the values, or of what attention gives, is not one row or one column of
        weights times a common factor; by reason.
    """
    trace = _Trace(call, state, stack)
    marked, alive = trace.seen(trace.marks), trace.seen(trace.marks, norms=True)
    nothing, ones = (trace.seen([torch.full_like(m, c) for m in trace.marks]) for c in (0.0, 1.0))
    found = {
        part: _read_marks(part, *(getattr(seen, part) for seen in (marked, nothing, ones)))
        for part in ("queries", "keys", "values")
    }
    heads = _sharing(found["values"])
    queries, keys, values = (rows[heads] for rows in found.values())
    untouched = [
        (getattr(alive, part) == getattr(marked, part)[:, :1]).flatten(0, 1).all(0)
        for part in ("queries", "keys", "values")
    ]
    if not untouched[2].all():
        raise refuse(AXES, f"{trace.name} turns or normalises its values")
    free = (untouched[0] & untouched[1]).nonzero()[:, 0]
    if len(queries.unique()) != queries.numel():
        raise refuse(AXES, f"{trace.name} makes several queries of one row of weights")
    free_queries = free_keys = None
    if len(free):
        free_queries = trace.places(queries[..., free])
        free_keys = trace.places(_shared(keys[..., free], "keys"))
    readers, not_readers = trace.readers(torch.cat([m.flatten() for m in found.values()]), alive)
    return HeadAxes(
        trace.places(queries),
        free,
        free_queries,
        free_keys,
        trace.places(_shared(values, "values")),
        trace.outputs(heads, alive),
        readers,
        not_readers,
    )


class _Trace:
    """A block whose linear modules, norms and attention are replaced by what marks them."""

    def __init__(self, call: Call, state: Tensor, stack: Stack) -> None:
        self.name = type(call.block).__name__
        self._call, self._state, self._stack = call, state, stack
        self._linear = [m for m in call.block.modules() if isinstance(m, Linear)]
        sizes = [m.weight.shape[isinstance(m, Conv1D)] for m in self._linear]
        self._ends = torch.tensor(sizes).cumsum(0)
        # From 1: a rotation moves a mark of 0 to 0.
        self._first = 1 + int(self._ends[-1]) if sizes else 1
        every = torch.arange(1, self._first, dtype=state.dtype, device=state.device)
        self.marks = list(every.split(sizes))

    def seen(self, marks: list[Tensor], *, norms: bool = False) -> _Seen:
        """Run the block once, with its norms or without."""
        given: dict[nn.Module, Tensor] = {}
        rows: dict[nn.Module, Tensor] = dict(zip(self._linear, marks, strict=True))

        def mark(module: nn.Module, forward: Callable[..., Any], x: Tensor) -> Any:
            ours = rows[module]
            if type(module).forward not in PLAIN:
                output = forward(x)
                # A router may be a linear module that gives its choice.
                if not isinstance(output, Tensor) or output.shape[-1:] != ours.shape:
                    return output
            given[module] = x
            return ours.expand(*x.shape[:-1], -1).clone()

        products = _Products(self._first)
        with ExitStack() as context:
            for module in self._linear:
                context.enter_context(forward_as(module, mark))
            for part in self._call.block.modules() if not norms else ():
                if is_norm(part):
                    context.enter_context(forward_as(part, _as_it_is))
            context.enter_context(torch.no_grad())
            context.enter_context(implementation(self._call.block, self._stack.attention))
            context.enter_context(holding(lambda compute: compute()))
            context.enter_context(products)
            self._call(self._state)
        if len(products.operands) != 2:
            raise refuse(
                AXES,
                f"{self.name} multiplies states with states {len(products.operands)} times, not "
                "for scores and for what attention gives alone",
                float(abs(len(products.operands) - 2)),
            )
        (queries, keys), (weights, values) = products.operands
        if products.given_out is None or weights.shape[-1] != values.shape[-2]:
            raise refuse(AXES, f"{self.name} gives out no product of weights and values")
        tokens = self._state.shape[1]
        heads = queries.numel() // (tokens * queries.shape[-1])
        q, k, v = (_by_head(part, heads, tokens) for part in (queries, keys.mT, values))
        return _Seen(q, k, v, given)

    def places(self, marks: Int[Tensor, "G m n"]) -> Places:
        """The module whose rows have these marks, and which rows they are."""
        rows = marks - 1
        module = torch.bucketize(rows, self._ends.to(rows.device), right=True)
        if len(module.unique()) > 1:
            raise refuse(AXES, f"{self.name} has axes of one kind in several modules")
        which = int(module.flatten()[0])
        start = int(self._ends[which]) - len(self.marks[which])
        return Places(self._linear[which], rows - start)

    def outputs(self, heads: Int[Tensor, "G m"], seen: _Seen) -> Places:
        """The module that reads what attention gives, and which of its columns read which axis."""
        width = seen.values.shape[-1]
        size = heads.numel() * width
        expected = torch.arange(self._first, self._first + size)
        found = []
        for module in self._linear:
            if (x := seen.given.get(module)) is None:
                continue
            columns = x.reshape(-1, x.shape[-1])
            if columns.shape[1] != size or not (columns == columns[0]).all():
                continue
            order = columns[0].argsort()
            if torch.equal(columns[0][order].long().cpu(), expected):
                axes = heads[..., None] * width + torch.arange(width, device=heads.device)
                found.append(Places(module, order[axes]))
        if len(found) != 1:
            raise refuse(AXES, f"{self.name} does not read once, as it is, what attention gives")
        return found[0]

    def readers(self, marks: Int[Tensor, " n"], seen: _Seen) -> tuple[tuple[Linear, ...], str]:
        """Modules that make queries, keys and values out of the state, or why there are none."""
        which = torch.bucketize(marks - 1, self._ends.to(marks.device), right=True)
        found = which.unique().tolist()
        given = [seen.given[self._linear[i]] for i in found]
        if any(not torch.equal(x, given[0]) for x in given):
            return (), "queries, keys and values are not made of one state"
        if given[0].shape[-1] != self._state.shape[-1]:
            return (), "queries, keys and values are not made of the whole state"
        if sum(len(self.marks[i]) for i in found) != len(marks.unique()):
            return (), "what makes queries, keys and values makes something else too"
        return tuple(self._linear[i] for i in found), ""


class _Products(TorchFunctionMode):
    """Sees the products of states with states, and gives out marks in place of the second."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.operands: list[tuple[Tensor, Tensor]] = []
        self.given_out: Tensor | None = None
        self._first = first

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call the function, and look at what it is given."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if getattr(func, "__name__", "") not in PRODUCTS:
            return result
        given = [
            part
            for part in (*args, *kwargs.values())
            if isinstance(part, Tensor) and part.ndim > 2 and not isinstance(part, nn.Parameter)
        ]
        # What is added to the product, if anything, stands in front.
        if len(given) < 2:
            return result
        self.operands.append((given[-2], given[-1]))
        if len(self.operands) != 2:
            return result
        heads, width = math.prod(result.shape[:-2]), result.shape[-1]
        marks = torch.arange(self._first, self._first + heads * width).to(result)
        self.given_out = marks.view(*result.shape[:-2], 1, width).expand_as(result).clone()
        return self.given_out


def _as_it_is(_: nn.Module, __: Any, x: Tensor, *___: Any) -> Tensor:
    return x


def _by_head(part: Tensor, heads: int, tokens: int) -> Float[Tensor, "H T n"]:
    """Of one sequence; a head that others share once for each."""
    part = part.reshape(-1, tokens, part.shape[-1])
    return part.repeat_interleave(heads // len(part), 0)


def _read_marks(part: str, marked: Tensor, nothing: Tensor, ones: Tensor) -> Int[Tensor, "H n"]:
    """The marks at the first token, without the common factor that they were multiplied by."""
    marked, nothing, ones = (seen[:, 0].double() for seen in (marked, nothing, ones))
    factor = ones.flatten()[0]
    marks = marked / factor
    if not (nothing == 0).all() or not (ones == factor).all() or not marks.isfinite().all():
        raise refuse(AXES, f"{part} are more than rows of weights times a common factor")
    off = float((marks - marks.round()).abs().max())
    if off > NEAR:
        raise refuse(AXES, f"{part} are not rows of weights as they are", off)
    return marks.round().long()


def _sharing(values: Int[Tensor, "H n"]) -> Int[Tensor, "G m"]:
    """The heads of each key head: those whose values are made of the same rows."""
    _, key_of_head, sharing = values.unique(dim=0, return_inverse=True, return_counts=True)
    if (sharing != sharing[0]).any():
        raise refuse(AXES, "key heads are shared by different numbers of heads")
    return key_of_head.argsort(stable=True).view(len(sharing), -1)


def _shared(marks: Int[Tensor, "G m n"], part: str) -> Int[Tensor, "G 1 n"]:
    """Of the one head of keys or values that m heads share."""
    one = marks[:, :1]
    if not (marks == one).all() or len(one.unique()) != one.numel():
        raise refuse(AXES, f"{part} of a head are not its own, nor those of a group of heads")
    return one
