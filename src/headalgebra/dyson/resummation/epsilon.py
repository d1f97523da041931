"""Wynn's vector ε-algorithm (1962), and Borel sums by way of it."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headalgebra.dyson.resummation.least_squares import vanishes

Estimate = tuple[Float[Tensor, "*batch d"], Bool[Tensor, "*batch"]]


def vector_epsilon(sequence: Iterable[Float[Tensor, "*batch d"]]) -> Iterator[Estimate]:
    r"""The last even column of the ε-table after each term of some sequences of vectors.

    .. math:: ε_{k+1}^{(i)} = ε_{k-1}^{(i+1)} + (ε_k^{(i+1)} - ε_k^{(i)})^{-1}, \quad
        v^{-1} = v/\lVert v \rVert^2

    Exact on a constant plus k exponentials from 2k + 1 terms on; in one dimension and for k = 1
    this is Aitken's. If the terms are partial sums of a power series, it is the vector Padé
    approximant.

    Yields
    ------
    estimate
        Of the limit, from the terms so far.
    broken
        Where a difference within rounding of zero ended the table before its last column. The
        estimate is then the even entry that was reached, never infinite.
    """
    previous: list[Tensor] = []
    sound_before: list[Tensor] = []
    for term in sequence:
        # An antidiagonal of the table: entry k is ε_k of the last k + 1 terms.
        entries = [term]
        sound = [torch.ones_like(term[..., 0], dtype=torch.bool)]
        estimate = term
        for k, below in enumerate(previous):
            difference = entries[k] - below
            size = torch.linalg.vector_norm(difference, dim=-1, keepdim=True)
            # Twice divided: the square of the size may underflow.
            entry = difference / size / size
            # A column that was reached has those below it too.
            held = sound[k] & sound_before[k] & ~vanishes(difference, entries[k], below)
            if k:
                entry += previous[k - 1]
            held &= entry.isfinite().all(-1)
            entries.append(entry)
            sound.append(held)
            if k % 2:
                estimate = torch.where(held[..., None], entry, estimate)
        yield estimate, ~sound[(len(previous) // 2) * 2]
        previous, sound_before = entries, sound


def borel(terms: Float[Tensor, "terms n d"], *, nodes: int) -> Iterator[Estimate]:
    r"""Borel sums of the series Σ T_k after each of its terms.

    :math:`\int_0^\infty e^{-t} B(t)\,dt`, :math:`B(t) = \sum_k T_k t^k/k!`, by Gauss–Laguerre; B
    is continued at every node by the ε-algorithm on its partial sums.

    Yields
    ------
    estimate
        Of the sum.
    broken
        Where the table of one node at least ended early.
    """
    points, masses = (
        torch.from_numpy(part).to(terms) for part in np.polynomial.laguerre.laggauss(nodes)
    )

    def partial_sums() -> Iterator[Tensor]:
        factor = torch.ones_like(points)
        total = torch.zeros_like(terms[0]).expand(nodes, *terms.shape[1:])
        for k, term in enumerate(terms):
            if k:
                factor = factor * points / k
            total = total + factor[:, None, None] * term
            yield total

    for estimate, broken in vector_epsilon(partial_sums()):
        yield torch.einsum("q,qnd->nd", masses, estimate), broken.any(0)
