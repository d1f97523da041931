"""A model some of whose axes are permuted, and what comes out of it.

To permute rows of a projection's weights and of its bias is to permute its output, and to permute
columns is to permute its input: so the weights themselves are left alone.
"""

from collections.abc import Callable, Iterable, Iterator
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
        Row or column i is what row or column ``order[i]`` was.
    rows
        Whether it is of the rows.
    """

    module: nn.Module
    order: Int[Tensor, " n"]
    rows: bool

    def __call__(
        self, _: nn.Module, forward: Callable[[Tensor], Tensor], x: Float[Tensor, "*batch i"]
    ) -> Float[Tensor, "*batch o"]:
        """What the module with its weights and bias permuted gives."""
        order = self.order.to(x.device)
        return forward(x)[..., order] if self.rows else forward(x[..., order.argsort()])


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


def outcome(stack: Stack, tokens: Int[Tensor, "N T"]) -> Float[Tensor, "*outcome"]:
    """What a model makes of a text.

    Returns
    -------
    Tensor
        With a head, the mean cross-entropy of the next tokens, in nats; otherwise the last state,
        [N, T, d].
    """
    last: list[Tensor] = []

    def keep(_: int, state: Tensor) -> None:
        last[:] = [state]

    with torch.no_grad():
        calls_of(stack, tokens, keep)
        if not stack.predicts:
            return last[0]
        logits = logits_from(stack, last[0], len(stack.blocks))[:, :-1].flatten(0, 1)
    return nn.functional.cross_entropy(logits.double(), tokens[:, 1:].flatten())
