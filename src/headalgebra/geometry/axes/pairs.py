"""Axes exchanged in pairs, within blocks or across them.

Both move as many axes, and as permutations both are products of as many exchanges of two. So, where
nothing but its blocks tells axes apart, what they do has one law.
"""

from typing import Literal

import numpy as np
from jaxtyping import Int

Pairing = Int[np.ndarray, "_"]
"""Which axis takes the place of each."""

Moved = Literal["within", "across"]


class NoPermutationError(ValueError):
    """There is no permutation of the kind that was asked for, and why."""


def pair_within(blocks: Int[np.ndarray, "B n"], generator: np.random.Generator) -> Pairing:
    """Exchange the axes of random pairs of each block; of an odd block one stays.

    Parameters
    ----------
    blocks
        The numbers of the axes of each block, of all of 0 … Bn − 1.

    Raises
    ------
    NoPermutationError
        If a block has but one axis.
    """
    if blocks.shape[1] < 2:
        raise NoPermutationError("blocks have one axis each")
    return _exchange(_even(blocks, generator).reshape(-1, 2), blocks.size)


def pair_across(blocks: Int[np.ndarray, "B n"], generator: np.random.Generator) -> Pairing:
    """Exchange as many axes, each with one of another block.

    With two blocks, where that would be an exchange of the whole blocks, pairs are random ones.

    Parameters
    ----------
    blocks
        As for :func:`pair_within`.

    Raises
    ------
    NoPermutationError
        If there is one block, or blocks can but be exchanged as wholes.
    """
    n_blocks, n = blocks.shape
    if n_blocks < 2 or n < 2 or n_blocks * (n // 2) < 3:
        raise NoPermutationError(
            "there is one block" if n_blocks < 2 else "blocks can only be exchanged as wholes"
        )
    block_of = np.empty(blocks.size, dtype=int)
    block_of[blocks] = np.arange(n_blocks)[:, None]
    while True:
        pairs = generator.permutation(_even(blocks, generator).ravel()).reshape(-1, 2)
        if n_blocks > 2:
            _part(pairs, block_of, generator)
        found = _exchange(pairs, blocks.size)
        goes_to = block_of[found[blocks]]
        if not (goes_to == goes_to[:, :1]).all():
            return found


def _even(
    blocks: Int[np.ndarray, "B n"], generator: np.random.Generator
) -> Int[np.ndarray, "B even"]:
    """Each block in random order, without the last of an odd number."""
    n = blocks.shape[1]
    return generator.permuted(blocks, axis=1)[:, : n - n % 2]


def _part(
    pairs: Int[np.ndarray, "p 2"],
    block_of: Int[np.ndarray, " axes"],
    generator: np.random.Generator,
) -> None:
    """Let pairs of one block exchange partners with pairs that have nothing of it."""
    for pair in pairs:
        block = block_of[pair[0]]
        if block_of[pair[1]] == block:
            elsewhere = np.flatnonzero((block_of[pairs] != block).all(1))
            other = pairs[generator.choice(elsewhere)]
            pair[1], other[0] = other[0], pair[1]


def _exchange(pairs: Int[np.ndarray, "p 2"], size: int) -> Pairing:
    found = np.arange(size)
    found[pairs] = pairs[:, ::-1]
    return found
