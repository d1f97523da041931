"""A model some of whose axes are permuted, and what comes out of it.

To permute rows of a projection's weights and of its bias is to permute its output, and to permute
columns is to permute its input: so the weights themselves are left alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from headalgebra.geometry.axes.pairs import Pairing
from headalgebra.geometry.axes.places import HeadAxes, Places
from headalgebra.states.held import forward_as
from headalgebra.states.recording import calls_of
from headalgebra.states.resume import logits_from
from headalgebra.states.structure import Stack


@dataclass(frozen=True)
class Permuted:
    """An order of the rows, or of the columns, of a linear module.

    Attributes
    ----------
    module
        The module.
    order
        Row or column i is what row or column ``order[i]`` was. With K orders, each K-th of a batch
        has its own.
    rows
        Whether it is of the rows.
    """

    module: nn.Module
    order: Int[Tensor, "*K n"]
    rows: bool

    def __call__(
        self, _: nn.Module, forward: Callable[[Tensor], Tensor], x: Float[Tensor, "*batch i"]
    ) -> Float[Tensor, "*batch o"]:
        """What the module with its weights and bias permuted gives."""
        order = self.order.to(x.device)
        if self.rows:
            return _reordered(forward(x), order)
        return forward(_reordered(x, order.argsort(-1)))


def _reordered(x: Float[Tensor, "*batch n"], order: Int[Tensor, "*K n"]) -> Tensor:
    if order.ndim == 1:
        return x[..., order]
    parts = x.reshape(len(order), -1, x.shape[-1])
    return parts.gather(-1, order[:, None].expand_as(parts)).view(x.shape)


def side_by_side(draws: Iterable[Sequence[Permuted]]) -> list[Permuted]:
    """K drawn sets of permutations of the same modules, for a batch of K copies of a text."""
    return [
        Permuted(of_place[0].module, torch.stack([p.order for p in of_place]), of_place[0].rows)
        for of_place in zip(*draws, strict=True)
    ]


def joint(axes: HeadAxes, values: Pairing, scores: Pairing | None = None) -> Iterator[Permuted]:
    """Permute values together with what reads them, and queries together with keys.

    Parameters
    ----------
    axes
        Of a block.
    values
        Of the axes of all key heads' values, head by head. The heads that share one have its
        permutation.
    scores
        Of the free axes of all key heads, likewise; None to leave queries and keys alone.
    """
    yield _permuted(axes.values, values, rows=True)
    yield _permuted(axes.outputs, values, rows=False)
    if scores is not None and axes.free_queries and axes.free_keys:
        yield _permuted(axes.free_queries, scores, rows=True)
        yield _permuted(axes.free_keys, scores, rows=True)


def query_only(axes: HeadAxes, queries: Pairing) -> Permuted:
    """Permute the axes of all heads' queries, and nothing else."""
    index = axes.queries.index
    apart = Places(axes.queries.module, index.reshape(-1, 1, index.shape[2]))
    return _permuted(apart, queries, rows=True)


def stream(axes: HeadAxes, coordinates: Pairing) -> Iterator[Permuted]:
    """Permute the coordinates of the state as queries, keys and values read it."""
    for module in axes.readers:
        yield Permuted(module, torch.from_numpy(coordinates), rows=False)


def _permuted(places: Places, pairing: Pairing, *, rows: bool) -> Permuted:
    weight = places.module.weight
    linear = isinstance(places.module, nn.Linear)
    order = torch.arange(weight.shape[0 if linear == rows else 1])
    # Members of a group one after another: [m, G n].
    index = places.index.transpose(0, 1).flatten(1).cpu()
    order[index] = index[:, torch.from_numpy(pairing)]
    return Permuted(places.module, order, rows)


@contextmanager
def permuted(permutations: Iterable[Permuted]) -> Iterator[None]:
    """Let modules inside compute what they would with their weights permuted."""
    with ExitStack() as context:
        for permutation in permutations:
            context.enter_context(forward_as(permutation.module, permutation))
        yield


def outcomes(
    stack: Stack, tokens: Int[Tensor, "N T"], copies: int = 1
) -> Float[Tensor, "K *outcome"]:
    """What a model makes of each of K copies of a text, read in one pass.

    Returns
    -------
    Tensor
        With a head, the mean cross-entropy of the next tokens, in nats, [K]; otherwise the last
        state, [K, N, T, d].
    """
    read = tokens.repeat(copies, 1)
    last: list[Tensor] = []

    def keep(_: int, state: Tensor) -> None:
        last[:] = [state]

    with torch.no_grad():
        calls_of(stack, read, keep)
        if not stack.predicts:
            return last[0].unflatten(0, (copies, len(tokens)))
        logits = logits_from(stack, last[0], len(stack.blocks))[:, :-1].double()
    of_tokens = nn.functional.cross_entropy(logits.mT, read[:, 1:], reduction="none")
    return of_tokens.view(copies, -1).mean(-1)
