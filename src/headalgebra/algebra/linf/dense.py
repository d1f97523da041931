r"""L∞ extraction from dense operators (paper, Algorithm 4.1)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

BRACKET_NUMBERS = 2**31
"""Numbers in the brackets held at once, 16 GiB in float64; what does not fit is recomputed."""

CHUNK_NUMBERS = 2**25
"""Numbers in one chunk of nested brackets, 256 MiB in float64; one d×d matrix at the least."""


@dataclass(frozen=True)
class DenseExtraction:
    """Brackets of a basis of n dense operators, computed without sampling.

    Attributes
    ----------
    obstruction_rms
        Root mean square of :math:`||[E_b,[E_c,E_a]]||_F` over the triples (b; a < c); not a number
        for n < 2.
    coherence_residual
        Largest norm, over i < j < k, of the third L∞ relation with ℓ₁ = 0, which is -ℓ₃ = J
        itself, over the product of its arguments' norms: rounding alone, since a matrix product is
        associative. Not a number for n < 3.
    n_triples
        Number of triples (b; a < c).
    """

    obstruction_rms: float
    coherence_residual: float
    n_triples: int


def extract_dense(elements: Float[Tensor, "n d d"]) -> DenseExtraction:
    r"""Obstruction, ℓ₃ and its coherence over every triple of a basis.

    Everything is on the device of ``elements`` and in their dtype, the sums of squares in float64;
    nothing is read back before the end. The brackets of the first m of the indices left are held
    at a time, as many as :data:`BRACKET_NUMBERS` allow, one at the least, and nested brackets are
    formed s at a time, with s = n - 2 or as many as :data:`CHUNK_NUMBERS` allow. Held are

    .. math:: (n + \sum_{i=1}^m (n-i) + 2s)\, d^2

    numbers where m = n, ``elements`` among them, and 3s for 2s where m < n (:func:`dense_bytes`).
    That takes 2 n³ d³ flops, and up to 2 n³ d³ / (3m) more where brackets are recomputed.
    """
    n, d, _ = elements.shape
    norms = _norms(elements)
    # On the device, so that no triple waits for the host.
    squares, largest = norms.new_zeros(()), norms.new_zeros(())
    for first in _held_together(n, d):
        of_block, largest_of_block = _extract_block(elements, norms, first)
        squares += of_block
        # torch's maximum, unlike Python's, lets no NaN pass for a small residual.
        largest = torch.maximum(largest, largest_of_block)
    n_triples = n * math.comb(n, 2)
    return DenseExtraction(
        obstruction_rms=math.sqrt(float(squares) / n_triples) if n_triples else math.nan,
        coherence_residual=float(largest) if n > 2 else math.nan,
        n_triples=n_triples,
    )


def dense_bytes(n: int, d: int, dtype: torch.dtype = torch.float64) -> int:
    """Bytes that :func:`extract_dense` holds at its peak for n elements of size d×d.

    The elements count, what the device's libraries take for themselves does not.
    """
    blocks = [sum(n - 1 - i for i in first) for first in _held_together(n, d)]
    # At n = 2 there is no triple i < j < k, but a nested bracket of one matrix.
    chunk = len(next(_chunks(range(max(n - 2, 1)), d))) if blocks else 0
    working = 2 * chunk if len(blocks) < 2 else 3 * chunk  # brackets formed again take a chunk
    return (n + max(blocks, default=0) + working) * d * d * dtype.itemsize


def _extract_block(
    elements: Float[Tensor, "n d d"], norms: Float[Tensor, "n"], first: range
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Sum of squared obstructions and largest relative ℓ₃ over the triples that start in a block.

    An index triple i < j < k counts for the block of i, a pair j < k with one of its own two
    elements for the block of j.
    """
    n, d, _ = elements.shape
    squares, largest = norms.new_zeros(()), norms.new_zeros(())
    held = {i: _bracket(elements[i], elements[i + 1 :]) for i in first}
    for j in range(first.start, n):
        for ks in _chunks(range(j + 1, n), d):
            third = elements[ks.start : ks.stop]
            if j in held:
                of_jk = held[j][ks.start - j - 1 : ks.stop - j - 1]
                squares += _norms(_bracket(elements[j], of_jk)).square().sum()
                by_third = torch.bmm(third, of_jk).baddbmm_(of_jk, third, alpha=-1)
                squares += _norms(by_third).square().sum()
                del by_third
            else:
                of_jk = _bracket(elements[j], third)
            for i in range(first.start, min(first.stop, j)):
                of_ik = held[i][ks.start - i - 1 : ks.stop - i - 1]
                # J(i,j,k) = [[i,j],k] − [i,[j,k]] + [j,[i,k]], and ℓ₃ = −J
                ell3 = _bracket(held[i][j - i - 1], third).neg_()
                squares += _norms(ell3).square().sum()
                nested = _bracket(elements[i], of_jk)
                squares += _norms(nested).square().sum()
                ell3 += nested
                del nested  # before the next one is formed
                nested = _bracket(elements[j], of_ik)
                squares += _norms(nested).square().sum()
                ell3 -= nested
                del nested
                arguments = norms[i] * norms[j] * norms[ks.start : ks.stop]
                largest = torch.maximum(largest, (_norms(ell3) / arguments).max())
                del ell3
    return squares, largest


def _held_together(n: int, d: int) -> Iterator[range]:
    """First indices i whose brackets [E_i, E_j], j > i, are held at the same time."""
    start = 0
    while start < n - 1:
        stop, held = start + 1, n - 1 - start
        while stop < n - 1 and (held + n - 1 - stop) * d * d <= BRACKET_NUMBERS:
            held += n - 1 - stop
            stop += 1
        yield range(start, stop)
        start = stop


def _chunks(indices: range, d: int) -> Iterator[range]:
    size = max(1, CHUNK_NUMBERS // (d * d))
    for start in range(indices.start, indices.stop, size):
        yield range(start, min(start + size, indices.stop))


def _bracket(x: Float[Tensor, "d d"], stack: Float[Tensor, "k d d"]) -> Float[Tensor, "k d d"]:
    """``[x, Y]`` for every Y of a stack."""
    d = len(x)
    bracket = torch.bmm(x.expand_as(stack), stack)
    # Side by side, the products from the right are one GEMM.
    bracket.view(-1, d).addmm_(stack.reshape(-1, d), x, alpha=-1)
    return bracket


def _norms(stack: Float[Tensor, "k d d"]) -> Float[Tensor, "k"]:
    """Frobenius norms in float64, whatever the dtype of the matrices."""
    return torch.linalg.vector_norm(torch.linalg.vector_norm(stack, dim=-1).double(), dim=-1)
