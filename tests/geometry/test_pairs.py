"""Exchanges of axes in pairs: as many within blocks as across them, and no block as a whole."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.geometry.axes import NoPermutationError, pair_across, pair_within

SEEDS = st.integers(0, 2**32 - 1)


def some_blocks(n_blocks: int, n: int, seed: int) -> np.ndarray:
    """Axes dealt out at random."""
    return np.random.default_rng(seed).permutation(n_blocks * n).reshape(n_blocks, n)


def block_of(blocks: np.ndarray) -> np.ndarray:
    return np.argsort(blocks.ravel()) // blocks.shape[1]


@given(st.integers(1, 7), st.integers(2, 9), SEEDS)
def test_pairs_within_stay_in_their_block(n_blocks: int, n: int, seed: int) -> None:
    blocks = some_blocks(n_blocks, n, seed)
    pairing = pair_within(blocks, np.random.default_rng(seed))
    assert (pairing[pairing] == np.arange(blocks.size)).all()
    assert (block_of(blocks)[pairing] == block_of(blocks)).all()
    moved = pairing != np.arange(blocks.size)
    assert (moved[blocks].sum(1) == n - n % 2).all()


@given(st.integers(2, 7), st.integers(2, 9), SEEDS)
def test_pairs_across_are_as_many_and_leave_their_block(n_blocks: int, n: int, seed: int) -> None:
    blocks = some_blocks(n_blocks, n, seed)
    if n_blocks * (n // 2) < 3:
        with pytest.raises(NoPermutationError, match="only be exchanged as wholes"):
            pair_across(blocks, np.random.default_rng(seed))
        return
    pairing = pair_across(blocks, np.random.default_rng(seed))
    assert (pairing[pairing] == np.arange(blocks.size)).all()
    moved = pairing != np.arange(blocks.size)
    assert (moved[blocks].sum(1) == n - n % 2).all()
    leaves = block_of(blocks)[pairing] != block_of(blocks)
    assert (leaves == moved).all() if n_blocks > 2 else leaves.any()
    # Of no permutation of whole blocks does joint permutation change anything.
    assert any(len(set(block_of(blocks)[pairing[block]])) > 1 for block in blocks)


def test_every_pairing_is_as_likely() -> None:
    """Two blocks of four, three pairings each: nine, of standard deviation 9.4 in 900 draws."""
    generator = np.random.default_rng(0)
    blocks = np.arange(8).reshape(2, 4)
    counted = Counter(tuple(pair_within(blocks, generator)) for _ in range(900))
    assert len(counted) == 9
    assert max(abs(times - 100) for times in counted.values()) < 4 * 9.4


def test_what_has_no_pairs_says_so() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(NoPermutationError, match="one axis each"):
        pair_within(np.arange(3)[:, None], generator)
    with pytest.raises(NoPermutationError, match="one block"):
        pair_across(np.arange(6)[None], generator)
    with pytest.raises(NoPermutationError, match="as wholes"):
        pair_across(np.arange(3)[:, None], generator)
