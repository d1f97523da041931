"""Where norms put states: on a sphere, and in a hyperplane if they take the mean off.

Paper 002, section 3. z is what a norm makes of x before its gain and shift. A norm of the stream is
given a vector of d numbers a token; one of queries or keys a shorter vector for each head, and all
heads' are pooled.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headalgebra.geometry.moments import Moments
from headalgebra.states.inside import NormSeen
from headalgebra.states.norms import HeldNorm
from headalgebra.states.recording import live_blocks
from headalgebra.states.structure import Stack

A_FEW = 8
"""Tokens on which the norms of a model are told apart."""


@dataclass(frozen=True)
class NormStatistics:
    """What the vectors that a norm was given, and made, have in common.

    Attributes
    ----------
    mean_square, mean_square_sd
        Mean and standard deviation of |z|²/d.
    shortened
        Mean of var/(var + ε), which the first is.
    size_variation
        Standard deviation of |x| over its mean.
    size_variation_without_first
        The same with the first token of each sequence left out; None of queries and keys.
    cosine, centred_cosine
        Mean cosine of two different z, and of two different z less their mean; not a number where
        one of them is 0.
    """

    mean_square: float
    mean_square_sd: float
    shortened: float
    size_variation: float
    size_variation_without_first: float | None
    cosine: float
    centred_cosine: float


@torch.no_grad()
def norm_statistics(seen: NormSeen, *, of_stream: bool = True) -> NormStatistics:
    """Statistics of one norm, sequence by sequence in float64, O(nd).

    The sum of n unit vectors has the squared length n + Σ cos over the ordered pairs.

    Parameters
    ----------
    seen
        The norm, and what entered it.
    of_stream
        Whether that is ``[N, T, d]``, with the first token of each sequence in front.
    """
    d = seen.given.shape[-1]
    sizes, squares, expected = [], [], []
    sum_ = torch.zeros(d, dtype=torch.float64, device=seen.given.device)
    units = torch.zeros_like(sum_)
    for given, z in _parts(seen):
        sum_ += z.sum(0)
        units += _units(z).sum(0)
        squares.append(z.square().mean(-1))
        sizes.append(torch.linalg.vector_norm(given, dim=-1))
        variance = given.var(-1, correction=0) if seen.held.centred else given.square().mean(-1)
        expected.append(variance / (variance + seen.held.epsilon))
    mean_squares = torch.cat(squares)
    n = len(mean_squares)
    around_mean = torch.zeros_like(sum_)
    for _, z in _parts(seen):
        around_mean += _units(z - sum_ / n).sum(0)
    later = torch.cat([size[1:] for size in sizes]) if of_stream else None
    return NormStatistics(
        float(mean_squares.mean()),
        float(mean_squares.std()),
        float(torch.cat(expected).mean()),
        float(variation(torch.cat(sizes))),
        None if later is None else float(variation(later)),
        _mean_cosine(units, n),
        _mean_cosine(around_mean, n),
    )


def _parts(seen: NormSeen) -> Iterator[tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]]:
    """What entered, and z, in float64, of a sequence after the other."""
    live = replace(seen.held, scale=None)
    for given in seen.given:
        vectors = given.flatten(0, -2).double()
        yield vectors, live.normalised(vectors)


def _units(vectors: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    return torch.nn.functional.normalize(vectors, dim=-1, eps=0.0)


def _mean_cosine(sum_of_units: Float[Tensor, " d"], n: int) -> float:
    return float((sum_of_units.square().sum() - n) / (n * (n - 1)))


def variation(sizes: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
    """Standard deviation over the mean, along the last axis."""
    return sizes.std(-1) / sizes.mean(-1)


def moments_of(seen: NormSeen) -> Moments:
    """Mean and covariance of z, of what was seen of one norm."""
    moments = Moments(seen.given.shape[-1])
    for _, z in _parts(seen):
        moments.add(z)
    return moments


Place = tuple[int, str]
"""A norm by its layer, from 0, and its name in the block."""


def read_moments(
    stack: Stack, tokens: Int[Tensor, "N T"], *, at_once: int = 4
) -> dict[Place, Moments]:
    """Mean and covariance of z, of every norm of every block, when a model reads a text.

    Nothing is recorded: it costs one pass without attention of our own, and the products of z,
    n d² flops a norm. Memory is that of a few sequences and of d² numbers a norm. What the norms
    are given is rounded as the model rounds; z is computed from it in float64.

    Parameters
    ----------
    stack
        The model's blocks.
    tokens
        What it reads.
    at_once
        Sequences in a pass.
    """
    norms: list[dict[str, HeldNorm]] = [
        {name: replace(held, scale=None) for name, held in block.norms.items()}
        for block in live_blocks(stack, tokens[:1, :A_FEW])
    ]
    found: dict[Place, Moments] = {}
    layer = -1

    def enter(*_: object) -> None:
        nonlocal layer
        layer += 1

    def see(name: str, given: Tensor) -> None:
        moments = found.setdefault((layer, name), Moments(given.shape[-1]))
        moments.add(norms[layer][name].normalised(given.double()))

    hooks = [block.register_forward_pre_hook(enter) for block in dict.fromkeys(stack.blocks)]
    # A block that is called several times is watched once.
    watched = {
        block.get_submodule(name): name
        for block, own in zip(stack.blocks, norms, strict=True)
        for name in own
    }
    hooks += [
        module.register_forward_pre_hook(lambda _, given, name=name: see(name, given[0]))
        for module, name in watched.items()
    ]
    try:
        for some in tokens.split(at_once):
            layer = -1
            stack.read(some, "eager")
    finally:
        for hook in hooks:
            hook.remove()
    return found
